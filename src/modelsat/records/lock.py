"""Holding a folder for oneself, so that of two writers the second adds to what the first wrote."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_NAME = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder, which is made where it does not exist, and taken away again if it is left empty.

    Waits for whoever holds it; a process that ends, however it ends, lets go. Where the system has no file locks
    nothing is held.
    """
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with _held(folder / _NAME):
            yield
    finally:
        if made:
            with suppress(OSError):
                folder.rmdir()


@contextmanager
def _held(path: Path) -> Iterator[None]:
    try:
        import fcntl
    except ModuleNotFoundError:
        yield
        return
    while True:
        with path.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # Whoever held it before has removed the file: the lock on it keeps no one out any more.
            if not path.exists() or os.fstat(lock.fileno()).st_ino != path.stat().st_ino:
                continue
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return
