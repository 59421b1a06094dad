"""Who can be asked now: a zoo with its router and keys, replaced as a whole when the zoo file changes."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from os import environ

from modelsat.capability.zoo import ModelZoo
from modelsat.endpoints.keys import ApiKeys
from modelsat.errors import DataError
from modelsat.gateway.model_names import check_candidate_names
from modelsat.gateway.settings import GatewaySettings
from modelsat.routing.policy import RoutingPolicy
from modelsat.routing.pricing import expected_cost, price_warnings
from modelsat.routing.router import Router
from modelsat.routing.score_cache import ScoreCache
from modelsat.routing.scorer import Level, Scorer
from modelsat.types import CapabilityProfile, Instruction, ScoreMatrix


@dataclass(frozen=True)
class ServingState:
    """One version of what is served; a request keeps the one it began with.

    Attributes:
        zoo: The candidates.
        credentials: Keys of their endpoints.
        router: Scores them; None while its weights are loading.
    """

    zoo: ModelZoo
    credentials: ApiKeys
    router: Router | None = None

    @cached_property
    def profiles(self) -> Mapping[str, CapabilityProfile]:
        """By candidate."""
        return {profile.candidate: profile for profile in self.zoo.profiles}

    def price_warnings(self, policy: RoutingPolicy) -> list[str]:
        """What a policy lacks to choose among the candidates that can be called."""
        served = [
            (candidate, self.zoo.profile(candidate.name).mean_output_tokens)
            for candidate in self.zoo.candidates
            if candidate.endpoint is not None
        ]
        return price_warnings([one for one, _ in served], [mean for _, mean in served], policy)

    @cached_property
    def levels(self) -> ScoreMatrix:
        """Scores by overall level alone, one row: what is left where the router says nothing."""
        return Level().score([Instruction(id="level", text="")], self.zoo.profiles)

    def with_scorer(self, scorer: Scorer, *, score_cache_mb: float = 0.0) -> "ServingState":
        """The state with a router that has worked out its cards.

        Args:
            scorer: Scores its candidates.
            score_cache_mb: Megabytes of scores to remember; 0 for none.
        """
        cache = ScoreCache(score_cache_mb) if score_cache_mb else None
        router = Router(scorer=scorer, zoo=self.zoo, score_cache=cache)
        if len(self.zoo):
            router.score(["Hello"])
        return ServingState(zoo=self.zoo, credentials=self.credentials, router=router)


def make_serving_state(
    zoo: ModelZoo, settings: GatewaySettings, environment: Mapping[str, str] = environ
) -> ServingState:
    """Check that a zoo can be served, and fetch the keys of its endpoints.

    Raises:
        DataError: A candidate's name or key is missing or wrong, or nobody can be called or chosen.
    """
    check_candidate_names(zoo.names)
    callable_ones = [candidate.name for candidate in zoo.candidates if candidate.endpoint is not None]
    if not callable_ones:
        raise DataError(
            "no candidate of the zoo has an endpoint; give some one with `modelsat zoo add ... --endpoint URL`."
        )
    if settings.shadow is not None and settings.shadow not in callable_ones:
        raise DataError(
            f"shadow: {settings.shadow!r} is no candidate with an endpoint; choose of {', '.join(callable_ones)}."
        )
    policy = settings.routing_policy
    if policy.needs_prices and all(expected_cost(zoo[name], 1, 1) is None for name in callable_ones):
        raise DataError(
            f"policy {policy} needs prices, and no candidate with an endpoint has them; give them with "
            "`modelsat zoo set NAME input_price=... output_price=...`."
        )
    tagged = {tag for name in callable_ones for tag in zoo[name].tags}
    for tag in settings.require_tags:
        if tag not in tagged:
            raise DataError(
                f"require_tags: no candidate with an endpoint has the tag {tag!r}; "
                f"they have {', '.join(sorted(tagged)) or 'none'}."
            )
    return ServingState(zoo=zoo, credentials=ApiKeys(zoo.candidates, environment))
