"""State of one request, from its arrival to the end of its answer.

The request path fills a `RequestContext` in as it goes, so that a completion can be recorded whenever the request ends:
after an answer, an error, or a client that disconnected.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from modelsat.gateway.decide import GatewayDecision
from modelsat.gateway.headers import Headers, header_value
from modelsat.gateway.meter import Meter, Usage
from modelsat.gateway.records import Caller, DecisionRecord, RankedCost, UsageRecord
from modelsat.gateway.request import ClientRequest
from modelsat.gateway.serving_state import ServingState
from modelsat.routing.pricing import expected_cost, expected_output_tokens
from modelsat.types import RankedCandidate

CLIENT_LEFT = 499


def new_decision_id() -> str:
    """An id that nobody can guess."""
    return f"dec-{secrets.token_hex(12)}"


@dataclass(slots=True, kw_only=True)
class RequestContext:
    """What is known of one request; times are those of the gateway's clock, in seconds.

    Attributes:
        started: When it came.
        id: The decision's id.
        caller: Who sent it, once admitted.
        request: What was asked, once read.
        state: Who could be asked, once decided.
        choice: Who is to answer, once decided.
        conversation: Hash of the conversation's beginning.
        shadow: The candidate that answers whatever the choice; None without shadow mode.
        route_ms: Milliseconds to the decision.
        candidate: Who is being asked, or answered.
        status: What the client is told; 0 until it is known.
        answer_status: What the candidate answered; 0 where it did not.
        asked: When the candidate that answers was asked.
        first_byte: When its first byte came.
        meter: Of its answer.
        failures: Candidates that gave no answer, with why.
        complete: Whether the answer came to its end.
        error: Code of the error that the client was told.
    """

    started: float
    id: str = field(default_factory=new_decision_id)
    caller: Caller = field(default_factory=Caller)
    request: ClientRequest | None = None
    state: ServingState | None = None
    choice: GatewayDecision | None = None
    conversation: str | None = None
    shadow: str | None = None
    route_ms: float = 0.0
    candidate: str = ""
    status: int = 0
    answer_status: int = 0
    asked: float | None = None
    first_byte: float | None = None
    meter: Meter | None = None
    failures: list[tuple[str, str]] = field(default_factory=list)
    complete: bool = False
    error: str | None = None

    @property
    def prompt(self) -> str | None:
        """The text that was routed on."""
        instruction = None if self.request is None else self.request.instruction
        return None if instruction is None else instruction.text

    def headers(self) -> Headers:
        """What the client is told about the decision."""
        if self.choice is None:
            return []
        headers = [
            (b"x-modelsat-decision-id", self.id.encode()),
            (b"x-modelsat-candidate", header_value(self.candidate or self.choice.candidate)),
            (b"x-modelsat-origin", self._origin().encode()),
            (b"x-modelsat-policy", header_value(self.choice.policy)),
            (b"x-modelsat-route-ms", f"{self.route_ms:.1f}".encode()),
        ]
        if self.choice.score is not None:
            headers.append((b"x-modelsat-score", f"{self._score():.4f}".encode()))
        if self.shadow is not None:
            headers.append((b"x-modelsat-shadow", header_value(self.choice.candidate)))
        return headers

    def decision_record(self, *, at: float, keep_prompt: bool) -> DecisionRecord:
        """The decision, to be written down.

        Args:
            at: Seconds since 1970.
            keep_prompt: Whether the text that was routed on is kept.
        """
        assert self.choice is not None and self.request is not None
        return DecisionRecord(
            id=self.id,
            at=at,
            key_id=self.caller.key_id,
            policy=self.choice.policy,
            candidate=self.choice.candidate,
            score=self.choice.score,
            ranking=recorded_ranking(self.choice.ranking),
            route_ms=self.route_ms,
            request_tokens=self.request.tokens,
            conversation=self.conversation,
            shadow=self.shadow is not None,
            prompt=self.prompt if keep_prompt else None,
            origin=self.choice.origin,
        )

    def usage_record(self, *, at: float, ended: float) -> UsageRecord:
        """How the decision was carried out, to be written down.

        Args:
            at: Seconds since 1970.
            ended: Now, by the gateway's clock.
        """
        assert self.request is not None and self.state is not None
        candidate = self.state.zoo[self.candidate]
        usage = None if self.meter is None else self.meter.usage()
        return UsageRecord(
            decision_id=self.id,
            at=at,
            candidate=candidate.name,
            status=self.status,
            input_tokens=None if usage is None else usage.input_tokens,
            output_tokens=None if usage is None else usage.output_tokens,
            cost=self._cost(usage),
            upstream_ms=0.0 if self.asked is None else 1000 * (ended - self.asked),
            first_byte_ms=None
            if self.first_byte is None or self.asked is None
            else 1000 * (self.first_byte - self.asked),
            fallbacks=len(self.failures),
        )

    def _cost(self, usage: Usage | None) -> float | None:
        """Money, whether or not the client waited for the end: a budget must hold for those who leave, too."""
        assert self.request is not None and self.state is not None
        candidate = self.state.zoo[self.candidate]
        if usage is not None:
            return usage.cost(candidate, self.request.tokens) if self.answer_status < 400 else None
        if self.status != CLIENT_LEFT or self.asked is None:
            return None
        # The candidate was at work, and how far it got is not known.
        mean = self.state.zoo.profile(self.candidate).mean_output_tokens
        written = expected_output_tokens(mean, self.request.task_kind, self.request.output_tokens)
        return expected_cost(candidate, self.request.tokens, written)

    def _origin(self) -> str:
        """What made this candidate answer: what decided, or that the one decided for gave no answer."""
        assert self.choice is not None
        meant = self.shadow or self.choice.candidate
        return "fallback" if self.candidate not in ("", meant) else self.choice.origin

    def _score(self) -> float:
        """P(right) of who answers, or of who was chosen."""
        assert self.choice is not None
        by_name = {ranked.candidate: ranked.probability for ranked in self.choice.ranking}
        return by_name.get(self.candidate, self.choice.ranking[0].probability)


def recorded_ranking(ranking: Sequence[RankedCandidate]) -> tuple[RankedCost, ...]:
    """A ranking as it is written down."""
    return tuple(RankedCost(ranked.candidate, ranked.probability, ranked.expected_cost) for ranked in ranking)
