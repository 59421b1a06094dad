"""Conversations stay with their candidate, unless another is better by a margin.

A request is the next turn of an earlier one if its messages up to the last answer are that request's messages: nothing
is asked of the client, and nothing but hashes is kept. They are keyed: who has them and guesses a conversation cannot
confirm the guess without the key.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelsat.routing.policy import RoutingPolicy
from modelsat.types import RankedCandidate

_HASH_BYTES = 12
# A candidate of half the price is worth a change where the policy looks for the cheapest.
CHEAPER = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Where a request stands in its conversation.

    Attributes:
        conversation: Hash of the conversation's beginning: the same for all of its turns.
        before: Hash of the messages that the last answer was given to; None in a first turn.
        now: Hash of all messages: the `before` of the next turn.
    """

    conversation: str
    before: str | None
    now: str


def read_turn(messages: Sequence[Mapping[str, Any]], owner: str, *, key: bytes) -> Turn | None:
    """Hash a chat; None where there are no messages.

    Args:
        messages: The chat.
        owner: Whose conversation it is; those of others never match.
        key: Of the hashes, up to 64 bytes.
    """
    if not messages:
        return None
    roles = [message.get("role") for message in messages]
    answers = [index for index, role in enumerate(roles) if role == "assistant"]
    first_user = roles.index("user") if "user" in roles else len(roles) - 1
    state = hashlib.blake2b(owner.encode(errors="surrogatepass"), key=key, digest_size=_HASH_BYTES)
    conversation, before = "", None
    for index, message in enumerate(messages):
        if answers and index == answers[-1]:
            before = state.hexdigest()
        kept = [message.get("role"), message.get("content"), message.get("tool_calls")]
        state.update(json.dumps(kept).encode())
        if index == first_user:
            conversation = state.hexdigest()
    return Turn(conversation=conversation, before=before, now=state.hexdigest())


class Conversations:
    """Who answered which turn.

    Args:
        ttl_s: How long a turn is remembered.
        limit: Turns remembered; the oldest goes.
        clock: Seconds that never go back.
    """

    def __init__(self, *, ttl_s: float, limit: int, clock: Callable[[], float]) -> None:
        self._ttl_s = ttl_s
        self._limit = limit
        self._clock = clock
        self._turns: OrderedDict[str, tuple[float, str]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._turns)

    def answered_by(self, turn: Turn | None) -> str | None:
        """Who gave the answer before this turn; None where that is not known (any more)."""
        if turn is None or turn.before is None:
            return None
        at, candidate = self._turns.get(turn.before, (float("-inf"), None))
        return candidate if self._clock() - at < self._ttl_s else None

    def remember(self, turn: Turn | None, candidate: str) -> None:
        """Note who answered a turn."""
        if turn is None:
            return
        self._turns[turn.now] = (self._clock(), candidate)
        self._turns.move_to_end(turn.now)
        while len(self._turns) > self._limit:
            self._turns.popitem(last=False)


def stays(
    earlier: RankedCandidate, preferred: RankedCandidate, policy: RoutingPolicy, *, margin: float
) -> bool:
    """Whether a conversation stays with its candidate.

    - `best`: unless the preferred one's Pr("Yes") is higher by more than the margin.
    - `value=V`: unless its value is higher by more than the margin times V.
    - `cheapest-above=P`: while the earlier one is within the margin of P (or of the preferred one, where nobody
      reaches P) and the preferred one costs more than half as much.

    Args:
        earlier: Who answered before.
        preferred: Whom the policy puts first now.
        policy: What is preferred.
        margin: In Pr("Yes"), from 0 to 1.
    """
    if policy.kind == "best":
        return preferred.probability - earlier.probability <= margin
    dear, cheap = earlier.expected_cost or 0.0, preferred.expected_cost or 0.0
    if policy.kind == "value":
        gain = (preferred.probability - earlier.probability) * policy.amount - (cheap - dear)
        return gain <= margin * policy.amount
    wanted = min(policy.amount, preferred.probability)
    return earlier.probability >= wanted - margin and cheap >= CHEAPER * dear
