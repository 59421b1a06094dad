"""Rows of numbers that are slow to compute, kept in the user's cache folder by a hash of their text.

Embeddings and scores are such rows. A run that was killed loses one chunk at most, and a rerun computes
nothing.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from modelsat.progress import Progress, no_progress
from modelsat.types import FloatArray

CHUNK = 256


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
        chunk: int = CHUNK,
    ) -> FloatArray:
        """The rows of some texts.

        Args:
            texts: The row of a text depends on nothing but the text.
            compute: Positions within `texts` to their rows, [position, width]; called for rows not yet known.
            progress: Called with (texts done, texts in all).
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
            for position, row in zip(part, compute(part), strict=True):
                self._rows[keys[position]] = np.asarray(row, dtype=np.float32)
            self._save()
            progress("reading", known + start + len(part), len(texts))
        return np.stack([self._rows[key] for key in keys])

    def add(self, texts: Sequence[str], rows: FloatArray) -> None:
        """Put rows in that came about elsewhere, [text, width]; they must be what `compute` would give."""
        for text, row in zip(texts, rows, strict=True):
            self._rows[_key(text)] = np.asarray(row, dtype=np.float32)
        self._save()

    def _save(self) -> None:
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(f".{self.path.stem}.tmp.npz")
        keys = np.frombuffer(b"".join(self._rows), dtype=np.dtype((np.void, 16)))
        np.savez(temporary, keys=keys, rows=np.stack(list(self._rows.values())))
        temporary.replace(self.path)


class CachedEmbed:
    """Texts to unit vectors through a cache; the encoder is loaded only when a text is new.

    Args:
        load: Gives the encoder's encode function.
        cache: Where vectors are kept; one encoder's only.
        progress: Called with (texts done, texts in all).
    """

    def __init__(
        self,
        load: Callable[[], Callable[[Sequence[str]], FloatArray]],
        cache: RowCache,
        *,
        progress: Progress = no_progress,
    ) -> None:
        self._load, self._cache, self.progress = load, cache, progress
        self._encode: Callable[[Sequence[str]], FloatArray] | None = None

    def __call__(self, texts: Sequence[str]) -> FloatArray:
        """Embed texts, [text, d]."""

        def compute(positions: Sequence[int]) -> FloatArray:
            if self._encode is None:
                self._encode = self._load()
            return self._encode([texts[position] for position in positions])

        return self._cache.get(texts, compute, progress=self.progress)


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
