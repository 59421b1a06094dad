"""A cascade: a student scores everything, and its teacher what the student finds too close to call."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from modelsat.errors import DataError
from modelsat.routing.scorer import identity_of
from modelsat.scoring.scorer import TwoPhaseScorer, lead
from modelsat.types import CapabilityProfile, Instruction, ScoreMatrix


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
        rows = np.flatnonzero(lead(first.logits) < self.margin)
        if not len(rows):
            return first
        second = self.teacher.score([instructions[row] for row in rows.tolist()], profiles)
        logits, probabilities = first.logits.copy(), first.probabilities.copy()
        logits[rows], probabilities[rows] = second.logits, second.probabilities
        evidence = list(first.evidence)
        for row, one in zip(rows.tolist(), second.evidence, strict=True):
            evidence[row] = one
        return replace(first, logits=logits, probabilities=probabilities, evidence=tuple(evidence))
