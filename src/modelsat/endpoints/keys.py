"""API keys of the candidates' endpoints, from environment variables or files.

A key is never part of a message, a record or a listing: errors name the variable or the file.
"""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from modelsat.errors import DataError
from modelsat.redaction import note_secret
from modelsat.types import Candidate


class ApiKeys:
    """Keys by candidate.

    A file is read again when it changes, so that a key can be replaced while the gateway runs.

    Args:
        candidates: Candidates with their `api_key_env` or `api_key_file`; one without either has no key.
        environment: Variables; the process's own by default.

    Raises:
        DataError: A variable is not set, a file cannot be read, or its content is not a key.
    """

    def __init__(self, candidates: Iterable[Candidate], environment: Mapping[str, str] = os.environ) -> None:
        self._fixed: dict[str, str] = {}
        self._files: dict[str, _KeyFile] = {}
        for candidate in candidates:
            owner = f"candidate {candidate.name}"
            if candidate.endpoint is None:
                continue
            if candidate.api_key_env is not None:
                value = environment.get(candidate.api_key_env)
                if not value:
                    raise DataError(
                        f"{owner}: environment variable {candidate.api_key_env} is not set; "
                        "set it to the endpoint's key."
                    )
                self._fixed[candidate.name] = _checked(value, f"{owner}: variable {candidate.api_key_env}")
            elif candidate.api_key_file is not None:
                self._files[candidate.name] = _KeyFile(Path(candidate.api_key_file), owner)

    def __repr__(self) -> str:
        return f"ApiKeys({', '.join(sorted({*self._fixed, *self._files}))})"

    def key(self, candidate: str) -> str | None:
        """The key of a candidate's endpoint; None if it has none."""
        if candidate in self._files:
            return self._files[candidate].read()
        return self._fixed.get(candidate)


class _KeyFile:
    def __init__(self, path: Path, owner: str) -> None:
        self._path = path
        self._owner = owner
        self._stamp: tuple[int, int] | None = None
        self._key = ""
        self._load()

    def read(self) -> str:
        # While a key is being replaced, the old one is the best guess.
        with suppress(DataError):
            self._load()
        return self._key

    def _load(self) -> None:
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_size)
            if stamp != self._stamp:
                text = self._path.read_text(encoding="utf-8-sig")
                self._key = _checked(text, f"{self._owner}: {self._path}")
                self._stamp = stamp
        except UnicodeDecodeError:
            raise DataError(f"{self._owner}: {self._path} holds no key; expected one line of text.") from None
        except OSError as error:
            raise DataError(
                f"{self._owner}: api_key_file {self._path} cannot be read ({error.strerror})."
            ) from None


def _checked(text: str, where: str) -> str:
    key = text.strip()
    # Anything else would break out of the header it is sent in.
    if not key or not all("!" <= character <= "~" for character in key):
        raise DataError(f"{where} holds no key; expected one word of printable ASCII characters.")
    note_secret(key)
    return key
