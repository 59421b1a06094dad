"""From rows of any log to instructions and outcomes, with an account of what was left out and where it stands.

A format's reader only turns its files into `SourceRow`s under the names of the schema; what all formats share
(checking, duplicates, questions that contradict each other) happens here.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelsat.errors import DataError
from modelsat.records.files import packed_hint
from modelsat.records.schema import instruction_from_row, outcome_from_row
from modelsat.records.store import OutcomeDirectory
from modelsat.types import Instruction, Outcome

_TEXTS = ("instruction_id", "text", "dataset", "task", "category", "answer", "model", "source")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRow:
    """One candidate's result on one question, as a reader found it.

    Exactly one of `values`, `fault` and `left_out` is set.

    Attributes:
        file: The file it stands in.
        line: Where it begins there, from 1: the line of a text file, the entry of a list. 0 means the whole file.
        values: Its values under the names of the schema.
        fault: Why it cannot be read.
        left_out: Why it is rightly no outcome, e.g. "filter flexible-extract".
    """

    file: Path
    line: int
    values: Mapping[str, Any] | None = None
    fault: str = ""
    left_out: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A row that could not be imported.

    Attributes:
        file: The file it stands in.
        line: Where it begins there, from 1 (0: the whole file).
        reason: What is wrong with it.
    """

    file: Path
    line: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate:
    """A second outcome of a candidate on a question under the same protocol.

    Attributes:
        file: The file it stands in.
        line: Where it begins there, from 1.
        candidate: Whose outcome it is.
        instruction_id: On which question.
        known_before: Whether the first one was there before this import, rather than on an earlier line.
    """

    file: Path
    line: int
    candidate: str
    instruction_id: str
    known_before: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """What came of the rows.

    Attributes:
        instructions: One per question: those known before, then the new ones.
        outcomes: One per candidate, question and protocol: those known before, then the new ones.
        new_instructions: How many of the instructions are new.
        new_outcomes: The outcomes that this import brought.
        rows: Rows read.
        duplicates: Rows whose candidate already had an outcome on the question under this protocol.
        rejected: Rows that could not be read.
        left_out: Why rows were rightly no outcome, and how many.
    """

    instructions: tuple[Instruction, ...]
    outcomes: tuple[Outcome, ...]
    new_instructions: int
    new_outcomes: tuple[Outcome, ...]
    rows: int
    duplicates: tuple[Duplicate, ...]
    rejected: tuple[Rejection, ...]
    left_out: Mapping[str, int]


def gather(
    rows: Iterable[SourceRow],
    *,
    fixed: Mapping[str, Any] | None = None,
    into: OutcomeDirectory | None = None,
    replace: bool = False,
) -> Import:
    """Check rows and put them together.

    Of several outcomes of one candidate on one question under one protocol the first counts. One id stands for one
    question: a row with another text under a known id is rejected.

    Args:
        rows: From a format's reader.
        fixed: Field of the schema to a value that holds for every row, whatever the log says.
        into: Instructions and outcomes to add to.
        replace: An outcome takes the place of the one that `into` has, instead of giving way to it.
    """
    known = {} if into is None else {instruction.id: instruction for instruction in into.instructions}
    before = {} if into is None else {_key(outcome): outcome for outcome in into.outcomes}
    instructions = dict(known)
    fresh: dict[tuple[str, str, str], Outcome] = {}
    rejected: list[Rejection] = []
    duplicates: list[Duplicate] = []
    left_out: dict[str, int] = {}
    count = 0
    for row in rows:
        count += 1
        if row.left_out:
            left_out[row.left_out] = left_out.get(row.left_out, 0) + 1
            continue
        try:
            instruction, outcome = _read(row, fixed or {}, instructions)
        except DataError as error:
            rejected.append(Rejection(file=row.file, line=row.line, reason=str(error)))
            continue
        instructions.setdefault(instruction.id, instruction)
        key = _key(outcome)
        if key in fresh or key in before:
            duplicates.append(
                Duplicate(
                    file=row.file,
                    line=row.line,
                    candidate=outcome.candidate,
                    instruction_id=outcome.instruction_id,
                    known_before=key not in fresh,
                )
            )
        if key not in fresh and (replace or key not in before):
            fresh[key] = outcome
    return Import(
        instructions=tuple(instructions.values()),
        outcomes=tuple((before | fresh).values()),
        new_instructions=len(instructions) - len(known),
        new_outcomes=tuple(fresh.values()),
        rows=count,
        duplicates=tuple(duplicates),
        rejected=tuple(rejected),
        left_out=left_out,
    )


def find_logs(path: Path, name: re.Pattern[str], *, what: str, mend: str) -> list[Path]:
    """Logs at a path: the file itself, or those at any depth below a folder, in order.

    Args:
        path: A log, or a folder.
        name: What a log's name is like.
        what: Its name for people, for the error.
        mend: What to give instead, for the error.

    Raises:
        DataError: There is none.
    """
    if path.is_file():
        return [path]
    found = sorted(file for file in path.rglob("*") if name.fullmatch(file.name) and file.is_file())
    if not found:
        missing = f"no {what} in it or below{packed_hint(path, name)}" if path.is_dir() else "no such path"
        raise DataError(f"{path}: {missing}; {mend}.")
    return found


def rows_of_each(logs: Sequence[Path], read: Callable[[Path], Iterator[SourceRow]]) -> Iterator[SourceRow]:
    """Rows of several logs; one of them that cannot be read becomes a row with its fault.

    Raises:
        DataError: It is the only one.
    """
    for log in logs:
        try:
            yield from read(log)
        except DataError as error:
            if len(logs) == 1:
                raise
            yield SourceRow(file=log, line=0, fault=str(error))


def _key(outcome: Outcome) -> tuple[str, str, str]:
    return outcome.candidate, outcome.instruction_id, outcome.source


def _read(
    row: SourceRow, fixed: Mapping[str, Any], instructions: Mapping[str, Instruction]
) -> tuple[Instruction, Outcome]:
    if row.values is None:
        raise DataError(row.fault)
    values = {**row.values, **fixed}
    require_writable(values)
    if not str(values.get("text") or "").strip():
        raise DataError("text is missing or empty")
    if not values.get("model"):
        raise DataError("nothing says which model this is; name it with --set candidate=NAME")
    instruction = instruction_from_row(values, "instruction")
    outcome = outcome_from_row(values, "outcome")
    known = instructions.get(instruction.id)
    if known is not None and known.text != instruction.text:
        raise DataError(f"instruction_id {instruction.id!r} already stands for another text")
    return instruction, outcome


def require_writable(values: Mapping[str, Any]) -> None:
    """Refuse what UTF-8 cannot hold: JSON may spell half of a character that needs two units.

    Raises:
        DataError: A text holds a lone surrogate; names its field.
    """
    for name in (*_TEXTS, "choices", "images"):
        value = values.get(name)
        for part in value if isinstance(value, list | tuple) else (value,):
            if isinstance(part, str) and not part.isascii():
                try:
                    part.encode()
                except UnicodeEncodeError:
                    raise DataError(f"{name} holds a broken character (a lone surrogate)") from None
