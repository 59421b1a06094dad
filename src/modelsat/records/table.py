"""Outcomes as one dense matrix: instructions x candidates."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelsat.errors import DataError
from modelsat.records.outcomes import Outcomes
from modelsat.types import FloatArray, Instruction, Outcome, column_index


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OutcomeTable:
    """Who got which instruction right.

    Attributes:
        instructions: Names of the rows.
        candidates: Names of the columns, sorted.
        scores: [instruction, candidate], from 0 to 1; NaN where there is no outcome.
        output_tokens: [candidate]; mean tokens of an answer, NaN where unknown.
    """

    instructions: tuple[Instruction, ...]
    candidates: tuple[str, ...]
    scores: FloatArray
    output_tokens: FloatArray

    def __post_init__(self) -> None:
        shape = (len(self.instructions), len(self.candidates))
        if self.scores.shape != shape or self.output_tokens.shape != shape[1:]:
            raise DataError(
                f"outcome table: scores {self.scores.shape}, output_tokens {self.output_tokens.shape}; "
                f"expected {shape} and {shape[1:]}."
            )

    @classmethod
    def from_records(
        cls,
        instructions: Sequence[Instruction],
        outcomes: Sequence[Outcome],
        *,
        dataset: str | Sequence[str] | None = None,
        source: str | Sequence[str] | None = None,
        candidates: Sequence[str] | None = None,
        complete: bool = False,
    ) -> "OutcomeTable":
        """Arrange outcomes by instruction and candidate.

        Instructions without any outcome are left out; the others keep their order. Several outcomes of one
        candidate on one instruction are averaged.

        Args:
            instructions: Instructions to arrange by; outcomes on others are left out.
            outcomes: Outcomes, best as `Outcomes`.
            dataset: Keep instructions of this dataset (or these) only.
            source: Keep outcomes of this protocol (or these) only; outcomes of different protocols do not
                compare.
            candidates: Keep these candidates only (default: all that have an outcome).
            complete: Keep only instructions on which every candidate has an outcome.

        Raises:
            DataError: Nothing is left, or a wanted candidate has no outcome.
        """
        columns = Outcomes.of(outcomes)
        datasets = _names(dataset)
        kept = [row for row in instructions if datasets is None or row.dataset in datasets]
        row_of_id = {instruction.id: row for row, instruction in enumerate(kept)}
        row_of_code = np.array([row_of_id.get(key, -1) for key in columns.instruction_ids], dtype=np.int64)
        rows = row_of_code[columns.instruction_index] if len(columns) else np.zeros(0, np.int64)
        used = rows >= 0
        sources = _names(source)
        if sources is not None:
            wanted = np.array([name in sources for name in columns.sources], dtype=np.bool_)
            used &= wanted[columns.source_index]
        present = sorted(columns.candidates[code] for code in np.unique(columns.candidate_index[used]))
        names = (
            present
            if candidates is None
            else [present[at] for at in sorted(column_index(present, candidates))]
        )
        column_of_name = {name: at for at, name in enumerate(names)}
        column_of_code = np.array(
            [column_of_name.get(name, -1) for name in columns.candidates], dtype=np.int64
        )
        all_columns = column_of_code[columns.candidate_index]
        used &= all_columns >= 0
        scores, tokens = _dense(columns, rows, all_columns, used, (len(kept), len(names)))
        answered = ~np.isnan(scores)
        keep = answered.all(axis=1) if complete else answered.any(axis=1)
        if not names or not keep.any():
            raise DataError("no outcomes are left; check dataset, source and candidates against the data.")
        return cls(
            instructions=tuple(kept[row] for row in np.flatnonzero(keep)),
            candidates=tuple(names),
            scores=scores[keep],
            output_tokens=tokens,
        )

    def __len__(self) -> int:
        return len(self.instructions)

    def select(self, rows: NDArray[Any]) -> "OutcomeTable":
        """The same candidates on some instructions.

        Args:
            rows: Positions, or one bool per instruction.
        """
        positions = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        return OutcomeTable(
            instructions=tuple(self.instructions[row] for row in positions),
            candidates=self.candidates,
            scores=self.scores[positions],
            output_tokens=self.output_tokens,
        )

    def columns(self, names: Sequence[str]) -> "OutcomeTable":
        """Some candidates, in the given order, on the same instructions.

        Raises:
            DataError: A name is not there.
        """
        index = column_index(self.candidates, names)
        return OutcomeTable(
            instructions=self.instructions,
            candidates=tuple(names),
            scores=self.scores[:, index],
            output_tokens=self.output_tokens[index],
        )


def _names(value: str | Sequence[str] | None) -> frozenset[str] | None:
    if value is None:
        return None
    return frozenset([value] if isinstance(value, str) else value)


def _dense(
    columns: Outcomes,
    rows: NDArray[np.int64],
    candidate_columns: NDArray[np.int64],
    used: NDArray[np.bool_],
    shape: tuple[int, int],
) -> tuple[FloatArray, FloatArray]:
    """Scores [instruction, candidate] and mean output tokens [candidate] of the outcomes in use."""
    cells = rows[used] * shape[1] + candidate_columns[used]
    total = np.bincount(cells, weights=columns.scores[used], minlength=shape[0] * shape[1])
    count = np.bincount(cells, minlength=shape[0] * shape[1])
    tokens = columns.output_tokens[used]
    known = ~np.isnan(tokens)
    token_total = np.bincount(candidate_columns[used][known], weights=tokens[known], minlength=shape[1])
    token_count = np.bincount(candidate_columns[used][known], minlength=shape[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        scores = (total / count).astype(np.float32).reshape(shape)
        return scores, (token_total / token_count).astype(np.float32)
