"""The user's cache: what Model-SAT keeps to be quick, all of which it can make again.

The folder is the platform's own for caches; `MODELSAT_CACHE` names another.
"""

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from modelsat.errors import DataError

VARIABLE = "MODELSAT_CACHE"
# Nothing else in the folder is ever moved or deleted: the variable may name a folder that holds other things too.
PARTS = {
    "engines": "graphs for ONNX Runtime, built on first use",
    "tuning": "states and embeddings of tuning texts",
    "embeddings": "sentence embeddings of evaluations",
    "scores": "scores of evaluations",
    "features": "encoded instructions of benchmarks",
    "readings": "encoded instructions of benchmarks, by versions before 0.4",
    "bench": "finished sections of benchmarks",
    "backbones": "the embedded backbone for torch, by versions before 0.4",
    "wheels": "packages that installations from a checkout are built from",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePart:
    """One folder of the cache.

    Attributes:
        name: Of the folder.
        purpose: What it holds.
        files: Files in it.
        size: Bytes that they take.
    """

    name: str
    purpose: str
    files: int
    size: int


def cache_folder() -> Path:
    """The cache's folder, which may not exist yet."""
    import platformdirs

    return Path(os.environ.get(VARIABLE) or platformdirs.user_cache_dir("modelsat"))


def cache_parts() -> tuple[CachePart, ...]:
    """The parts that exist, in the order of `PARTS`."""
    found = []
    for name, purpose in PARTS.items():
        folder = cache_folder() / name
        if folder.is_dir():
            sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
            found.append(CachePart(name=name, purpose=purpose, files=len(sizes), size=sum(sizes)))
    return tuple(found)


def require_parts(names: Sequence[str]) -> Sequence[str]:
    """Names of parts; all where none is given.

    Raises:
        DataError: There is no such part.
    """
    if unknown := [name for name in names if name not in PARTS]:
        raise DataError(f"the cache has no part {unknown[0]!r}; expected {', '.join(PARTS)}.")
    return names or tuple(PARTS)


def clear_cache(names: Sequence[str] = ()) -> tuple[CachePart, ...]:
    """Delete parts of the cache.

    Args:
        names: Of `PARTS`; all by default.

    Returns:
        What was deleted.

    Raises:
        DataError: There is no such part, or it cannot be written.
    """
    wanted = require_parts(names)
    deleted = tuple(part for part in cache_parts() if part.name in wanted)
    _require_writable(deleted)
    for part in deleted:
        shutil.rmtree(cache_folder() / part.name)
    return deleted


def move_cache(target: Path) -> tuple[CachePart, ...]:
    """Move the cache, and where that is possible leave a link where it was, unless `MODELSAT_CACHE` names its place.

    Args:
        target: A folder that does not exist or is empty.

    Returns:
        What was moved.

    Raises:
        DataError: The folder holds something or lies within the cache, or the cache cannot be written.
    """
    source, target = cache_folder(), target.absolute()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise DataError(f"{target} is not an empty folder; name a new one to move the cache to.")
    if target.resolve().is_relative_to(source.resolve()):
        raise DataError(f"{target} lies within the cache; name a folder outside {source}.")
    moved = cache_parts()
    _require_writable(moved)
    target.mkdir(parents=True, exist_ok=True)
    for part in moved:
        shutil.move(source / part.name, target / part.name)
    if not os.environ.get(VARIABLE):
        # Where that is not possible, the folder holds other things, or the system knows no links.
        with suppress(OSError):
            if source.is_symlink():
                source.unlink()
            elif source.exists():
                source.rmdir()
            source.parent.mkdir(parents=True, exist_ok=True)
            source.symlink_to(target, target_is_directory=True)
    return moved


def _require_writable(parts: Sequence[CachePart]) -> None:
    """Refuse at once what would stop halfway."""
    for part in parts:
        if not os.access(cache_folder() / part.name, os.W_OK):
            raise DataError(f"{cache_folder() / part.name} cannot be written; nothing was changed.")
