"""Baselines on data whose answer is known: candidates that are good at one subject each."""

import numpy as np
import pytest

from modelsat.bench.baselines.by_name import BestSingle
from modelsat.bench.baselines.learners import CandidateRegressions
from modelsat.bench.baselines.neighbours import (
    Clusters,
    ExamNeighbours,
    NearestNeighbours,
)
from modelsat.capability.aptitude import AptitudeTest, ExamItem, ExamTask
from modelsat.capability.grading import grade
from modelsat.errors import DataError
from modelsat.records.table import OutcomeTable
from modelsat.routing.scorer import Level, Scorer
from modelsat.types import CapabilityProfile
from tests.bench.baselines.small_world import CANDIDATES, GOOD_AT, PROFILES, SUBJECTS, TEST, TUNING, embed
from tests.profiles import profile

FITTED: dict[str, Scorer] = {
    "neighbours": NearestNeighbours(TUNING, embed, k=10),
    "clusters": Clusters(TUNING, embed, k=3),
    "logistic": CandidateRegressions(TUNING, embed),
}


def exam() -> tuple[AptitudeTest, list[CapabilityProfile]]:
    tasks = tuple(
        ExamTask(
            name=subject,
            keywords=(subject,),
            items=tuple(ExamItem.of(row) for row in TUNING.instructions if row.task == subject)[:10],
        )
        for subject in SUBJECTS
    )
    test = AptitudeTest(name="tiny", dataset="tiny", tasks=tasks)
    return test, grade(TUNING, test)


@pytest.mark.parametrize("name", FITTED)
def test_embedding_baselines_find_who_is_good_at_what(name: str) -> None:
    scores = FITTED[name].score(TEST.instructions, PROFILES)
    chosen = [scores.candidates[column] for column in scores.logits.argmax(axis=1)]
    assert [GOOD_AT[candidate] for candidate in chosen] == [row.task for row in TEST.instructions]


def test_exam_neighbours_serve_a_candidate_that_no_one_tuned_on() -> None:
    test, profiles = exam()
    scorer = ExamNeighbours(test, TUNING.instructions, embed, k=5)
    newcomer = profile("newcomer", {"maths": 0.6})
    scores = scorer.score(TEST.instructions, [*profiles, newcomer])
    maths = [row.task == "maths" for row in TEST.instructions]
    assert (scores.logits[maths].argmax(axis=1) == 2).all()
    np.testing.assert_allclose(scores.probabilities[:, 3], 0.6, rtol=1e-5)


def test_exam_neighbours_need_the_exams_texts() -> None:
    test, _ = exam()
    with pytest.raises(DataError, match=r"30 of its items \(e.g. 'law/0'\) are not among"):
        ExamNeighbours(test, TEST.instructions, embed)


@pytest.mark.parametrize("scorer", [*FITTED.values(), BestSingle(TUNING)], ids=lambda scorer: scorer.name)
def test_fitted_baselines_refuse_a_candidate_they_do_not_know(scorer: Scorer) -> None:
    with pytest.raises(DataError, match="was not fitted on newcomer"):
        scorer.score(TEST.instructions, [profile("newcomer", {"law": 1.0})])


@pytest.mark.parametrize(
    "scorer", [*FITTED.values(), BestSingle(TUNING), Level()], ids=lambda scorer: scorer.name
)
def test_order_and_company_do_not_change_a_score(scorer: Scorer) -> None:
    whole = scorer.score(TEST.instructions, PROFILES)
    turned = scorer.score(TEST.instructions[::-1], PROFILES[::-1])
    alone = scorer.score(TEST.instructions[:1], PROFILES[:1])
    np.testing.assert_allclose(whole.logits, turned.logits[::-1, ::-1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(whole.logits[:1, :1], alone.logits, rtol=1e-5, atol=1e-6)


def test_best_single_and_level_do_not_read() -> None:
    best = BestSingle(TUNING).score(TEST.instructions, PROFILES)
    assert (best.logits.argmax(axis=1) == 1).all()
    level = Level().score(TEST.instructions, [profile("a", {"law": 0.2}), profile("b", {"law": 0.7})])
    np.testing.assert_allclose(level.probabilities, [[0.2, 0.7]] * len(TEST), rtol=1e-6)


def test_missing_outcomes_do_not_count_as_failures() -> None:
    scores = TUNING.scores.copy()
    scores[::2, 0] = np.nan
    sparse = OutcomeTable(
        instructions=TUNING.instructions,
        candidates=CANDIDATES,
        scores=scores,
        output_tokens=TUNING.output_tokens,
    )
    full, part = (
        NearestNeighbours(table, embed, k=20).score(TEST.instructions, PROFILES) for table in (TUNING, sparse)
    )
    np.testing.assert_allclose(full.probabilities[:, 0], part.probabilities[:, 0])
