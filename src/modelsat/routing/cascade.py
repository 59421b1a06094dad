"""A cascade: a student scores everything, and its teacher what the student finds too close to call."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from modelsat.errors import DataError
from modelsat.routing.scorer import identity_of
from modelsat.scoring.scorer import TwoPhaseScorer, lead
from modelsat.types import CapabilityProfile, FloatArray, Instruction, ScoreMatrix


class CascadeScorer:
    """Two tuned routers as one scorer.

    Which of the two scored an instruction depends on the candidates at hand, whose best two are compared; a score is
    the one's or the other's, and depends as ever on the candidate's own card alone.

    Args:
        student: Asked first.
        teacher: Asked where the student's best two are close.
        margin: Logits between the best two below which the teacher is asked.

    Raises:
        DataError: The two were tuned with different exams.
    """

    name = "Model-SAT cascade"

    def __init__(self, student: TwoPhaseScorer, teacher: TwoPhaseScorer, *, margin: float) -> None:
        if student.statistics.exam_hash != teacher.statistics.exam_hash:
            raise DataError(
                f"the student was tuned with the exam {student.statistics.exam_hash}, the teacher with "
                f"{teacher.statistics.exam_hash}; a cascade needs one exam."
            )
        self.student = student
        self.teacher = teacher
        self.margin = margin
        self.identity = f"cascade of {identity_of(student)} and {identity_of(teacher)}"

    def score(
        self, instructions: Sequence[Instruction], profiles: Sequence[CapabilityProfile]
    ) -> ScoreMatrix:
        """Score every candidate on every instruction; see `modelsat.routing.scorer.Scorer`."""
        first = self.student.score(instructions, profiles)
        rows = np.flatnonzero(too_close(first.logits, self.margin))
        if not len(rows):
            return first
        asked = [instructions[row] for row in rows.tolist()]
        return with_rows(first, rows, self.teacher.score(asked, profiles))


def too_close(logits: FloatArray, margin: float) -> NDArray[np.bool_]:
    """Where the best two candidates are closer than a margin, [instruction]; nowhere for a single candidate."""
    if logits.shape[1] < 2:
        return np.zeros(len(logits), dtype=np.bool_)
    return lead(logits) < margin


def with_rows(scores: ScoreMatrix, rows: NDArray[np.intp], other: ScoreMatrix) -> ScoreMatrix:
    """Scores with some rows taken from another matrix of the same candidates and exam.

    Args:
        scores: All rows.
        rows: Which are replaced.
        other: By what, in their order.
    """
    logits, probabilities = scores.logits.copy(), scores.probabilities.copy()
    logits[rows], probabilities[rows] = other.logits, other.probabilities
    evidence = list(scores.evidence)
    for row, one in zip(rows.tolist(), other.evidence, strict=True):
        evidence[row] = one
    return replace(scores, logits=logits, probabilities=probabilities, evidence=tuple(evidence))
