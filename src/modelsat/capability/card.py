"""Capability cards: a profile as a JSON file that people can read, check and share."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from modelsat.capability.run import ExamRun, accuracy_interval
from modelsat.errors import DataError
from modelsat.records.files import parse_object, read_json, write_text
from modelsat.redaction import redact
from modelsat.types import CapabilityProfile, TaskResult

FORMAT = "modelsat-card/1"

_MARKS: dict[str, float | None] = {"1": 1.0, "0": 0.0, "-": None}
_Fraction = Annotated[float, Field(ge=0, le=1, strict=True)]
_Text = Annotated[str, Field(min_length=1)]


class _TaskForm(BaseModel):
    model_config = ConfigDict(extra="forbid")
    task: _Text
    keywords: Annotated[tuple[_Text, ...], Field(min_length=1)]
    accuracy: _Fraction
    shots: Annotated[int, Field(ge=1, strict=True)]
    # Written for readers; it follows from accuracy and shots, or from the run.
    interval: tuple[_Fraction, _Fraction] | None = None
    estimated: bool = False
    # "1011-": solved, failed, not sat; or a list of scores with null.
    items: Annotated[str, Field(pattern="^[01-]*$")] | tuple[_Fraction | None, ...] = ()
    examples: tuple[_Text, ...] = ()

    def to_result(self) -> TaskResult:
        items = tuple(_MARKS[mark] for mark in self.items) if isinstance(self.items, str) else self.items
        return TaskResult(
            task=self.task,
            keywords=self.keywords,
            accuracy=self.accuracy,
            shots=self.shots,
            items=items,
            estimated=self.estimated,
            examples=self.examples,
        )


class _CardFile(BaseModel):
    """The card's file format; unknown fields are errors, so that a misspelt one is noticed."""

    model_config = ConfigDict(extra="forbid")
    format: Literal["modelsat-card/1"]
    candidate: _Text
    exam: str
    exam_hash: str = ""
    date: Annotated[str, Field(pattern=r"^(\d{4}-\d{2}-\d{2})?$")] = ""
    source: str = ""
    mean_output_tokens: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    notes: str = ""
    run: ExamRun | None = None
    tasks: Annotated[tuple[_TaskForm, ...], Field(min_length=1)]

    def to_profile(self) -> CapabilityProfile:
        return CapabilityProfile(
            candidate=self.candidate,
            exam=self.exam,
            exam_hash=self.exam_hash,
            results=tuple(task.to_result() for task in self.tasks),
            notes=self.notes,
            mean_output_tokens=self.mean_output_tokens,
            date=self.date,
            source=self.source,
        )


def read_card(path: Path | str) -> CapabilityProfile:
    """Read a capability card.

    Raises:
        DataError: The file is missing, of another format, or a field is out of range; names the file and the
            field.
    """
    return read_sat_card(path)[0]


def read_cards(folder: Path) -> tuple[CapabilityProfile, ...]:
    """Read all capability cards in a folder.

    Raises:
        DataError: There is none, one is malformed, or two are of the same candidate.
    """
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise DataError(f"{folder}: no capability card; make some with  modelsat exam grade.")
    profiles = tuple(map(read_card, paths))
    names = [profile.candidate for profile in profiles]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{folder}: more than one card of {', '.join(twice)}; keep one of each.")
    return profiles


def read_sat_card(path: Path | str) -> tuple[CapabilityProfile, ExamRun | None]:
    """Read a card with how its exam was sat; None where the card does not say.

    Raises:
        DataError: As for `read_card`.
    """
    form = read_json(Path(path), _CardFile)
    return _to_profile(form, str(path)), form.run


def card_from_object(value: object, where: str) -> CapabilityProfile:
    """Read a card that is already parsed; `where` names it in errors."""
    return _to_profile(parse_object(value, _CardFile, where), where)


def _to_profile(form: _CardFile, where: str) -> CapabilityProfile:
    try:
        return form.to_profile()
    except DataError as error:
        raise DataError(f"{where}: {error}") from None


def card_object(profile: CapabilityProfile, run: ExamRun | None = None) -> dict[str, Any]:
    """The card as plain values, in the order of the file."""
    return {
        "format": FORMAT,
        "candidate": profile.candidate,
        "exam": profile.exam,
        "exam_hash": profile.exam_hash,
        "date": profile.date,
        "source": profile.source,
        "mean_output_tokens": profile.mean_output_tokens,
        "notes": profile.notes,
        **({} if run is None else {"run": asdict(run)}),
        "tasks": [
            {
                "task": result.task,
                "keywords": list(result.keywords),
                "accuracy": result.accuracy,
                "shots": result.shots,
                "interval": [round(end, 4) for end in accuracy_interval(result, run)],
                **({"estimated": True} if result.estimated else {}),
                **({"items": _marks(result.items)} if result.items else {}),
                **({"examples": list(result.examples)} if result.examples else {}),
            }
            for result in profile.results
        ],
    }


def write_card(path: Path | str, profile: CapabilityProfile, run: ExamRun | None = None) -> None:
    """Write a capability card, one task a line, with how its exam was sat where that is known."""
    card = card_object(profile, run)
    tasks = card.pop("tasks")
    head = "".join(
        f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)},\n" for key, value in card.items()
    )
    lines = ",\n".join("    " + json.dumps(task, ensure_ascii=False) for task in tasks)
    write_text(Path(path), redact(f'{{\n{head}  "tasks": [\n{lines}\n  ]\n}}\n'))


def renew_card(path: Path, profile: CapabilityProfile, run: ExamRun | None = None) -> None:
    """Write a capability card in place of an earlier one, if there is one, whose expert notes stay.

    Raises:
        DataError: What is there is no card, or the candidate's name in it is another.
    """
    if path.exists():
        earlier = read_card(path)
        if earlier.candidate != profile.candidate:
            raise DataError(
                f"{path}: is the card of {earlier.candidate}, not of {profile.candidate}; choose another folder."
            )
        profile = replace(profile, notes=profile.notes or earlier.notes)
    write_card(path, profile, run)


def card_name(candidate: str) -> str:
    """A file name for a candidate's card; distinct for distinct names."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", candidate).strip("-.")
    if plain == candidate:
        return f"{plain}.json"
    return f"{plain or 'candidate'}-{sha256(candidate.encode()).hexdigest()[:6]}.json"


def _marks(items: Sequence[float | None]) -> str | list[float | None]:
    if all(score is None or score in (0.0, 1.0) for score in items):
        return "".join("-" if score is None else str(int(score)) for score in items)
    return list(items)


def is_stale(sat: str, days: int, today: date | None = None) -> bool:
    """Whether a card of this ISO date is older than so many days; one without a date is."""
    try:
        return ((today or date.today()) - date.fromisoformat(sat)).days > days
    except ValueError:
        return True
