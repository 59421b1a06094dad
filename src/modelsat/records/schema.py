"""The columns of instruction and outcome files, and the way between a row and the domain types.

The same columns hold in parquet and in JSONL. A candidate's column is called `model`, as evaluation logs call
it.
"""

from collections.abc import Mapping
from math import isfinite
from typing import Any, get_args

from modelsat.errors import DataError
from modelsat.types import Instruction, InstructionKind, Outcome

INSTRUCTION_COLUMNS = (
    "instruction_id",
    "dataset",
    "task",
    "kind",
    "text",
    "choices",
    "answer",
    "category",
    "images",
)
OUTCOME_COLUMNS = ("model", "instruction_id", "score", "parsed", "output_tokens", "latency_s", "source")
KINDS: tuple[str, ...] = get_args(InstructionKind)

# Earlier files name the one image of an instruction in `src`, after this prefix.
_IMAGE_PREFIX = "image:"


def _text(row: Mapping[str, Any], name: str, where: str) -> str:
    """An optional text; absent and null are the empty text."""
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DataError(f"{where}: {name} is {value!r}; expected text.")
    return value


def _required_text(row: Mapping[str, Any], name: str, where: str) -> str:
    value = _text(row, name, where)
    if not value.strip():
        raise DataError(f"{where}: {name} is missing or empty; every row needs one.")
    return value


def _texts(row: Mapping[str, Any], name: str, where: str) -> tuple[str, ...]:
    value = row.get(name)
    if value is None:
        return ()
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise DataError(f"{where}: {name} is {value!r}; expected a list of texts.")
    return tuple(value)


def _number(row: Mapping[str, Any], name: str, where: str) -> float | None:
    value = row.get(name)
    if value is None or (isinstance(value, float) and value != value):
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(f"{where}: {name} is {value!r}; expected a number.")
    if not isfinite(value) or value < 0:
        raise DataError(f"{where}: {name} is {value}; expected a number of at least 0.")
    return float(value)


def instruction_from_row(row: Mapping[str, Any], where: str) -> Instruction:
    """Make an instruction of one row.

    Args:
        row: Column name to value; columns that are not in the schema are left alone.
        where: The row's place for errors, e.g. "in.jsonl:12".

    Raises:
        DataError: A value is missing or of the wrong kind.
    """
    kind = _text(row, "kind", where) or "open"
    if kind not in KINDS:
        raise DataError(f"{where}: kind is {kind!r}; expected one of {', '.join(KINDS)}.")
    images = _texts(row, "images", where)
    source = row.get("src")
    if not images and isinstance(source, str) and source.startswith(_IMAGE_PREFIX):
        images = (source.removeprefix(_IMAGE_PREFIX),)
    answer = row.get("answer")
    return Instruction(
        id=_required_text(row, "instruction_id", where),
        text=_text(row, "text", where),
        dataset=_text(row, "dataset", where),
        task=_text(row, "task", where),
        category=_text(row, "category", where),
        kind=kind,  # type: ignore[arg-type]  # checked against KINDS above
        choices=_texts(row, "choices", where),
        answer=None if answer is None else str(answer),
        images=images,
    )


def instruction_to_row(instruction: Instruction) -> dict[str, Any]:
    """The row that `instruction_from_row` reads back."""
    return {
        "instruction_id": instruction.id,
        "dataset": instruction.dataset,
        "task": instruction.task,
        "kind": instruction.kind,
        "text": instruction.text,
        "choices": list(instruction.choices),
        "answer": instruction.answer,
        "category": instruction.category,
        "images": list(instruction.images),
    }


def outcome_from_row(row: Mapping[str, Any], where: str) -> Outcome:
    """Make an outcome of one row; arguments and errors as for `instruction_from_row`.

    True and false stand for the scores 1 and 0.
    """
    score = row.get("score")
    if score is None:
        raise DataError(f"{where}: score is missing; expected a number from 0 to 1.")
    if not isinstance(score, int | float) or not 0 <= score <= 1:
        raise DataError(f"{where}: score is {score!r}; expected a number from 0 to 1.")
    parsed = row.get("parsed")
    if parsed is not None and not isinstance(parsed, bool):
        raise DataError(f"{where}: parsed is {parsed!r}; expected true or false.")
    return Outcome(
        candidate=_required_text(row, "model", where),
        instruction_id=_required_text(row, "instruction_id", where),
        score=float(score),
        parsed=parsed is not False,
        output_tokens=_number(row, "output_tokens", where),
        latency_s=_number(row, "latency_s", where),
        source=_text(row, "source", where),
    )


def outcome_to_row(outcome: Outcome) -> dict[str, Any]:
    """The row that `outcome_from_row` reads back."""
    return {
        "model": outcome.candidate,
        "instruction_id": outcome.instruction_id,
        "score": outcome.score,
        "parsed": outcome.parsed,
        "output_tokens": outcome.output_tokens,
        "latency_s": outcome.latency_s,
        "source": outcome.source,
    }
