"""Calibration: after tuning, on instructions and candidates that tuning never saw, logits become probabilities."""

import numpy as np
from sklearn.linear_model import LogisticRegression

from modelsat.scoring.checkpoint import Calibration
from modelsat.types import FloatArray


def fit_calibration(logits: FloatArray, scores: FloatArray) -> Calibration:
    """Fit temperature and offset by maximum likelihood; the order of logits never changes.

    Args:
        logits: [instruction, candidate].
        scores: [instruction, candidate] from 0 to 1; NaN where unknown.

    Returns:
        The identity where the outcomes cannot tell (all alike, or worse logits for better outcomes).
    """
    known = ~np.isnan(scores)
    solved = scores[known] > 0.5
    if solved.all() or not solved.any():
        return Calibration()
    model = LogisticRegression(C=1e6).fit(logits[known][:, None], solved)
    slope, intercept = float(model.coef_[0, 0]), float(model.intercept_[0])
    if slope <= 0:
        return Calibration()
    return Calibration(temperature=1.0 / slope, offset=intercept / slope)


def log_loss(logits: FloatArray, scores: FloatArray) -> float:
    """Mean binary cross entropy over known pairs: what checkpoints are chosen by, on validation."""
    known = ~np.isnan(scores)
    value, target = logits[known].astype(np.float64), scores[known]
    return float(np.mean(np.logaddexp(0.0, value) - target * value))
