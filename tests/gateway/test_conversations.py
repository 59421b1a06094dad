"""Conversations stay with their candidate unless another is better by a margin."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.errors import DataError
from modelsat.gateway.conversations import Conversations, Turn, stays
from modelsat.gateway.conversations import read_turn as read_keyed_turn
from modelsat.routing.policy import RoutingPolicy
from modelsat.routing.scorer import score_matrix
from modelsat.types import RankedCandidate
from tests.gateway.parts import Clock, running

USER, ANSWER = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}
NEXT = {"role": "user", "content": "And now?"}
SYSTEM = {"role": "system", "content": "Be brief."}


def read_turn(messages: list[dict[str, Any]], owner: str, key: bytes = b"secret") -> Turn | None:
    return read_keyed_turn(messages, owner, key=key)


def ranked(probability: float, price: float = 1.0) -> RankedCandidate:
    return RankedCandidate(candidate="x", probability=probability, logit=0.0, expected_cost=price)


def test_the_next_turn_begins_where_the_last_one_ended() -> None:
    first, second = read_turn([SYSTEM, USER], "me"), read_turn([SYSTEM, USER, ANSWER, NEXT], "me")
    assert first is not None and second is not None
    assert first.before is None
    assert second.before == first.now
    assert second.conversation == first.conversation
    # A tool's result goes on where the call was made.
    call, result = {"role": "assistant", "tool_calls": [{"id": "1"}]}, {"role": "tool", "content": "4"}
    third = read_turn([SYSTEM, USER, ANSWER, NEXT, call, result], "me")
    assert third is not None
    assert third.before == second.now


def test_conversations_of_others_never_match() -> None:
    mine, yours = read_turn([USER], "me"), read_turn([USER, ANSWER, NEXT], "you")
    other = read_turn([{"role": "user", "content": "Ho"}], "me")
    assert mine is not None and yours is not None and other is not None
    assert mine.now != yours.before
    assert len({mine.conversation, yours.conversation, other.conversation}) == 3
    assert read_turn([], "me") is None


def test_without_the_key_nobody_can_confirm_a_guess() -> None:
    kept, guessed = read_turn([USER], "me"), read_turn([USER], "me", key=b"another")
    assert kept is not None and guessed is not None
    assert {kept.conversation, kept.now}.isdisjoint({guessed.conversation, guessed.now})


def test_turns_are_forgotten_by_age_and_by_number() -> None:
    clock = Clock()
    turns = Conversations(ttl_s=10, limit=2, clock=clock)
    followers = []
    for text in "abc":
        user = {"role": "user", "content": text}
        turns.remember(read_turn([user], ""), text)
        followers.append(read_turn([user, ANSWER, NEXT], ""))
    assert [turns.answered_by(turn) for turn in followers] == [None, "b", "c"]
    clock.seconds += 11
    assert turns.answered_by(followers[2]) is None
    assert len(turns) == 2


@pytest.mark.parametrize(
    ("policy", "earlier", "preferred", "expected"),
    [
        ("best", ranked(0.70), ranked(0.74), True),
        ("best", ranked(0.70), ranked(0.76), False),
        ("value=1", ranked(0.70, 0.10), ranked(0.70, 0.06), True),
        ("value=1", ranked(0.70, 0.10), ranked(0.70, 0.04), False),
        ("value=1", ranked(0.70, 0.10), ranked(0.80, 0.10), False),
        # Good enough by a margin, and the other one is not much cheaper.
        ("cheapest-above=0.6", ranked(0.56, 1.0), ranked(0.60, 0.6), True),
        ("cheapest-above=0.6", ranked(0.54, 1.0), ranked(0.60, 0.6), False),
        ("cheapest-above=0.6", ranked(0.90, 1.0), ranked(0.61, 0.4), False),
        # Nobody reaches the bar: the best one sets it.
        ("cheapest-above=0.9", ranked(0.50, 1.0), ranked(0.53, 1.0), True),
    ],
)
def test_a_margin_decides(
    policy: str, earlier: RankedCandidate, preferred: RankedCandidate, expected: bool
) -> None:
    assert stays(earlier, preferred, RoutingPolicy.parse(policy), margin=0.05) is expected


@given(
    policy=st.sampled_from(["best", "value=0.1", "cheapest-above=0.5"]),
    probability=st.floats(0, 1),
    price=st.floats(0, 1),
    margin=st.floats(0, 1),
)
def test_nobody_leaves_for_their_equal(policy: str, probability: float, price: float, margin: float) -> None:
    same = ranked(probability, price)
    assert stays(same, same, RoutingPolicy.parse(policy), margin=margin)


class Wavering:
    """Prefers `middle` for the first text and `strong`, by a little or by a lot, for others."""

    name = "wavering"

    def __init__(self, lead: float) -> None:
        self.lead = lead

    def score(self, instructions: Any, profiles: Any) -> Any:
        rows = [
            [
                0.5
                + (
                    self.lead
                    if profile.candidate == ("middle" if "First" in text.text[-8:] else "strong")
                    else 0
                )
                for profile in profiles
            ]
            for text in instructions
        ]
        probabilities = np.array(rows, dtype=np.float32)
        return score_matrix(instructions, profiles, logits=probabilities, probabilities=probabilities)


@pytest.mark.anyio
@pytest.mark.parametrize(("lead", "second"), [(0.03, "middle"), (0.3, "strong")])
async def test_a_conversation_stays_unless_another_is_better_by_a_margin(lead: float, second: str) -> None:
    turn = [{"role": "user", "content": "First"}]
    following = [*turn, {"role": "assistant", "content": "Yes."}, {"role": "user", "content": "Second"}]
    async with running(scorer=lambda: Wavering(lead)) as client:
        replies = [
            await client.post("/v1/chat/completions", {"model": "auto", "messages": messages})
            for messages in (turn, following, following[2:])
        ]
    assert [reply.headers["x-modelsat-candidate"] for reply in replies] == ["middle", second, "strong"]
    first, next_, other = client.decisions
    assert first.conversation == next_.conversation != other.conversation
    assert next_.origin == ("conversation" if second == "middle" else "router")
    assert [reply.headers["x-modelsat-origin"] for reply in replies] == ["router", next_.origin, "router"]


@pytest.mark.anyio
async def test_a_conversation_stays_where_the_router_gives_no_scores() -> None:
    class Failing(Wavering):
        def score(self, instructions: Any, profiles: Any) -> Any:
            if any("Second" in instruction.text for instruction in instructions):
                raise DataError("no scores")
            return super().score(instructions, profiles)

    turn = [{"role": "user", "content": "First"}]
    following = [*turn, {"role": "assistant", "content": "Yes."}, {"role": "user", "content": "Second"}]
    async with running(scorer=lambda: Failing(0.03)) as client:
        for messages in (turn, following):
            reply = await client.post("/v1/chat/completions", {"model": "auto", "messages": messages})
    assert reply.headers["x-modelsat-candidate"] == "middle"
    assert (reply.headers["x-modelsat-origin"], client.decisions[1].score) == ("conversation", None)


@pytest.mark.anyio
async def test_a_conversation_follows_who_answered_not_who_was_chosen() -> None:
    turn = [{"role": "user", "content": "First"}]
    following = [*turn, {"role": "assistant", "content": "Yes."}, {"role": "user", "content": "Second"}]
    async with running(sticky_margin=1.0) as client:
        client.endpoints.answers("strong", 500)
        await client.post("/v1/chat/completions", {"model": "auto", "messages": turn})
        client.endpoints.answers("strong")
        reply = await client.post("/v1/chat/completions", {"model": "auto", "messages": following})
    assert reply.headers["x-modelsat-candidate"] == "middle"


@pytest.mark.anyio
async def test_stickiness_can_be_turned_off() -> None:
    turn = [{"role": "user", "content": "First"}]
    following = [*turn, {"role": "assistant", "content": "Yes."}, {"role": "user", "content": "Second"}]
    async with running(scorer=lambda: Wavering(0.03), sticky=False) as client:
        for messages in (turn, following):
            reply = await client.post("/v1/chat/completions", {"model": "auto", "messages": messages})
    assert reply.headers["x-modelsat-candidate"] == "strong"
    assert client.decisions[0].conversation is None
