"""Learners on embeddings, alone and with the card, on data whose answer is known."""

import numpy as np
import pytest

from modelsat.bench.baselines.by_name import BestSinglePerGroup
from modelsat.bench.baselines.factorisation import MatrixFactorisation
from modelsat.bench.baselines.learners import CandidateLearner, CardLearner, Learner
from modelsat.errors import DataError
from modelsat.records.table import OutcomeTable
from modelsat.routing.scorer import Scorer
from modelsat.types import Instruction
from tests.bench.baselines.small_world import (
    CANDIDATES,
    GOOD_AT,
    PROFILES,
    SUBJECTS,
    TEST,
    TUNING,
    embed,
    table_of,
)
from tests.profiles import profile

MANY = table_of(range(100))
# A card says what a candidate is good at; a fourth candidate was never learnt from.
CARDS = tuple(
    profile(name, {subject: 0.9 if GOOD_AT[name] == subject else 0.1 for subject in SUBJECTS})
    for name in CANDIDATES
)
BY_NAME: dict[str, Scorer] = {
    "forest": CandidateLearner("random forest", MANY, embed, trees=20),
    "factors": MatrixFactorisation(MANY, embed, rank=4),
    "per subject": BestSinglePerGroup(MANY, lambda rows: [row.task for row in rows], group="subject"),
}


@pytest.mark.parametrize("name", BY_NAME)
def test_every_instruction_goes_to_the_candidate_that_is_good_at_it(name: str) -> None:
    scores = BY_NAME[name].score(TEST.instructions, PROFILES)
    chosen = [scores.candidates[column] for column in scores.logits.argmax(axis=1)]
    assert [GOOD_AT[candidate] for candidate in chosen] == [row.task for row in TEST.instructions]
    assert ((scores.probabilities > 0) & (scores.probabilities < 1)).all()


@pytest.mark.parametrize("name", BY_NAME)
def test_one_who_was_not_fitted_on_is_refused_by_name(name: str) -> None:
    with pytest.raises(DataError, match="not fitted on stranger"):
        BY_NAME[name].score(TEST.instructions, [profile("stranger", {"law": 0.5})])


def test_a_network_on_embeddings_learns_who_is_good_at_what() -> None:
    scores = CandidateLearner("MLP", MANY, embed).score(TEST.instructions, PROFILES)
    own = np.array([[GOOD_AT[name] == row.task for name in CANDIDATES] for row in TEST.instructions])
    assert scores.probabilities[own].mean() > scores.probabilities[~own].mean() + 0.1


@pytest.mark.parametrize("learner", ["random forest", "MLP", "logistic regression"])
def test_with_the_card_a_stranger_is_served_like_its_double(learner: Learner) -> None:
    scorer = CardLearner(learner, MANY, CARDS, embed, trees=20)
    double = profile("stranger", {subject: 0.9 if subject == "code" else 0.1 for subject in SUBJECTS})
    scores = scorer.score(TEST.instructions, [*CARDS, double])
    np.testing.assert_array_equal(scores.logits[:, 3], scores.logits[:, CANDIDATES.index("coder")])
    assert scorer.name == f"{learner} + card"


def test_with_the_card_a_forest_sees_what_goes_with_what() -> None:
    scores = CardLearner("random forest", MANY, CARDS, embed, trees=50).score(TEST.instructions, CARDS)
    chosen = [scores.candidates[column] for column in scores.logits.argmax(axis=1)]
    assert [GOOD_AT[candidate] for candidate in chosen] == [row.task for row in TEST.instructions]


def test_where_nothing_was_solved_nothing_is_promised() -> None:
    nothing = OutcomeTable(
        instructions=TUNING.instructions,
        candidates=CANDIDATES,
        scores=np.zeros_like(TUNING.scores),
        output_tokens=TUNING.output_tokens,
    )
    scores = CardLearner("random forest", nothing, CARDS, embed, trees=5).score(TEST.instructions, CARDS)
    assert (scores.probabilities < 0.01).all()


def test_the_same_seed_gives_the_same_scores() -> None:
    def scores(seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        scorer = CardLearner("MLP", MANY, CARDS, embed, pairs=200, seed=seed)
        return scorer.score(TEST.instructions, CARDS).logits

    np.testing.assert_array_equal(scores(1), scores(1))
    assert (scores(1) != scores(2)).any()


def test_a_subject_without_tuning_outcomes_gets_the_overall_best() -> None:
    scorer = BestSinglePerGroup(TUNING, lambda rows: [row.task for row in rows], group="subject")
    unknown = Instruction(id="x", text="law 1", task="cooking")
    scores = scorer.score([unknown], PROFILES)
    assert scores.candidates[int(scores.logits[0].argmax())] == "jurist"
    assert scorer.name == "best single per subject"


def test_factors_learn_around_missing_outcomes() -> None:
    holes = MANY.scores.copy()
    holes[::3, 0] = np.nan
    holed = OutcomeTable(
        instructions=MANY.instructions,
        candidates=CANDIDATES,
        scores=holes,
        output_tokens=MANY.output_tokens,
    )
    scores = MatrixFactorisation(holed, embed, rank=4).score(TEST.instructions, PROFILES)
    assert np.isfinite(scores.logits).all()
