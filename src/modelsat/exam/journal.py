"""The journal of an exam: one line for every answer, written before anything else is done with it.

An interrupted exam resumes from its journal: what it contains is not asked again. The first line identifies the exam;
every other line is an answer, or an attempt without an answer that may be charged. An incomplete last line is dropped.
Lines reach the operating system at once, so that a killed process loses none of them, and the disk in batches (`sync`),
so that a power cut loses at most a second's.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar

from filelock import lock_descriptor
from pydantic import ConfigDict, Field

from modelsat.errors import DataError
from modelsat.exam.endpoint import Reply
from modelsat.records.files import parse_object
from modelsat.redaction import redact

FORMAT = "modelsat-journal/1"

# Item id and rotation of its options.
Key = tuple[str, int]
_Count = Annotated[int, Field(ge=0)]
_Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One answer of a candidate, as it arrived.

    Attributes:
        item: The item's id.
        rotation: Places by which its options were rotated.
        text: The reply; empty if the endpoint refused the question.
        refused: Why the endpoint refused the question, or empty.
        input_tokens: As the endpoint counts; None if it does not report them.
        output_tokens: As the endpoint counts; None if it does not report them.
        cut_short: Whether the reply ran into the token limit.
        latency_s: Seconds from request to answer.
        cost: Money; 0 if prices are unknown.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    item: str
    rotation: _Count = 0
    text: str = ""
    refused: str = ""
    input_tokens: _Count | None = None
    output_tokens: _Count | None = None
    cut_short: bool = False
    latency_s: _Amount = 0.0
    cost: _Amount = 0.0

    @classmethod
    def of(cls, key: Key, reply: Reply, *, cost: float) -> "Entry":
        """The entry of a reply."""
        return cls(
            item=key[0],
            rotation=key[1],
            text=reply.text,
            input_tokens=reply.input_tokens,
            output_tokens=reply.output_tokens,
            cut_short=reply.cut_short,
            latency_s=round(reply.latency_s, 4),
            cost=cost,
        )

    @property
    def key(self) -> Key:
        """Item and rotation."""
        return self.item, self.rotation


_FIELDS = tuple(field.name for field in fields(Entry))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loss:
    """A question without an answer, and what its attempts may have cost."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    lost: str
    rotation: _Count = 0
    reason: str = ""
    cost: _Amount = 0.0


class Journal:
    """An exam's answers on disk, and in memory as `entries`.

    Attributes:
        path: The file.
        entries: Every answer, by item and rotation.
        lost_cost: Money that attempts without an answer may have cost.
        resumed: Number of answers that were there when it was opened.
    """

    def __init__(self, path: Path, header: Mapping[str, Any], *, resume: bool) -> None:
        """Open a journal, and lock it against a second run.

        Args:
            path: The file; created if it does not exist.
            header: Identifies the exam: candidate, blueprint, how questions are asked. A journal of another exam is
                refused.
            resume: Continue a journal that has answers; otherwise it must be new or empty.

        Raises:
            DataError: It belongs to another exam, is damaged or in use, or has answers and `resume` is off.
        """
        self.path = path
        self.entries: dict[Key, Entry] = {}
        self.lost_cost = 0.0
        self._dirty = False
        self._file: int | None = None
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            # A killed process releases it by itself.
            if not lock_descriptor(descriptor, blocking=False):
                raise DataError(f"{path}: another run is writing to it; wait for it, or stop it.")
            whole = self._read(header)
            if self.entries and not resume:
                raise DataError(
                    f"{path}: already holds {len(self.entries)} answers from an earlier run. Pass --resume to "
                    "continue, or delete the file to start over."
                )
            os.ftruncate(descriptor, whole)
        except BaseException:
            os.close(descriptor)
            raise
        self._file = descriptor
        self.resumed = len(self.entries)
        if not whole:
            self._write({"format": FORMAT, **header})

    @property
    def cost(self) -> float:
        """Money spent so far, answers and lost attempts together."""
        return self.lost_cost + sum(entry.cost for entry in self.entries.values())

    def add(self, entry: Entry) -> None:
        """Append an answer.

        Raises:
            DataError: It cannot be written.
        """
        # Unknown values are left out; zero tokens are known.
        self._write({name: value for name in _FIELDS if (value := getattr(entry, name)) not in (None, "")})
        self.entries.setdefault(entry.key, entry)

    def add_loss(self, key: Key, *, reason: str, cost: float) -> None:
        """Append that a question got no answer, and what its attempts may have cost."""
        self._write(asdict(_Loss(lost=key[0], rotation=key[1], reason=reason, cost=cost)))
        self.lost_cost += cost

    def sync(self) -> None:
        """Make everything written so far survive a power cut."""
        if self._dirty and self._file is not None:
            self._dirty = False
            os.fsync(self._file)

    def close(self) -> None:
        """Sync and close the file."""
        if self._file is not None:
            self.sync()
            os.close(self._file)
            self._file = None

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _write(self, values: Mapping[str, Any]) -> None:
        assert self._file is not None, "the journal is closed"
        # ASCII: a reply may hold half of a surrogate pair, which UTF-8 cannot encode.
        line = redact(json.dumps(values, ensure_ascii=True)).encode() + b"\n"
        try:
            written = os.write(self._file, line)
            while written < len(line):
                written += os.write(self._file, line[written:])
        except OSError as error:
            raise DataError(
                f"{self.path}: cannot be written ({error.strerror}); make room, then pass --resume to continue."
            ) from None
        self._dirty = True

    def _read(self, header: Mapping[str, Any]) -> int:
        """Read the file; returns the size of its complete lines in bytes."""
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        for number, line in enumerate(content[:whole].split(b"\n")[:-1], start=1):
            where = f"{self.path}:{number}"
            try:
                value = json.loads(line)
            except ValueError:
                raise DataError(f"{where}: not JSON; restore the line or remove it.") from None
            if number == 1:
                _check_header(value, header, self.path)
            elif isinstance(value, dict) and "lost" in value:
                self.lost_cost += parse_object(value, _Loss, where).cost
            else:
                entry = parse_object(value, Entry, where)
                self.entries.setdefault(entry.key, entry)
        return whole


def _check_header(value: object, header: Mapping[str, Any], path: Path) -> None:
    found = value if isinstance(value, dict) else {}
    if found.get("format") != FORMAT:
        raise DataError(f"{path}: not the journal of an exam: its first line has no format {FORMAT!r}.")
    for name, wanted in header.items():
        if found.get(name) != wanted:
            raise DataError(
                f"{path}: belongs to another exam: {name} was {found.get(name)!r} and is {wanted!r} now; "
                "use the same settings to continue, or another output folder."
            )
