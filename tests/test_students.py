"""The shipped students, on real weights: they load without torch, agree with torch, and mostly with their teacher."""

from pathlib import Path

import numpy as np
import pytest

from modelsat.capability.zoo import ModelZoo
from modelsat.routing.cascade import CascadeScorer
from modelsat.routing.load import checkpoint_folder, load_tuned
from modelsat.routing.router import Router
from modelsat.scoring.checkpoint import load_checkpoint
from modelsat.types import Instruction

pytestmark = pytest.mark.slow

ASKED = [
    Instruction(id=str(at), text=text)
    for at, text in enumerate(
        (
            "Which vitamin does human skin make when the sun shines on it?",
            "Find all real x with x^3 - 6x^2 + 11x - 6 = 0.",
            "What must a contract have to bind a minor?",
            "Which gas law relates pressure and volume at constant temperature?",
        )
    )
]


@pytest.mark.parametrize("name", ["fast", "fastest"])
def test_a_shipped_student_scores_alike_on_both_runtimes(name: str) -> None:
    profiles = ModelZoo.shipped().profiles
    here = load_tuned(name, runtime="onnx-fp32").score(ASKED, profiles)
    there = load_tuned(name, runtime="torch").score(ASKED, profiles)
    np.testing.assert_allclose(here.logits, there.logits, atol=2e-3)
    accurate = load_tuned().score(ASKED, profiles)
    assert np.corrcoef(here.logits.ravel(), accurate.logits.ravel())[0, 1] > 0.8


@pytest.mark.parametrize("name", ["fast", "fastest"])
def test_a_shipped_student_is_small(name: str) -> None:
    folder = checkpoint_folder(name)
    assert sum(path.stat().st_size for path in Path(folder).iterdir()) < 10e6
    assert (load_checkpoint(folder).margin or 0) > 0


def test_the_shipped_cascade_asks_sometimes() -> None:
    cascade = load_tuned("cascade")
    assert isinstance(cascade, CascadeScorer)
    student = cascade.student.score(ASKED, ModelZoo.shipped().profiles)
    found = cascade.score(ASKED, ModelZoo.shipped().profiles)
    assert found.logits.shape == student.logits.shape


def test_every_engine_routes() -> None:
    for engine in ("fast", "fastest", "cascade"):
        decision = Router.load(engine).route(ASKED[0].text)
        assert decision.reasons
