"""The Rasch model finds levels and difficulties that generated the answers."""

import numpy as np

from modelsat.capability.irt import estimate_levels, fit_difficulties, solve_probability


def simulate(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    level = np.linspace(-1.5, 1.5, 30).astype(np.float32)
    difficulty = rng.normal(0, 1, 400).astype(np.float32)
    answers = (rng.random((30, 400)) < solve_probability(level, difficulty)).astype(np.float32)
    return level, difficulty, answers


def test_fit_recovers_what_generated_the_answers(rng: np.random.Generator) -> None:
    level, difficulty, answers = simulate(rng)
    fitted = fit_difficulties(answers, np.ones_like(answers))
    assert np.corrcoef(fitted, difficulty)[0, 1] > 0.9
    estimated = estimate_levels(answers, np.ones_like(answers), fitted)
    assert np.abs((estimated - estimated.mean()) - (level - level.mean())).max() < 0.5


def test_a_level_does_not_depend_on_which_items_were_sat(rng: np.random.Generator) -> None:
    _, difficulty, answers = simulate(rng)
    easy = (difficulty < 0)[None].repeat(30, axis=0).astype(np.float32)
    from_easy = estimate_levels(answers, easy, difficulty)
    from_hard = estimate_levels(answers, 1 - easy, difficulty)
    assert abs(float((from_easy - from_hard).mean())) < 0.1
    raw_gap = answers[:, difficulty < 0].mean() - answers[:, difficulty >= 0].mean()
    assert raw_gap > 0.2


def test_extreme_candidates_keep_finite_levels() -> None:
    difficulty = np.zeros(50, dtype=np.float32)
    answers = np.stack([np.zeros(50), np.ones(50)]).astype(np.float32)
    low, high = estimate_levels(answers, np.ones_like(answers), difficulty)
    assert -20 < low < 0 < high < 20
    nothing = estimate_levels(answers[:1], np.zeros((1, 50), np.float32), difficulty)
    assert nothing[0] == 0
