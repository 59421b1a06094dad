"""Calibration: logits become probabilities, and their order stays."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelsat.scoring.checkpoint import Calibration
from modelsat.tuning.calibrate import fit_calibration, log_loss
from modelsat.types import FloatArray


def outcomes(logits: FloatArray, true: Calibration, rng: np.random.Generator) -> FloatArray:
    return (rng.random(logits.shape) < true.probabilities(logits)).astype(np.float32)


@pytest.mark.parametrize(("temperature", "offset"), [(1.0, 0.0), (2.5, 0.7), (0.5, -1.0)])
def test_a_known_temperature_and_offset_are_found(
    temperature: float, offset: float, rng: np.random.Generator
) -> None:
    logits = rng.normal(0, 2, (4000, 5)).astype(np.float32)
    scores = outcomes(logits, Calibration(temperature=temperature, offset=offset), rng)
    found = fit_calibration(logits, scores)
    assert found.temperature == pytest.approx(temperature, rel=0.1)
    assert found.offset == pytest.approx(offset, abs=0.1)


def test_unknown_outcomes_are_left_out(rng: np.random.Generator) -> None:
    logits = rng.normal(size=(300, 4)).astype(np.float32)
    scores = outcomes(logits, Calibration(temperature=2.0), rng)
    half = scores.copy()
    half[::2] = np.nan
    wild = logits.copy()
    wild[::2] = 50.0
    assert fit_calibration(wild, half) == fit_calibration(logits[1::2], scores[1::2])
    assert log_loss(wild, half) == pytest.approx(log_loss(logits[1::2], scores[1::2]))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-3, 3))
def test_the_order_never_changes(seed: int, agreement: float) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(40, 3)).astype(np.float32)
    scores = (rng.random(logits.shape) < 1 / (1 + np.exp(-agreement * logits))).astype(np.float32)
    found = fit_calibration(logits, scores)
    assert found.temperature > 0
    ranks = np.argsort(logits, axis=None)
    assert (np.diff(found.probabilities(logits).flatten()[ranks]) >= 0).all()


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_outcomes_all_alike_give_the_identity(score: float, rng: np.random.Generator) -> None:
    logits = rng.normal(size=(20, 2)).astype(np.float32)
    assert fit_calibration(logits, np.full((20, 2), score, dtype=np.float32)) == Calibration()


def test_nothing_known_gives_the_identity() -> None:
    nothing = np.full((3, 2), np.nan, dtype=np.float32)
    assert fit_calibration(np.zeros((3, 2), dtype=np.float32), nothing) == Calibration()


def test_logits_that_fall_with_better_outcomes_give_the_identity(rng: np.random.Generator) -> None:
    logits = rng.normal(size=(500, 2)).astype(np.float32)
    scores = (rng.random(logits.shape) < 1 / (1 + np.exp(logits))).astype(np.float32)
    assert fit_calibration(logits, scores) == Calibration()


def test_log_loss_is_the_mean_surprise() -> None:
    logits = np.array([[0.0, 2.0]], dtype=np.float32)
    scores = np.array([[1.0, 0.0]], dtype=np.float32)
    assert log_loss(logits, scores) == pytest.approx((np.log(2) + np.log1p(np.exp(2))) / 2)
