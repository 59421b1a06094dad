"""How hard each exam item is, and how strong a candidate is overall: the Rasch model.

P(candidate m solves item i) = sigmoid(level_m - difficulty_i). A raw accuracy mixes a candidate's overall level with
its strength in one subject, and depends on which items it happened to sit. Taking the level out item by item leaves
what the rest of the router needs: where a candidate is better or worse than its level says.
"""

import numpy as np

from modelsat.types import FloatArray

# Weak priors: they keep an item that everyone solved, or a candidate that solved none, at a finite place.
_DIFFICULTY_VARIANCE = 4.0
_LEVEL_VARIANCE = 25.0


def solve_probability(level: FloatArray, difficulty: FloatArray) -> FloatArray:
    """P(solved), [candidate, item], from levels [candidate] and difficulties [item], both in logits."""
    return np.asarray(1.0 / (1.0 + np.exp(difficulty[None, :] - level[:, None])), dtype=np.float32)


def estimate_levels(
    answers: FloatArray, weights: FloatArray, difficulty: FloatArray, *, steps: int = 30
) -> FloatArray:
    """Maximum a posteriori level of each candidate, with item difficulties fixed.

    Args:
        answers: [candidate, item] scores from 0 to 1; ignored where the weight is 0.
        weights: [candidate, item] how much each answer counts; 0 for an item that was not sat.
        difficulty: [item] in logits.
        steps: Newton steps.

    Returns:
        [candidate] levels in logits; near 0 for one that sat nothing.
    """
    level = np.zeros(len(answers), dtype=np.float32)
    for _ in range(steps):
        solved = solve_probability(level, difficulty)
        slope = (weights * (answers - solved)).sum(1) - level / _LEVEL_VARIANCE
        curvature = (weights * solved * (1.0 - solved)).sum(1) + 1.0 / _LEVEL_VARIANCE
        # A bounded step: from a far start, Newton's method would overshoot.
        level = (level + np.clip(slope / curvature, -1.0, 1.0)).astype(np.float32)
    return level


def fit_difficulties(answers: FloatArray, weights: FloatArray, *, steps: int = 60) -> FloatArray:
    """Fit item difficulties and candidate levels together, by alternating Newton steps.

    Args:
        answers: [candidate, item] scores from 0 to 1; ignored where the weight is 0.
        weights: [candidate, item] how much each answer counts.
        steps: Rounds of alternation.

    Returns:
        [item] difficulties in logits, with mean 0.
    """
    difficulty = np.zeros(answers.shape[1], dtype=np.float32)
    for _ in range(steps):
        level = estimate_levels(answers, weights, difficulty, steps=3)
        solved = solve_probability(level, difficulty)
        slope = (weights * (solved - answers)).sum(0) - difficulty / _DIFFICULTY_VARIANCE
        curvature = (weights * solved * (1.0 - solved)).sum(0) + 1.0 / _DIFFICULTY_VARIANCE
        difficulty = difficulty + np.clip(slope / curvature, -1.0, 1.0)
        difficulty = (difficulty - difficulty.mean()).astype(np.float32)
    return difficulty
