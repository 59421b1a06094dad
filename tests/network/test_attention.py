"""Layout exam_attention as a scorer: instruction and card make a score, and nothing else does."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

import numpy as np
import pytest
import torch

from modelsat.network.attention import AttentionHead, CardTensors
from modelsat.network.load import load_scorer
from modelsat.scoring.config import AttentionConfig
from modelsat.scoring.scorer import ExamAttentionScorer
from modelsat.types import CapabilityProfile, FloatArray, Instruction, ScoreMatrix, ScoreParts, TaskResult

from ..scoring.test_numeric_encoder import SHOTS, TASKS
from .conftest import save_backbone, save_encoder
from .small_router import save_router, small_profiles

TEXTS = [
    "solve x + 2 = 5",
    "a",
    "which court hears the appeal of a contract case between two companies of different states, and why? "
    * 3,
    "cells",
    "Ünïcode \U0001f9ec and\nnew lines",
]
INSTRUCTIONS = [Instruction(id=f"i{at}", text=text) for at, text in enumerate(TEXTS)]

MakeScorer = Callable[[float], ExamAttentionScorer]


@pytest.fixture(scope="module")
def make_scorer(tmp_path_factory: pytest.TempPathFactory) -> MakeScorer:
    folder = tmp_path_factory.mktemp("small")
    backbone, encoder = save_backbone(folder / "backbone", "llama"), save_encoder(folder / "encoder")

    def make(in_domain_threshold: float) -> ExamAttentionScorer:
        path = save_router(
            folder / "router", backbone=backbone, encoder=encoder, in_domain_threshold=in_domain_threshold
        )
        return cast("ExamAttentionScorer", load_scorer(path))

    return make


@pytest.fixture(scope="module")
def scorer(make_scorer: MakeScorer) -> ExamAttentionScorer:
    """Every instruction counts as spoken for."""
    return make_scorer(-1.0)


def other_exam(name: str = "niche") -> CapabilityProfile:
    return CapabilityProfile(
        candidate=name,
        exam="sql",
        exam_hash="another",
        results=(
            TaskResult(task="joins", keywords=("joins", "tables"), accuracy=0.9, shots=20),
            TaskResult(task="windows", keywords=("windows",), accuracy=0.3, shots=20),
        ),
    )


def with_other_exam() -> CapabilityProfile:
    return replace(small_profiles()[0], candidate="both", other_exams=(other_exam(),))


def part_of_exam() -> CapabilityProfile:
    first = small_profiles()[0]
    return replace(first, candidate="part", results=first.results[:1])


def mixed_zoo() -> list[CapabilityProfile]:
    return [*small_profiles(), other_exam(), part_of_exam()]


def logits(
    scorer: ExamAttentionScorer,
    profiles: Sequence[CapabilityProfile],
    instructions: Sequence[Instruction] = INSTRUCTIONS,
) -> FloatArray:
    return scorer.score(instructions, profiles).logits


def all_parts(result: ScoreMatrix) -> list[ScoreParts]:
    """Of every instruction, for all candidates."""
    return [evidence.parts(range(len(result.candidates))) for evidence in result.evidence]


def test_scores_tell_candidates_and_instructions_apart(scorer: ExamAttentionScorer) -> None:
    found = logits(scorer, small_profiles())
    assert (found.std(0) > 1e-3).all()
    assert (found.std(1) > 1e-3).all()


def test_scores_follow_candidates_whatever_their_order(scorer: ExamAttentionScorer) -> None:
    zoo = mixed_zoo()
    order = np.random.default_rng(0).permutation(len(zoo))
    shuffled = logits(scorer, [zoo[at] for at in order])
    np.testing.assert_allclose(shuffled, logits(scorer, zoo)[:, order], atol=1e-5)


def test_scores_do_not_depend_on_company(scorer: ExamAttentionScorer) -> None:
    zoo = mixed_zoo()
    together = logits(scorer, zoo)
    for column, profile in enumerate(zoo):
        np.testing.assert_allclose(logits(scorer, [profile])[:, 0], together[:, column], atol=1e-5)


def test_mixed_lengths_together_equal_one_by_one(scorer: ExamAttentionScorer) -> None:
    together = scorer.score(INSTRUCTIONS, mixed_zoo())
    for row, instruction in enumerate(INSTRUCTIONS):
        alone = scorer.score([instruction], mixed_zoo())
        assert alone.instruction_ids == (instruction.id,)
        np.testing.assert_allclose(alone.logits[0], together.logits[row], atol=1e-4)
        np.testing.assert_allclose(
            all_parts(alone)[0].contributions, all_parts(together)[row].contributions, atol=1e-4
        )


def test_more_instructions_than_a_batch_come_back_in_order(scorer: ExamAttentionScorer) -> None:
    many = [Instruction(id=str(at), text="law " * (at % 7 + 1) + str(at)) for at in range(70)]
    together = scorer.score(many, small_profiles())
    assert together.instruction_ids == tuple(str(at) for at in range(70))
    for row in (0, 33, 69):
        np.testing.assert_allclose(
            logits(scorer, small_profiles(), [many[row]])[0], together.logits[row], atol=1e-4
        )


@pytest.mark.parametrize("threshold", [-1.0, 0.6, 2.0])
def test_the_parts_of_a_score_add_up_to_it(make_scorer: MakeScorer, threshold: float) -> None:
    """Whether all, some or none of the tasks are similar to the instruction, and whatever was sat."""
    result = make_scorer(threshold).score(INSTRUCTIONS, [*mixed_zoo(), with_other_exam()])
    for row, parts in enumerate(all_parts(result)):
        total = parts.difficulty + parts.levels + parts.contributions.sum(1)
        np.testing.assert_allclose(total, result.logits[row], atol=1e-5)
        for column in range(len(result.candidates)):
            alone = result.evidence[row].parts([column])
            np.testing.assert_allclose(alone.contributions[0], parts.contributions[column], atol=1e-6)


def test_attention_goes_to_what_a_candidate_sat(scorer: ExamAttentionScorer) -> None:
    zoo = [small_profiles()[0], other_exam(), with_other_exam()]
    for parts in all_parts(scorer.score(INSTRUCTIONS, zoo)):
        assert parts.tasks == (*TASKS, "sql: joins", "sql: windows")
        assert (parts.attention >= 0).all()
        np.testing.assert_allclose(parts.attention.sum(1), 1.0, atol=1e-5)
        own = parts.attention[:, : len(TASKS)].sum(1)
        np.testing.assert_allclose(own[:2], [1.0, 0.0], atol=1e-5)
        assert 0 < own[2] < 1


def test_residuals_are_score_above_the_level(scorer: ExamAttentionScorer) -> None:
    """A task's contribution has the sign of the residual, which is no more than a score can be above or below."""
    for parts in all_parts(scorer.score(INSTRUCTIONS, mixed_zoo())):
        told = np.abs(parts.residuals) > 1e-4
        assert (np.sign(parts.contributions)[told] == np.sign(parts.residuals)[told]).all()
        assert (np.abs(parts.residuals) <= 1).all()
        sql = parts.residuals[len(small_profiles()), len(TASKS) :]
        assert sql[0] > 0 > sql[1]


def test_what_encoded_instructions_score_has_no_evidence(scorer: ExamAttentionScorer) -> None:
    features = scorer.encode(INSTRUCTIONS)
    assert scorer.score_encoded(INSTRUCTIONS, features, small_profiles()).evidence == ()


def test_what_no_item_speaks_for_is_scored_by_level_alone(make_scorer: MakeScorer) -> None:
    """Two candidates of one level then score alike, however their answers are spread over the tasks."""
    spread = small_profiles()[0]
    accuracies = {result.task: result for result in spread.results}
    turned = replace(
        spread,
        candidate="turned",
        results=tuple(
            replace(accuracies[task], task=name) for task, name in zip(TASKS, TASKS[::-1], strict=True)
        ),
    )
    strict = make_scorer(2.0)
    # Answers turned round between tasks leave the level where all items are equally hard.
    statistics = replace(strict.statistics, difficulty=np.zeros(len(TASKS) * SHOTS, dtype=np.float32))
    for scorer, level_only in ((strict, True), (make_scorer(-1.0), False)):
        scorer.statistics = statistics
        result = scorer.score(INSTRUCTIONS, [spread, turned])
        assert [not parts.contributions.any() for parts in all_parts(result)] == [level_only] * len(TEXTS)
        gap = np.abs(result.logits[:, 0] - result.logits[:, 1]).max()
        assert (gap < 1e-5) == level_only


def test_another_exam_and_part_of_the_exam_say_something(scorer: ExamAttentionScorer) -> None:
    better = replace(
        other_exam(), results=tuple(replace(result, accuracy=0.99) for result in other_exam().results)
    )
    found = logits(scorer, [other_exam(), better, part_of_exam(), small_profiles()[0]])
    assert np.isfinite(found).all()
    assert np.abs(found[:, 0] - found[:, 1]).min() > 1e-3
    assert np.abs(found[:, 2] - found[:, 3]).min() > 1e-3


def test_other_exams_do_not_speak_for_candidates_that_did_not_sit_them(scorer: ExamAttentionScorer) -> None:
    one, other = other_exam(), replace(other_exam("second"), exam="cooking", exam_hash="third")
    np.testing.assert_allclose(logits(scorer, [one, other])[:, 0], logits(scorer, [one])[:, 0], atol=1e-5)


@pytest.mark.parametrize("count", [1, 1000])
def test_zoos_of_any_size_are_scored(scorer: ExamAttentionScorer, count: int) -> None:
    base = small_profiles()
    zoo = [replace(base[at % len(base)], candidate=f"c{at}") for at in range(count)]
    result = scorer.score(INSTRUCTIONS, zoo)
    assert result.logits.shape == result.probabilities.shape == (len(TEXTS), count)
    assert result.candidates == tuple(profile.candidate for profile in zoo)
    np.testing.assert_allclose(result.logits, logits(scorer, base)[:, np.arange(count) % 6], atol=1e-5)


def test_probabilities_are_calibrated_and_keep_the_order(scorer: ExamAttentionScorer) -> None:
    result = scorer.score(INSTRUCTIONS, small_profiles())
    expected = 1 / (1 + np.exp(-(result.logits - 0.25) / 1.5))
    np.testing.assert_allclose(result.probabilities, expected, atol=1e-5)


def test_changed_cards_are_read_anew(scorer: ExamAttentionScorer) -> None:
    zoo = small_profiles()
    first = logits(scorer, zoo)
    np.testing.assert_allclose(logits(scorer, zoo), first, atol=1e-6)
    np.testing.assert_allclose(logits(scorer, zoo[::-1]), first[:, ::-1], atol=1e-5)


def test_a_head_attends_by_weight_and_leaves_out_what_was_not_sat() -> None:
    torch.manual_seed(0)
    head = AttentionHead(features=6, text=4, config=AttentionConfig(hidden=8, query=4)).eval()
    keys, features = torch.randn(5, 4), torch.randn(3, 6)
    residuals, weights = torch.randn(2, 5), torch.ones(2, 5)
    weights[1, 3:] = 0
    cards = CardTensors(levels=torch.zeros(2), residuals=residuals, weights=weights, keys=keys)
    _, attended, unnormalised_attention = head(features, cards)
    assert torch.allclose(unnormalised_attention.amax(1), torch.ones(3))
    for candidate, units in ((0, 5), (1, 3)):
        share = unnormalised_attention[:, :units] / unnormalised_attention[:, :units].sum(1, keepdim=True)
        expected = head.residual_weight * (share @ residuals[candidate, :units])
        assert torch.allclose(attended[:, candidate], expected, atol=1e-5)


def test_what_was_read_once_serves_any_cards(scorer: ExamAttentionScorer) -> None:
    readings = scorer.encode(INSTRUCTIONS)
    for zoo in (small_profiles(), mixed_zoo()):
        judged = scorer.score_encoded(INSTRUCTIONS, readings, zoo)
        np.testing.assert_array_equal(judged.logits, scorer.score(INSTRUCTIONS, zoo).logits)
