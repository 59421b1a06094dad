"""Evidence that is known, for scorers of tests."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from modelsat.types import FloatArray, Instruction, ScoreMatrix, ScoreParts


@dataclass(frozen=True)
class KnownEvidence:
    """Evidence whose parts were worked out beforehand, for all candidates."""

    known: ScoreParts

    def parts(self, columns: Sequence[int]) -> ScoreParts:
        """The parts of the candidates asked."""
        rows = list(columns)
        return replace(
            self.known,
            levels=self.known.levels[rows],
            level_accuracies=self.known.level_accuracies[rows],
            attention=self.known.attention[rows],
            contributions=self.known.contributions[rows],
            residuals=self.known.residuals[rows],
        )


def known_parts(
    *,
    tasks: Sequence[str],
    attention: FloatArray,
    levels: Sequence[float],
    residuals: FloatArray,
    difficulty: float = 0.0,
    similar: bool = True,
) -> ScoreParts:
    """Parts of a score that is the sum of levels and attended residuals.

    Args:
        tasks: Their names.
        attention: [task].
        levels: [candidate] in logits.
        residuals: [candidate, task].
        difficulty: In logits.
        similar: Whether a task is similar to the instruction.
    """
    level = np.array(levels, dtype=np.float32)
    return ScoreParts(
        tasks=tuple(tasks),
        difficulty=difficulty,
        typical=float(1 / (1 + np.exp(-difficulty))),
        levels=level,
        level_accuracies=(1 / (1 + np.exp(-level))).astype(np.float32),
        attention=np.tile(attention, (len(level), 1)),
        contributions=attention * residuals * np.float32(similar),
        residuals=residuals,
    )


def scores_of(
    evidence: Sequence[KnownEvidence], instructions: Sequence[Instruction], candidates: Sequence[str]
) -> ScoreMatrix:
    """The scores that add up from evidence; P(right) is the logistic function of a logit."""
    rows = [one.known for one in evidence]
    logits = np.stack([row.difficulty + row.levels + row.contributions.sum(1) for row in rows])
    return ScoreMatrix(
        instruction_ids=tuple(instruction.id for instruction in instructions),
        candidates=tuple(candidates),
        logits=logits.astype(np.float32),
        probabilities=(1 / (1 + np.exp(-logits))).astype(np.float32),
        evidence=tuple(evidence),
    )
