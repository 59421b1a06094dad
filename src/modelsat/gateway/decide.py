"""From a request to the order in which candidates are tried.

Constraints first, then scores, then the policy, then the conversation. Knows nothing of HTTP and of who is up: breakers
are asked when candidates are called.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from modelsat.gateway.constraints import Demand, removed_by_constraints, require_one
from modelsat.gateway.conversations import stays
from modelsat.gateway.errors import GatewayError
from modelsat.gateway.records import Origin
from modelsat.gateway.serving_state import ServingState
from modelsat.routing.policy import RoutingPolicy, choose
from modelsat.routing.pricing import expected_cost, expected_output_tokens
from modelsat.routing.reasons import explained
from modelsat.types import RankedCandidate, RoutingDecision, ScoreMatrix

UNPRICED = "no prices in the zoo, which this policy needs"
STAYED = "The conversation stays with the candidate of its last answer."
# Why the router gave no scores, as metrics count it and as a reason states it.
Unscored = Literal["no_text", "busy", "timeout", "error"]
BY_LEVEL: Mapping[Unscored, str] = {
    "no_text": "The request has no text to score, so overall level decided.",
    "busy": "The router was busy, so overall level decided.",
    "timeout": "The router took too long, so overall level decided.",
    "error": "The router failed, so overall level decided.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayDecision:
    """Who is to answer, and why.

    Attributes:
        policy: As text; "named" where the client named a candidate.
        origin: Who decided.
        ranking: Most preferred first; empty where the client named a candidate.
        order: Names of the candidates to try, in order.
        removed: Why others were not considered.
        scores: What was decided on, one row over the zoo; or why there are none. None where the client decided.
    """

    policy: str
    origin: Origin
    order: tuple[str, ...]
    ranking: tuple[RankedCandidate, ...] = ()
    removed: Mapping[str, str] = field(default_factory=dict)
    scores: ScoreMatrix | Unscored | None = None

    @property
    def candidate(self) -> str:
        """The one chosen."""
        return self.order[0]

    @property
    def score(self) -> float | None:
        """Its P(right); None where no router was asked, or none answered."""
        return self.ranking[0].probability if isinstance(self.scores, ScoreMatrix) else None


NAMED = "named"


def named_choice(name: str, state: ServingState, demand: Demand) -> GatewayDecision:
    """The client's own choice; whether the request fits is then between it and the candidate.

    Raises:
        GatewayError: 403 where its key may not use the candidate, 400 where the candidate cannot be called, lacks
            a tag that the gateway requires, or prices that the key's budget needs.
    """
    if demand.allowed is not None and name not in demand.allowed:
        raise GatewayError(
            f"This API key may not use {name!r}; ask for one that may, or write auto.",
            status=403,
            code="model_not_allowed",
            param="model",
        )
    only = Demand(tokens=0, tags=demand.tags, priced=demand.priced, relayed=demand.relayed)
    candidate = state.zoo[name]
    require_one([candidate], removed_by_constraints([candidate], only))
    return GatewayDecision(policy=NAMED, origin="named", order=(name,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Eligible:
    """Who can take a request, before anyone is scored.

    Attributes:
        prices: [candidate] expected money over the zoo, NaN where unknown.
        removed: Why others cannot, by candidate.
    """

    prices: NDArray[np.float64]
    removed: Mapping[str, str]


def find_eligible(state: ServingState, demand: Demand, policy: RoutingPolicy) -> Eligible:
    """Apply the constraints.

    Raises:
        GatewayError: 400 that says which constraint removed whom, where nobody is left.
    """
    prices = _prices(state, demand)
    removed = removed_by_constraints(state.zoo.candidates, demand)
    if policy.needs_prices:
        for name, price in zip(state.zoo.names, prices, strict=True):
            if np.isnan(price):
                removed.setdefault(name, UNPRICED)
    require_one(state.zoo.candidates, removed)
    return Eligible(prices=prices, removed=removed)


def routed_choice(
    state: ServingState,
    eligible: Eligible,
    policy: RoutingPolicy,
    scores: ScoreMatrix | Unscored,
    *,
    earlier: str | None = None,
    margin: float = 0.0,
) -> GatewayDecision:
    """What the policy makes of the scores.

    Args:
        state: Who can be asked.
        eligible: Who can take the request.
        policy: What is preferred.
        scores: One row over the state's zoo; or why the router gave none, so that levels decide.
        earlier: Who gave the conversation's last answer; None for nobody.
        margin: By which another one must be better to take over.
    """
    scored = isinstance(scores, ScoreMatrix)
    given = scores if isinstance(scores, ScoreMatrix) else state.levels
    kept = np.array([index for index, name in enumerate(given.candidates) if name not in eligible.removed])
    compared = ScoreMatrix(
        instruction_ids=given.instruction_ids,
        candidates=tuple(given.candidates[index] for index in kept),
        logits=given.logits[:, kept],
        probabilities=given.probabilities[:, kept],
    )
    ranking = choose(compared, policy, prices=eligible.prices[None, kept])[0].ranking
    origin: Origin = "router" if scored else "level"
    before = next((ranked for ranked in ranking if ranked.candidate == earlier), None)
    if (
        before is not None
        and before is not ranking[0]
        and (not scored or stays(before, ranking[0], policy, margin=margin))
    ):
        ranking = (before, *(ranked for ranked in ranking if ranked is not before))
        origin = "conversation"
    return GatewayDecision(
        policy=str(policy),
        origin=origin,
        order=tuple(ranked.candidate for ranked in ranking),
        ranking=ranking,
        removed=eligible.removed,
        scores=scores,
    )


def explained_choice(
    choice: GatewayDecision, policy: RoutingPolicy, text: str, currency: str
) -> RoutingDecision:
    """A routed choice with its reasons; the currency is an ISO 4217 code."""
    decision = RoutingDecision(
        instruction_id="", candidate=choice.candidate, policy=choice.policy, ranking=choice.ranking
    )
    if choice.origin == "conversation":
        return replace(decision, reasons=(STAYED,))
    if not isinstance(choice.scores, ScoreMatrix):
        return replace(decision, reasons=(BY_LEVEL[choice.scores or "error"],))
    return explained(decision, choice.scores, 0, policy, text=text, currency=currency)


def _prices(state: ServingState, demand: Demand) -> NDArray[np.float64]:
    prices = []
    for candidate, profile in zip(state.zoo.candidates, state.zoo.profiles, strict=True):
        written = expected_output_tokens(profile.mean_output_tokens, demand.kind, demand.output_tokens)
        price = expected_cost(candidate, demand.tokens, written)
        prices.append(np.nan if price is None else price)
    return np.array(prices, dtype=np.float64)
