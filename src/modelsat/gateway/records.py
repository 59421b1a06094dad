"""What the gateway writes down, and the two seams behind which that happens: `Journal` and `Authenticator`.

The request path knows these only; where records go and where keys are kept is somebody else's business.
Times are seconds since 1970 (UTC); money is in the unit of the zoo's prices.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

Origin = Literal["router", "level", "named", "conversation"]


class RankedCost(NamedTuple):
    """One line of a recorded ranking: candidate, P(right) and expected cost (None where unknown)."""

    candidate: str
    probability: float
    expected_cost: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRecord:
    """Who was to answer one request, and why.

    Attributes:
        id: The decision's id, unique; sent to the client as `x-modelsat-decision-id`.
        at: When it was made.
        key_id: The API key's id (never the key); None without keys.
        policy: The policy as text, such as "cheapest-above=0.6".
        candidate: The candidate chosen. In shadow mode the one that would have answered.
        score: Its P(right); None where no router was asked or none answered.
        ranking: Eligible candidates, most preferred first; empty where no router answered.
        route_ms: Milliseconds from the request to the decision.
        request_tokens: Estimate of the request's tokens.
        conversation: Hash of the conversation's beginning; None where it cannot be told.
        shadow: Whether a fixed candidate answered instead.
        prompt: The text that was routed on; None unless prompts are kept.
        origin: What decided: the router's scores; overall level, where the router failed, was late or busy; the client,
            by name; or the conversation's earlier choice.
    """

    id: str
    at: float
    key_id: str | None
    policy: str
    candidate: str
    score: float | None
    ranking: tuple[RankedCost, ...]
    route_ms: float
    request_tokens: int
    conversation: str | None = None
    shadow: bool = False
    prompt: str | None = None
    origin: Origin = "router"


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRecord:
    """How one decision was answered; exactly one for every decision that was carried out.

    Attributes:
        decision_id: Which decision.
        at: When the answer ended.
        candidate: Who answered: after fallbacks, or in shadow mode, not the one that the decision names.
        status: HTTP status that the client was given; 499 where it left before the end, 502 where the upstream
            broke off in the middle of an answer.
        input_tokens: As the upstream reported; None where it did not.
        output_tokens: As the upstream reported; None where it did not.
        cost: Money, from tokens and the candidate's prices; None where either is unknown.
        upstream_ms: Milliseconds from the first byte sent upstream to the end of the answer.
        first_byte_ms: Milliseconds to the answer's first byte; None where there was none.
        fallbacks: Candidates that were tried before and failed.
    """

    decision_id: str
    at: float
    candidate: str
    status: int
    input_tokens: int | None
    output_tokens: int | None
    cost: float | None
    upstream_ms: float
    first_byte_ms: float | None
    fallbacks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackRecord:
    """What became of one decision.

    Attributes:
        decision_id: Which decision.
        at: When it was told; the last word counts.
        score: From 0 (failed) to 1 (solved).
    """

    decision_id: str
    at: float
    score: float


Record = DecisionRecord | UsageRecord | FeedbackRecord


class Journal(Protocol):
    """Where records go. Records of one decision arrive in order: decision, usage, feedback."""

    def record(self, record: Record) -> bool:
        """Take a record; never blocks, never raises.

        Returns:
            False where it was dropped.
        """
        ...

    @property
    def backlog(self) -> int:
        """Records that were taken and are not written yet."""
        ...

    @property
    def dropped(self) -> int:
        """Records lost so far: those not taken, and those that could not be written."""
        ...

    async def known_decision(self, decision_id: str, key_id: str | None) -> bool:
        """Whether this decision was recorded for this key (None: made without keys)."""
        ...

    async def close(self) -> None:
        """Write all that was taken; nothing is recorded afterwards."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who sent a request.

    Attributes:
        key_id: The API key's id; None where no keys are configured.
        allowed_candidates: Names of the candidates that this key may use; None for all.
        priced_only: Whether candidates without prices are out of reach, because the key has a budget.
        metrics: Whether this key reads metrics, and does nothing else.
    """

    key_id: str | None = None
    allowed_candidates: frozenset[str] | None = None
    priced_only: bool = False
    metrics: bool = False


class Authenticator(Protocol):
    """Who may come in, how often, and for how much money."""

    @property
    def open(self) -> bool:
        """Whether everyone is let in, because there are no keys."""
        ...

    async def admit(self, authorization: str | None, now: float) -> Caller:
        """Let a request in; counts it against its key's rate.

        Args:
            authorization: The header's value, as it came.
            now: When.

        Raises:
            GatewayError: 401 without a valid key, 403 for one that was revoked or has spent its budget, 429 with
                `retry_after` above its rate.
        """
        ...

    def count(self, caller: Caller, more: int, now: float) -> None:
        """Count the requests that one brought along, beside itself, against its key's rate.

        Raises:
            GatewayError: 429 with `retry_after` where they are above the rate now; 400 where they always will be.
        """
        ...

    def charge(self, caller: Caller, cost: float) -> None:
        """Count an answer's cost against the caller's budget; never blocks, never raises."""
        ...
