"""A cascade asks the teacher exactly where the student's best two are close."""

from pathlib import Path

import numpy as np
import pytest

from modelsat.errors import DataError
from modelsat.network.load import load_scorer
from modelsat.routing.cascade import CascadeScorer
from modelsat.routing.load import load_cascade
from modelsat.scoring.scorer import lead
from modelsat.types import Instruction

from ..network.conftest import save_backbone, save_encoder
from ..network.small_router import save_router, small_profiles
from ..network.small_student import save_student

ASKED = [Instruction(id=str(at), text=f"question {'x' * at} {at}") for at in range(12)]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A student and a teacher, each in its folder."""
    folder = tmp_path_factory.mktemp("pair")
    encoder, backbone = save_encoder(folder / "encoder"), save_backbone(folder / "backbone", "llama")
    return (
        save_student(folder / "student", encoder=encoder),
        save_router(folder / "teacher", backbone=backbone, encoder=encoder),
    )


def test_each_row_is_the_students_or_the_teachers(pair: tuple[Path, Path]) -> None:
    student, teacher = (load_scorer(folder) for folder in pair)
    profiles = small_profiles()
    first, second = student.score(ASKED, profiles), teacher.score(ASKED, profiles)
    gaps = np.diff(np.sort(first.logits, axis=1)[:, -2:], axis=1)[:, 0]
    margin = float(np.median(gaps))
    cascade = CascadeScorer(student, teacher, margin=margin)  # type: ignore[arg-type]
    found = cascade.score(ASKED, profiles)
    asked = gaps < margin
    assert 0 < asked.sum() < len(ASKED)
    np.testing.assert_allclose(found.logits, np.where(asked[:, None], second.logits, first.logits), atol=1e-5)
    for row, chosen in enumerate(np.where(asked, "teacher", "student")):
        wanted = (second if chosen == "teacher" else first).evidence[row].parts([0])
        np.testing.assert_allclose(
            found.evidence[row].parts([0]).contributions, wanted.contributions, atol=1e-5
        )


def test_the_margin_of_the_students_checkpoint_is_taken(pair: tuple[Path, Path]) -> None:
    cascade = load_cascade(*pair, runtime="torch")
    assert isinstance(cascade, CascadeScorer)
    assert cascade.margin == 0.2


def test_a_single_candidate_is_never_too_close() -> None:
    assert np.isinf(lead(np.zeros((3, 1), dtype=np.float32))).all()


def test_a_cascade_begins_with_a_student(pair: tuple[Path, Path]) -> None:
    with pytest.raises(DataError, match="not a student's checkpoint"):
        load_cascade(pair[1], pair[1], runtime="torch")
