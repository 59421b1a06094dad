"""Scores that are remembered: what counts as the same question, and when all is forgotten."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelsat.capability.zoo import ModelZoo
from modelsat.routing.router import Router
from modelsat.routing.score_cache import ScoreCache
from modelsat.types import Candidate, CapabilityProfile, Instruction, ScoreMatrix
from tests.evidence import KnownEvidence, known_parts
from tests.profiles import profile


def length_evidence(text: str, candidates: int) -> KnownEvidence:
    ones = np.ones((candidates, 1), dtype=np.float32)
    return KnownEvidence(
        known_parts(tasks=("t",), attention=ones[0], levels=[len(text) / 100] * candidates, residuals=ones)
    )


class Counting:
    """Scores by length of text and strength of candidate; notes what it was asked."""

    name = "counting"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def score(
        self, instructions: Sequence[Instruction], profiles: Sequence[CapabilityProfile]
    ) -> ScoreMatrix:
        self.asked += [instruction.text for instruction in instructions]
        lengths = np.array([[len(row.text) / 100] for row in instructions], dtype=np.float32)
        logits = lengths + np.array([each.level for each in profiles], dtype=np.float32)
        if any(row.text == "broken" for row in instructions):
            logits[:] = np.nan
        return ScoreMatrix(
            instruction_ids=tuple(row.id for row in instructions),
            candidates=tuple(each.candidate for each in profiles),
            logits=logits,
            probabilities=logits,
            evidence=tuple(length_evidence(row.text, len(profiles)) for row in instructions),
        )


def member(name: str, accuracy: float) -> tuple[Candidate, CapabilityProfile]:
    return Candidate(name=name), profile(name, {"law": accuracy})


@pytest.fixture
def router() -> Router:
    zoo = ModelZoo([member("strong", 0.9), member("weak", 0.3)])
    return Router(scorer=Counting(), zoo=zoo, score_cache=ScoreCache())


def asked(router: Router) -> list[str]:
    assert isinstance(router.scorer, Counting)
    return router.scorer.asked


def test_a_repeat_is_not_scored_again(router: Router) -> None:
    first, again = router.route("a question"), router.route("a question")
    assert again == first
    assert asked(router) == ["a question"]


def test_a_batch_asks_only_for_what_is_new_and_once_for_what_comes_twice(router: Router) -> None:
    router.score(["old"])
    scores = router.score(["new", "old", "newer", "new"])
    assert asked(router) == ["old", "new", "newer"]
    expected = Router(scorer=Counting(), zoo=router.zoo).score(["new", "old", "newer", "new"])
    np.testing.assert_array_equal(scores.logits, expected.logits)
    assert scores.instruction_ids == expected.instruction_ids
    for found, wanted in zip(scores.evidence, expected.evidence, strict=True):
        assert found.parts([0]).levels == wanted.parts([0]).levels


@pytest.mark.parametrize("edit", ["a candidate more", "another card", "a candidate less", "another order"])
def test_any_edit_of_the_zoo_forgets_everything(router: Router, edit: str) -> None:
    before = router.score(["a question"])
    if edit == "a candidate more":
        router.zoo.add(*member("new", 0.5))
    else:
        members = {
            "another card": [member("strong", 0.8), member("weak", 0.3)],
            "a candidate less": [member("strong", 0.9)],
            "another order": [member("weak", 0.3), member("strong", 0.9)],
        }
        router.zoo = ModelZoo(members[edit])
    after = router.score(["a question"])
    assert asked(router) == ["a question"] * 2
    assert after.candidates == router.zoo.names
    assert before.candidates == ("strong", "weak")


def test_another_checkpoint_forgets_everything(router: Router) -> None:
    router.score(["a question"])
    router.scorer = Counting()
    assert router.recall(Instruction(id="1", text="a question")) is None
    router.score(["a question"])
    assert asked(router) == ["a question"]


def test_what_a_scorer_may_read_tells_instructions_apart(router: Router) -> None:
    one = Instruction(id="1", text="a question", category="law", answer="A")
    router.score([one, replace(one, id="2", category="maths"), replace(one, id="3", answer="B")])
    assert len(asked(router)) == 2
    remembered = router.recall(replace(one, id="4"))
    assert remembered is not None
    assert remembered.instruction_ids == ("4",)


def test_what_is_no_number_is_not_remembered(router: Router) -> None:
    router.score(["broken"])
    router.score(["broken"])
    assert asked(router) == ["broken"] * 2


def test_a_router_without_memory_scores_everything() -> None:
    router = Router(scorer=Counting(), zoo=ModelZoo([member("strong", 0.9), member("weak", 0.3)]))
    router.route("a question")
    router.route("a question")
    assert router.recall(Instruction(id="1", text="a question")) is None
    assert len(asked(router)) == 2


@settings(max_examples=30, deadline=None)
@given(texts=st.lists(st.text(max_size=3).map(lambda text: text + "."), min_size=1, max_size=60))
def test_memory_is_bounded_and_never_changes_a_score(texts: list[str]) -> None:
    zoo = ModelZoo([member("strong", 0.9), member("weak", 0.3)])
    memory = ScoreCache(megabytes=0.03)
    router, plain = Router(scorer=Counting(), zoo=zoo, score_cache=memory), Router(scorer=Counting(), zoo=zoo)
    for start in range(0, len(texts), 7):
        batch = texts[start : start + 7]
        np.testing.assert_array_equal(router.score(batch).logits, plain.score(batch).logits)
        assert len(memory) <= 7


def test_those_asked_for_longest_ago_go_first() -> None:
    zoo = ModelZoo([member("strong", 0.9), member("weak", 0.3)])
    router = Router(scorer=Counting(), zoo=zoo, score_cache=ScoreCache(megabytes=0.0081))
    for text in ("one", "two", "one", "three", "one", "two"):
        router.score([text])
    assert asked(router) == ["one", "two", "three", "two"]
