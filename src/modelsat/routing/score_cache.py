"""Scores of requests that came before: a repeat costs a look-up instead of two networks."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from operator import is_not

import numpy as np

from modelsat.routing.scorer import Scorer, one_row
from modelsat.types import CapabilityProfile, Instruction, ScoreMatrix

DEFAULT_MEGABYTES = 16.0
# What a row costs beside its scores: what its evidence keeps of the instruction, objects, a place in the table.
_OVERHEAD = 4_000


class ScoreCache:
    """Remembers rows of scores; those not asked for longest are forgotten first. Threads may share it.

    It remembers for one scorer and one set of cards at a time: whoever asks with another checkpoint, or after any edit
    of the zoo, finds it empty. Of instructions it keeps hashes and what their evidence needs, no texts.

    Args:
        megabytes: Scores kept at most.
    """

    def __init__(self, megabytes: float = DEFAULT_MEGABYTES) -> None:
        self._limit = int(megabytes * 1_000_000)
        self._bytes = 0
        self._rows: OrderedDict[bytes, ScoreMatrix] = OrderedDict()
        self._scorer: Scorer | None = None
        self._profiles: tuple[CapabilityProfile, ...] = ()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Rows remembered."""
        return len(self._rows)

    def recall(
        self, scorer: Scorer, instruction: Instruction, profiles: Sequence[CapabilityProfile]
    ) -> ScoreMatrix | None:
        """Scores of one instruction, one row; None where they are not remembered."""
        key = _key(instruction)
        with self._lock:
            if not self._knows(scorer, profiles) or key not in self._rows:
                return None
            self._rows.move_to_end(key)
            return replace(self._rows[key], instruction_ids=(instruction.id,))

    def score(
        self, scorer: Scorer, instructions: Sequence[Instruction], profiles: Sequence[CapabilityProfile]
    ) -> ScoreMatrix:
        """As `scorer.score`, which is asked only for what is not remembered, and once for what is asked twice."""
        keys = [_key(instruction) for instruction in instructions]
        asked = dict(zip(keys, instructions, strict=True))
        known = {key: self.recall(scorer, instruction, profiles) for key, instruction in asked.items()}
        rows = {key: row for key, row in known.items() if row is not None}
        missing = [key for key in asked if key not in rows]
        if missing:
            scores = scorer.score([asked[key] for key in missing], profiles)
            fresh = {key: one_row(scores, at) for at, key in enumerate(missing)}
            self._keep(scorer, profiles, fresh)
            rows |= fresh
        return _stack([rows[key] for key in keys], instructions)

    def _keep(
        self, scorer: Scorer, profiles: Sequence[CapabilityProfile], rows: dict[bytes, ScoreMatrix]
    ) -> None:
        with self._lock:
            if not self._knows(scorer, profiles):
                self._rows.clear()
                self._bytes = 0
                self._scorer, self._profiles = scorer, tuple(profiles)
            for key, row in rows.items():
                if not np.isfinite(row.logits).all():
                    # A fault may pass; remembered, it would stay.
                    continue
                known = self._rows.pop(key, None)
                self._bytes += _size(row) - (0 if known is None else _size(known))
                self._rows[key] = row
            while self._bytes > self._limit:
                self._bytes -= _size(self._rows.popitem(last=False)[1])

    def _knows(self, scorer: Scorer, profiles: Sequence[CapabilityProfile]) -> bool:
        # Scorers and profiles are frozen, so that identity is enough.
        same = scorer is self._scorer and len(profiles) == len(self._profiles)
        return same and not any(map(is_not, profiles, self._profiles))


def _key(instruction: Instruction) -> bytes:
    """Everything that a scorer may read of an instruction."""
    content = repr(replace(instruction, id="", answer=None))
    return hashlib.sha256(content.encode("utf-8", "backslashreplace")).digest()


def _size(row: ScoreMatrix) -> int:
    return row.logits.nbytes + row.probabilities.nbytes + _OVERHEAD


def _stack(rows: Sequence[ScoreMatrix], instructions: Sequence[Instruction]) -> ScoreMatrix:
    return ScoreMatrix(
        instruction_ids=tuple(instruction.id for instruction in instructions),
        candidates=rows[0].candidates,
        logits=np.concatenate([row.logits for row in rows]),
        probabilities=np.concatenate([row.probabilities for row in rows]),
        evidence=tuple(evidence for row in rows for evidence in row.evidence),
    )
