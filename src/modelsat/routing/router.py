"""Router = scorer + zoo + policy: the library's front door.

What runs the network is imported by the scorer that `Router.load` fetches, not here.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from modelsat.capability.zoo import ModelZoo
from modelsat.errors import DataError
from modelsat.progress import Progress, no_progress
from modelsat.routing.load import DEFAULT_ROUTER, load_tuned
from modelsat.routing.policy import PriceArray, RoutingPolicy, choose
from modelsat.routing.pricing import instruction_tokens, price_matrix
from modelsat.routing.reasons import compare, explain_why_not, explained
from modelsat.routing.requests import Request, to_instruction
from modelsat.routing.score_cache import ScoreCache
from modelsat.routing.scorer import Scorer
from modelsat.types import Instruction, RoutingDecision, ScoreMatrix

BATCH_SIZE = 32


@dataclass(kw_only=True)
class Router:
    """Routes instructions to the candidates of a zoo.

    Attributes:
        scorer: Estimates P(right).
        zoo: Who can be chosen, with profiles. A candidate added to it is routable at once.
        policy: What to prefer where a call does not say.
        score_cache: Of requests that come again; None scores everything anew.
    """

    scorer: Scorer
    zoo: ModelZoo
    policy: RoutingPolicy = field(default_factory=RoutingPolicy)
    score_cache: ScoreCache | None = None

    @classmethod
    def load(
        cls,
        router: Path | str = DEFAULT_ROUTER,
        zoo: ModelZoo | Path | str | None = None,
        policy: RoutingPolicy | str = "best",
        runtime: str = "auto",
        progress: Progress = no_progress,
    ) -> "Router":
        """Load a tuned router, which remembers the scores of what it was asked lately.

        Args:
            router: accurate, fast, fastest, cascade, or a checkpoint's folder; see `modelsat.routing.load.load_tuned`.
            zoo: A zoo or its TOML file; the shipped one by default.
            policy: What to prefer.
            runtime: auto, onnx or torch; see there.
            progress: Called while the first use of a router builds its engine.

        Raises:
            CheckpointError: The checkpoint is damaged or belongs to other weights.
            DataError: The zoo is malformed, or there is no such router or runtime.
            LayoutError: The runtime cannot run the checkpoint.
            MissingExtraError: What the runtime needs is not installed.
            PolicyError: The policy is malformed.
        """
        chosen_policy = as_policy(policy)
        if zoo is None:
            zoo = ModelZoo.shipped()
        elif not isinstance(zoo, ModelZoo):
            zoo = ModelZoo.load(Path(zoo))
        scorer = load_tuned(router, runtime=runtime, progress=progress)
        return cls(scorer=scorer, zoo=zoo, policy=chosen_policy, score_cache=ScoreCache())

    def score(self, requests: Sequence[Request]) -> ScoreMatrix:
        """P(right) of every candidate of the zoo on every request.

        Args:
            requests: Texts, instructions or chats; at least one.

        Raises:
            DataError: There is none, one is empty, or the zoo is.
        """
        return self._score([to_instruction(request) for request in requests])

    def recall(self, instruction: Instruction) -> ScoreMatrix | None:
        """What `score` would say of one instruction, if that is remembered; costs next to nothing."""
        if self.score_cache is None:
            return None
        return self.score_cache.recall(self.scorer, instruction, self.zoo.profiles)

    def route(self, request: Request, policy: RoutingPolicy | str | None = None) -> RoutingDecision:
        """Choose a candidate for one request: text, an instruction, or the messages of one chat.

        Raises:
            DataError: The request or the zoo is empty.
            PolicyError: The policy is malformed or cannot be applied to this zoo.
        """
        return self._route_batch([to_instruction(request)], self._policy(policy))[0]

    def why_not(
        self, request: Request, candidate: str, policy: RoutingPolicy | str | None = None
    ) -> tuple[str, ...]:
        """Say why a candidate is not the choice for a request, in sentences, most telling first.

        Raises:
            DataError: The request or the zoo is empty, or there is no such candidate.
            PolicyError: The policy is malformed or cannot be applied to this zoo.
        """
        instruction, preferred = to_instruction(request), self._policy(policy)
        unfit = self._unfit(instruction)
        if self.zoo[candidate].name in unfit and len(unfit) < len(self.zoo):
            return (f"{candidate} cannot take this request: {unfit[candidate]}.",)
        (decision,) = self._route_batch([instruction], preferred)
        comparison = compare(self._score([instruction]), 0, candidate, decision.candidate)
        return explain_why_not(decision, comparison, candidate, preferred, currency=self.zoo.currency)

    def route_many(
        self,
        requests: Iterable[Request],
        *,
        policy: RoutingPolicy | str | None = None,
        batch_size: int = BATCH_SIZE,
    ) -> Iterator[RoutingDecision]:
        """Choose candidates for many requests, in their order.

        Args:
            requests: Read as they are needed, so a generator of any length will do.
            policy: What to prefer; the router's own by default.
            batch_size: Requests scored together.

        Raises:
            DataError: A request or the zoo is empty.
            PolicyError: The policy is malformed or cannot be applied to this zoo.
        """
        preferred = self._policy(policy)
        batch: list[Instruction] = []
        for request in requests:
            batch.append(to_instruction(request))
            if len(batch) >= batch_size:
                yield from self._route_batch(batch, preferred)
                batch = []
        if batch:
            yield from self._route_batch(batch, preferred)

    def _policy(self, policy: RoutingPolicy | str | None) -> RoutingPolicy:
        return self.policy if policy is None else as_policy(policy)

    def _score(self, instructions: Sequence[Instruction]) -> ScoreMatrix:
        if not instructions:
            raise DataError("there is no instruction to score; give at least one.")
        if not self.zoo.profiles:
            raise DataError("the zoo is empty; add a candidate with its capability card.")
        if self.score_cache is None:
            return self.scorer.score(instructions, self.zoo.profiles)
        return self.score_cache.score(self.scorer, instructions, self.zoo.profiles)

    def _route_batch(
        self, instructions: Sequence[Instruction], policy: RoutingPolicy
    ) -> tuple[RoutingDecision, ...]:
        scores = self._score(instructions)
        unfit = [self._unfit(instruction) for instruction in instructions]
        # Where no one is known to fit, excluding everyone would say nothing: all are considered.
        excluded = [faults if len(faults) < len(self.zoo) else {} for faults in unfit]
        eligible = np.array([[name not in names for name in scores.candidates] for names in excluded])
        decisions = choose(scores, policy, prices=self._prices(instructions), eligible=eligible)
        return tuple(
            explained(
                decision,
                scores,
                row,
                policy,
                text=instructions[row].text,
                excluded=excluded[row],
                no_one_fits=len(unfit[row]) == len(self.zoo),
                currency=self.zoo.currency,
            )
            for row, decision in enumerate(decisions)
        )

    def _prices(self, instructions: Sequence[Instruction]) -> PriceArray:
        outputs = [profile.mean_output_tokens for profile in self.zoo.profiles]
        return price_matrix(instructions, self.zoo.candidates, outputs)

    def _unfit(self, instruction: Instruction) -> dict[str, str]:
        """Candidates that cannot take an instruction, with why not."""
        tokens = instruction_tokens(instruction.text)
        unfit = {}
        for candidate in self.zoo.candidates:
            if instruction.images and "image" not in candidate.modalities:
                unfit[candidate.name] = "it takes no images"
            elif tokens > (candidate.context_window or tokens):
                window = f"its context window is {candidate.context_window:,} tokens"
                unfit[candidate.name] = f"{window}, and the request has about {tokens:,}"
        return unfit


def as_policy(policy: RoutingPolicy | str) -> RoutingPolicy:
    """A policy from either of its forms."""
    return RoutingPolicy.parse(policy) if isinstance(policy, str) else policy
