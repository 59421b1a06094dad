"""Rows of numbers that are slow to compute, kept in the user's cache folder by a hash of their text.

Embeddings, features of instructions and scores are such rows. A run that was killed loses one chunk at most, and a
rerun computes nothing.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from modelsat.cache import cache_folder
from modelsat.capability.card import card_object
from modelsat.progress import Progress, no_progress
from modelsat.routing.scorer import Scorer
from modelsat.scoring.scorer import TwoPhaseScorer
from modelsat.types import CapabilityProfile, FloatArray, Instruction, ScoreMatrix

CHUNK = 256
# Reading is slow: a chunk takes some seconds, and that is what a killed run loses.
_READING_CHUNK = 32


class RowCache:
    """One file of rows by text.

    Args:
        path: An `.npz` file; made on the first write. None keeps rows in memory only.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._rows: dict[bytes, FloatArray] = {}
        if path is not None and path.exists():
            try:
                with np.load(path) as saved:
                    keys, rows = saved["keys"], saved["rows"]
            except (OSError, ValueError, KeyError):
                # A cache may be thrown away: a damaged one is made anew.
                return
            self._rows = {bytes(key): row for key, row in zip(keys, rows, strict=True)}

    def get(
        self,
        texts: Sequence[str],
        compute: Callable[[Sequence[int]], FloatArray],
        *,
        progress: Progress = no_progress,
        step: str = "",
        chunk: int = CHUNK,
    ) -> FloatArray:
        """The rows of some texts.

        Args:
            texts: The row of a text depends on nothing but the text.
            compute: Positions within `texts` to their rows, [position, width]; called for rows not yet known.
            progress: Counts the texts of this step.
            step: Its name.
            chunk: Rows to compute before they are saved.

        Returns:
            [text, width].
        """
        keys = [_key(text) for text in texts]
        first: dict[bytes, int] = {}
        for position, key in enumerate(keys):
            if key not in self._rows:
                first.setdefault(key, position)
        # Similar lengths together waste less work on padding.
        missing = sorted(first.values(), key=lambda position: len(texts[position]))
        known = len(texts) - len(missing)
        for start in range(0, len(missing), chunk):
            part = missing[start : start + chunk]
            self.add([texts[position] for position in part], compute(part))
            progress(step, known + start + len(part), len(texts))
        return np.stack([self._rows[key] for key in keys])

    def add(self, texts: Sequence[str], rows: FloatArray, *, save: bool = True) -> None:
        """Put rows in, [text, width]: those that `compute` gives, or would give."""
        for text, row in zip(texts, rows, strict=True):
            self._rows[_key(text)] = np.asarray(row, dtype=np.float32)
        if save and self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            temporary = self.path.with_name(f".{self.path.stem}.tmp.npz")
            keys = np.frombuffer(b"".join(self._rows), dtype=np.dtype((np.void, 16)))
            np.savez(temporary, keys=keys, rows=np.stack(list(self._rows.values())))
            temporary.replace(self.path)


class CachedEmbed:
    """Texts to unit vectors through a cache; the encoder is loaded only when a text is new.

    Args:
        load: Gives the encoder's encode function.
        cache: Rows of this encoder only.
    """

    def __init__(self, load: Callable[[], Callable[[Sequence[str]], FloatArray]], cache: RowCache) -> None:
        self._load, self._cache = load, cache
        self._encode: Callable[[Sequence[str]], FloatArray] | None = None
        self.progress: Progress = no_progress

    def __call__(self, texts: Sequence[str]) -> FloatArray:
        """Embed texts, [text, d]."""

        def compute(positions: Sequence[int]) -> FloatArray:
            if self._encode is None:
                self._encode = self._load()
            return self._encode([texts[position] for position in positions])

        return self._cache.get(texts, compute, progress=self.progress, step="embedding")


class CachedScorer:
    """A scorer behind a cache.

    A router of two phases (layout exam_attention) has features of instructions cached by checkpoint and text, which
    serve any cards; another has its scores cached by checkpoint, cards and text.

    Instructions are encoded one by one: in a batch the last bits of features would depend on the other instructions,
    and a benchmark resumed from a cache would differ in them from one that was not.

    Args:
        scorer: The router.
        folder: Of cache files; None keeps rows in memory only.
        identity: Hash of everything that features depend on besides the text.
        embeddings: Receives the sentence embeddings that are part of features.
    """

    def __init__(
        self, scorer: Scorer, *, folder: Path | None, identity: str, embeddings: RowCache | None = None
    ) -> None:
        self.name = scorer.name
        self.scorer = scorer
        self.identity = identity
        self.progress: Progress = no_progress
        self._folder = folder
        self._embeddings = embeddings
        self._caches: dict[str, RowCache] = {}

    def score(
        self, instructions: Sequence[Instruction], profiles: Sequence[CapabilityProfile]
    ) -> ScoreMatrix:
        """Score every candidate on every instruction; see `modelsat.routing.scorer.Scorer`."""
        scorer, texts = self.scorer, [instruction.text for instruction in instructions]
        if isinstance(scorer, TwoPhaseScorer):
            features = self._cache("features", self.identity).get(
                texts,
                lambda at: self._encode(scorer, [instructions[position] for position in at]),
                progress=self.progress,
                step="reading",
                chunk=_READING_CHUNK,
            )
            return scorer.score_encoded(instructions, features, profiles)

        def compute(positions: Sequence[int]) -> FloatArray:
            scores = scorer.score([instructions[position] for position in positions], profiles)
            return np.concatenate([scores.logits, scores.probabilities], axis=1)

        cards = digest(*(json.dumps(card_object(profile)) for profile in profiles))
        rows = self._cache("scores", f"{self.identity}-{cards}").get(
            texts, compute, progress=self.progress, step="scoring"
        )
        logits, probabilities = np.split(rows, 2, axis=1)
        return ScoreMatrix(
            instruction_ids=tuple(instruction.id for instruction in instructions),
            candidates=tuple(profile.candidate for profile in profiles),
            logits=logits,
            probabilities=probabilities,
        )

    def _encode(self, scorer: TwoPhaseScorer, chunk: Sequence[Instruction]) -> FloatArray:
        features = np.concatenate([scorer.encode([instruction]) for instruction in chunk])
        if self._embeddings is not None:
            texts = [instruction.text for instruction in chunk]
            self._embeddings.add(texts, features[:, scorer.encoder.pooled_size :])
        return features

    def _cache(self, kind: str, name: str) -> RowCache:
        if name not in self._caches:
            self._caches[name] = RowCache(
                None if self._folder is None else self._folder / kind / f"{name}.npz"
            )
        return self._caches[name]


def through_cache(
    scorer: Scorer, folder: Path, *, fresh: bool = False, embeddings: RowCache | None = None
) -> CachedScorer:
    """A router behind the user's cache.

    Args:
        scorer: The router.
        folder: Its checkpoint.
        fresh: Keep rows in memory only.
        embeddings: See `CachedScorer`.
    """
    return CachedScorer(
        scorer,
        folder=None if fresh else cache_folder(),
        # Two runtimes agree but for the last bits, which a benchmark must not mix.
        identity=digest(folder_digest(folder), runtime_of(scorer)),
        embeddings=embeddings,
    )


def runtime_of(scorer: Scorer) -> str:
    """Runtime and precision of a router."""
    return scorer.encoder.runtime if isinstance(scorer, TwoPhaseScorer) else type(scorer).__name__


def digest(*parts: str | bytes) -> str:
    """Short hash of some parts, to name a cache file by what it depends on."""
    hashed = hashlib.sha256()
    for part in parts:
        content = part.encode("utf-8", errors="surrogatepass") if isinstance(part, str) else part
        hashed.update(len(content).to_bytes(8) + content)
    return hashed.hexdigest()[:16]


def folder_digest(folder: Path, pattern: str = "*") -> str:
    """Short hash of the files in a folder: equal for two checkpoints that score alike."""
    files = sorted(path for path in folder.rglob(pattern) if path.is_file())
    return digest(*(part for path in files for part in (path.name, path.read_bytes())))


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", errors="surrogatepass"), digest_size=16).digest()
