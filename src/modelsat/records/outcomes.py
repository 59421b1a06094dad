"""Many outcomes as columns: a sequence of `Outcome` that stays quick at a million entries."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

from modelsat.types import FloatArray, Outcome

IndexArray = NDArray[np.int32]


def _encode(values: Iterable[str]) -> tuple[tuple[str, ...], IndexArray]:
    position: dict[str, int] = {}
    codes = np.array([position.setdefault(value, len(position)) for value in values], dtype=np.int32)
    return tuple(position), codes


def _or_nan(values: Iterable[float | None]) -> FloatArray:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float32)


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcomes(Sequence[Outcome]):
    """Outcomes, stored by column.

    Indexing and iterating give `Outcome`; the columns serve whoever needs all of them at once.

    Attributes:
        candidates: Names that `candidate_index` points into.
        instruction_ids: Ids that `instruction_index` points into.
        sources: Protocols that `source_index` points into.
        candidate_index: [outcome].
        instruction_index: [outcome].
        source_index: [outcome].
        scores: [outcome], from 0 to 1.
        parsed: [outcome].
        output_tokens: [outcome], NaN where unknown.
        latency_s: [outcome], seconds, NaN where unknown.
    """

    candidates: tuple[str, ...]
    instruction_ids: tuple[str, ...]
    sources: tuple[str, ...]
    candidate_index: IndexArray
    instruction_index: IndexArray
    source_index: IndexArray
    scores: FloatArray
    parsed: NDArray[np.bool_]
    output_tokens: FloatArray
    latency_s: FloatArray

    @classmethod
    def of(cls, outcomes: Iterable[Outcome]) -> "Outcomes":
        """Put outcomes into columns; an `Outcomes` comes back as it is."""
        if isinstance(outcomes, Outcomes):
            return outcomes
        rows = list(outcomes)
        candidates, candidate_index = _encode(row.candidate for row in rows)
        instruction_ids, instruction_index = _encode(row.instruction_id for row in rows)
        sources, source_index = _encode(row.source for row in rows)
        return cls(
            candidates=candidates,
            instruction_ids=instruction_ids,
            sources=sources,
            candidate_index=candidate_index,
            instruction_index=instruction_index,
            source_index=source_index,
            scores=np.array([row.score for row in rows], dtype=np.float32),
            parsed=np.array([row.parsed for row in rows], dtype=np.bool_),
            output_tokens=_or_nan(row.output_tokens for row in rows),
            latency_s=_or_nan(row.latency_s for row in rows),
        )

    def __len__(self) -> int:
        return len(self.scores)

    def _row(self, index: int) -> Outcome:
        return Outcome(
            candidate=self.candidates[self.candidate_index[index]],
            instruction_id=self.instruction_ids[self.instruction_index[index]],
            score=float(self.scores[index]),
            parsed=bool(self.parsed[index]),
            output_tokens=_or_none(self.output_tokens[index]),
            latency_s=_or_none(self.latency_s[index]),
            source=self.sources[self.source_index[index]],
        )

    @overload
    def __getitem__(self, index: int) -> Outcome: ...
    @overload
    def __getitem__(self, index: slice) -> list[Outcome]: ...
    def __getitem__(self, index: int | slice) -> Outcome | list[Outcome]:
        if isinstance(index, slice):
            return [self._row(position) for position in range(len(self))[index]]
        return self._row(range(len(self))[index])

    def __iter__(self) -> Iterator[Outcome]:
        return (self._row(position) for position in range(len(self)))
