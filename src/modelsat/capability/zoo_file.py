"""The zoo's TOML file: read, written, and edited without touching what a person wrote in it."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import Field, fields, replace
from pathlib import Path
from typing import Annotated, Any

import tomlkit
from pydantic import StringConstraints, TypeAdapter, ValidationError
from tomlkit.items import AoT, Table

from modelsat.capability.card import card_name, read_card, read_sat_card, write_card
from modelsat.capability.member import Member
from modelsat.capability.profile import join_exams
from modelsat.capability.run import ExamRun
from modelsat.errors import DataError
from modelsat.records.files import load_toml, parse_object, read_text, write_text
from modelsat.types import Candidate, CapabilityProfile
from modelsat.types.candidates import CURRENCY
from modelsat.types.ranges import require_currency
from modelsat.types.validation import validated

FORMAT = "modelsat-zoo/1"
CARDS = "cards"
# What an exam on an endpoint knows of a candidate.
_REGISTERED = ("endpoint", "model", "api_key_env", "input_price", "output_price")

_HEADER = re.compile(r"^\s*\[\[\s*candidate\s*\]\]", flags=re.MULTILINE)
_Text = Annotated[str, StringConstraints(min_length=1)]


@validated(lambda values: f"entry {values.get('name', '')}")
class _Entry(Candidate):
    """One `[[candidate]]` of the file: a candidate and its cards, perhaps still to be made."""

    card: _Text | None = None
    more_cards: tuple[_Text, ...] = ()
    # The candidate that the cards were measured for, where one model is offered under two names.
    card_candidate: _Text | None = None

    def candidate(self, folder: Path) -> Candidate:
        values = {name: getattr(self, name) for name in _FIELDS}
        if self.api_key_file is not None:
            values["api_key_file"] = str(folder / self.api_key_file)
        return Candidate(**values)


_FIELDS = {field.name: field.default for field in fields(Candidate)}


def read_candidates(path: Path) -> list[Candidate]:
    """Read the candidates of the file without their cards, which they need not have yet.

    Raises:
        DataError: The file is malformed; names file, line and entry.
    """
    names: set[str] = set()
    entries, currency = _parse(read_text(path), path)
    return [_checked(value, where, names, currency).candidate(path.parent) for value, where in entries]


def read_zoo(path: Path) -> list[Member]:
    """Read every candidate of the file with its card.

    Raises:
        DataError: The file or a card is malformed; names file, line and entry.
    """
    members = []
    for _, member in scan_zoo(path):
        if isinstance(member, DataError):
            raise member
        members.append(member)
    return members


def scan_zoo(path: Path) -> list[tuple[str | None, Member | DataError]]:
    """Read the file as `read_zoo` does, and go on after entries that are malformed.

    Returns:
        Per entry its name, if it has one, and the member or what is wrong with it.

    Raises:
        DataError: The file as a whole is malformed.
    """
    names: set[str] = set()
    scanned: list[tuple[str | None, Member | DataError]] = []
    entries, currency = _parse(read_text(path), path)
    for value, where in entries:
        name = value.get("name") if isinstance(value, dict) else None
        try:
            member: Member | DataError = _member(_checked(value, where, names, currency), where, path.parent)
        except DataError as error:
            member = error
        scanned.append((name if isinstance(name, str) else None, member))
    return scanned


def write_zoo(path: Path, members: Iterable[Member], currency: str = CURRENCY) -> None:
    """Write a new zoo file, with every card in the folder `cards` beside it."""
    document = _new_document(currency)
    array = tomlkit.aot()
    for member in members:
        name, profile = member.candidate.name, member.profile
        names = [name, *(f"{name}.{other.exam}" for other in profile.other_exams)]
        cards = [(Path(CARDS) / card_name(name)).as_posix() for name in names]
        for card, sat in zip(cards, profile.exams, strict=True):
            write_card(path.parent / card, replace(sat, candidate=name), member.runs.get(sat.exam))
        array.append(_table(member.candidate, cards))
    document["candidate"] = array
    write_text(path, tomlkit.dumps(document))


def read_own_cards(
    cards: Sequence[Path], name: str, card_candidate: str | None = None
) -> list[tuple[CapabilityProfile, ExamRun | None]]:
    """Read a candidate's cards, of different exams, and refuse those of another candidate.

    Args:
        cards: Their paths.
        name: The candidate's name.
        card_candidate: Another name that they may have been measured under.

    Raises:
        DataError: A card is malformed or of another candidate, or two are of one exam.
    """
    read = [read_sat_card(path) for path in cards]
    for path, (card, _) in zip(cards, read, strict=True):
        if card.candidate not in (name, card_candidate):
            other = card.candidate
            raise DataError(
                f"{path}: is the card of {other!r}, not of {name!r}; give its own card or, if both are one model, "
                f'name the other: --as {other} (card_candidate = "{other}" in the zoo file).'
            )
    join_exams([card for card, _ in read])
    return read


def add_entry(path: Path, candidate: Candidate, *cards: Path, card_candidate: str | None = None) -> None:
    """Append a candidate to the file, or replace it where it is; comments and other entries stay.

    Args:
        path: The zoo file; made where it does not exist.
        candidate: The candidate.
        cards: Its card, and those of further exams; the file names them relative to itself.
        card_candidate: The name that they were measured under, where it is not the candidate's.

    Raises:
        DataError: The file or a card is malformed, or a card is of another candidate.
    """
    read_own_cards(cards, candidate.name, card_candidate)
    document = _document(path) if path.exists() else _new_document(candidate.currency)
    currency = document.get("currency", CURRENCY)
    if candidate.currency not in (currency, CURRENCY):
        raise DataError(
            f"{path}: candidate {candidate.name!r} has prices in {candidate.currency}, the file in {currency}; "
            "a zoo has one currency."
        )
    table = _table(candidate, [_relative(card, path) for card in cards], card_candidate)
    array = _array(document, path)
    at = _position(array, candidate.name)
    if at is None:
        array.append(table)
    else:
        _replace(array[at], table)
    write_text(path, tomlkit.dumps(document))


def register(path: Path, candidate: Candidate, card: Path) -> None:
    """Give a candidate of the file its card, or append the candidate; all else in the file stays.

    A card of another exam than the one it has joins it; one of the same exam takes its place. Where a candidate
    that is there answers and what it costs are updated where `candidate` knows them.

    Args:
        path: The zoo file; made where it does not exist.
        candidate: The candidate.
        card: Its card.

    Raises:
        DataError: The file or the card is malformed.
    """
    exam = read_card(card).exam
    document = _document(path) if path.exists() else _new_document()
    array = _array(document, path)
    at = _position(array, candidate.name)
    if at is None:
        add_entry(path, candidate, card)
        return
    updates = {
        **_card_names(array[at], _relative(card, path), exam, path.parent),
        **{name: getattr(candidate, name) for name in _REGISTERED},
    }
    for key, value in updates.items():
        if value is not None and array[at].get(key) != value:
            _put(array[at], key, value)
    write_text(path, tomlkit.dumps(document))


def _card_names(entry: Table, card: str, exam: str, folder: Path) -> dict[str, str | list[str] | None]:
    """What an entry's fields of cards become when it is given one more."""
    first, more = entry.get("card"), list(entry.get("more_cards", ()))
    if first is None or read_card(folder / first).exam == exam:
        return {"card": card}
    others = [name for name in more if name != card and read_card(folder / name).exam != exam]
    return {"more_cards": [*others, card]}


def set_fields(path: Path, name: str, changes: Mapping[str, str]) -> None:
    """Change fields of a candidate of the file; all else in the file stays, comments included.

    Args:
        path: The zoo file.
        name: The candidate's name.
        changes: Values as text, by field: numbers, true or false, lists with commas; empty removes the field. A `card`
            is relative to the working directory.

    Raises:
        DataError: The file is malformed or has no such candidate, there is no such field, or the value is not what the
            field takes; names file, line and field.
    """
    document = _document(path)
    array = _array(document, path)
    entry = array[_find(array, name, path)]
    settable = {
        field.name: field for field in fields(_Entry) if field.name not in ("name", "more_cards", "currency")
    }
    for key, text in changes.items():
        if key not in settable:
            raise DataError(f"{key!r} is not a field that can be set; those are {', '.join(settable)}.")
        if key == "card" and text:
            _put(entry, key, _relative(Path(text), path))
        elif text:
            _put(entry, key, _typed(text, settable[key]))
        else:
            entry.pop(key, None)
    changed = tomlkit.dumps(document)
    entries, currency = _parse(changed, path)
    for value, where in entries:
        if value.get("name") == name:
            new = _checked(value, where, set(), currency)
            if new.card is not None and changes.keys() & {"card", "card_candidate"}:
                paths = [path.parent / card for card in (new.card, *new.more_cards)]
                read_own_cards(paths, name, new.card_candidate)
    write_text(path, changed)


def _typed(text: str, field: Field[Any]) -> object:
    """Text as the value of a field; as it is where it is none, so that checking the entry reports it."""
    if isinstance(field.default, tuple):
        return [part.strip() for part in text.split(",") if part.strip()]
    kind: Any = field.type
    with suppress(ValidationError):
        return TypeAdapter(kind).validate_strings(text)
    return text


def _put(entry: Table, key: str, value: object) -> None:
    """Set a field; a new one goes below the others, before comments that belong to the next entry."""
    body = entry.value.body
    kept = next((at + 1 for at in range(len(body) - 1, -1, -1) if body[at][0] is not None), 0)
    tail = [] if key in entry else body[kept:]
    del body[len(body) - len(tail) :]
    entry[key] = value
    body.extend(tail)


def remove_entry(path: Path, name: str) -> None:
    """Take a candidate out of the file; its card stays on disk.

    Raises:
        DataError: The file is malformed or has no such candidate.
    """
    document = _document(path)
    array = _array(document, path)
    del array[_find(array, name, path)]
    write_text(path, tomlkit.dumps(document))


def _member(entry: _Entry, where: str, folder: Path) -> Member:
    if entry.card is None:
        raise DataError(f"{where}: field 'card' is missing; name its capability card.")
    try:
        paths = [folder / name for name in (entry.card, *entry.more_cards)]
        cards = read_own_cards(paths, entry.name, entry.card_candidate)
        profile = join_exams([card for card, _ in cards])
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    runs = {card.exam: run for card, run in cards if run is not None}
    return Member(entry.candidate(folder), profile, runs)


def _checked(value: object, where: str, names: set[str], currency: str) -> _Entry:
    """One entry of a file of this currency, whose name is added to those of the entries before it."""
    if isinstance(value, dict):
        if "currency" in value:
            raise DataError(f"{where}: 'currency' is for the whole file; put it below the format, once.")
        value = {**value, "currency": currency}
    entry = parse_object(value, _Entry, where)
    if entry.name in names:
        raise DataError(f"{where}: the name appears twice; names must be unique within a zoo.")
    names.add(entry.name)
    return entry


def _relative(card: Path, path: Path) -> str:
    return Path(os.path.relpath(card.resolve(), path.resolve().parent)).as_posix()


def _parse(text: str, path: Path) -> tuple[list[tuple[Any, str]], str]:
    """The file's entries, each with its place for errors, and its currency."""
    content = load_toml(text, str(path))
    if content.get("format") != FORMAT:
        raise DataError(
            f"{path}: format is {content.get('format')!r}; expected {FORMAT!r} in the first line."
        )
    unknown = sorted(set(content) - {"format", "currency", "candidate"})
    if unknown:
        raise DataError(f"{path}: unknown field {unknown[0]!r}; remove it or put it under [[candidate]].")
    currency = content.get("currency", CURRENCY)
    require_currency(str(path), currency)
    entries = content.get("candidate", [])
    if not isinstance(entries, list):
        raise DataError(f"{path}: 'candidate' is a single table; write [[candidate]] with two brackets.")
    lines = [text.count("\n", 0, match.end()) + 1 for match in _HEADER.finditer(text)]
    placed = []
    for number, entry in enumerate(entries):
        # An inline array of tables has no header lines to point at.
        place = f"{path}:{lines[number]}" if len(lines) == len(entries) else str(path)
        name = entry.get("name") if isinstance(entry, dict) else None
        called = repr(name) if isinstance(name, str) else str(number + 1)
        placed.append((entry, f"{place}: candidate {called}"))
    return placed, currency


def _document(path: Path) -> tomlkit.TOMLDocument:
    text = read_text(path)
    _parse(text, path)
    return tomlkit.parse(text)


def _new_document(currency: str = CURRENCY) -> tomlkit.TOMLDocument:
    document = tomlkit.document()
    document.add("format", FORMAT)
    if currency != CURRENCY:
        document.add("currency", currency)
    document.add(tomlkit.nl())
    return document


def _array(document: tomlkit.TOMLDocument, path: Path) -> AoT:
    # An emptied zoo holds `candidate = []`, which no [[candidate]] can follow.
    if not document.get("candidate"):
        document.pop("candidate", None)
        document["candidate"] = tomlkit.aot()
    array = document["candidate"]
    if not isinstance(array, AoT):
        raise DataError(
            f"{path}: 'candidate' is an inline list; write its entries as [[candidate]] to edit the file."
        )
    return array


def _position(array: AoT, name: str) -> int | None:
    return next((at for at, table in enumerate(array) if table.get("name") == name), None)


def _find(array: AoT, name: str, path: Path) -> int:
    at = _position(array, name)
    if at is None:
        listed = ", ".join(str(table.get("name")) for table in array) or "none"
        raise DataError(f"{path}: no candidate {name!r}; it has {listed}.")
    return at


def _table(candidate: Candidate, cards: Sequence[str], card_candidate: str | None = None) -> Table:
    table = tomlkit.table()
    values: dict[str, Any] = {"name": candidate.name, "card": cards[0]}
    if len(cards) > 1:
        values["more_cards"] = list(cards[1:])
    if card_candidate not in (None, candidate.name):
        values["card_candidate"] = card_candidate
    for name, default in _FIELDS.items():
        value = getattr(candidate, name)
        if value != default and name != "currency":
            values[name] = list(value) if isinstance(value, tuple) else value
    for key, value in values.items():
        table.add(key, value)
    table.add(tomlkit.nl())
    return table


def _replace(old: Table, new: Table) -> None:
    for key in [key for key in old if key not in new]:
        del old[key]
    for key, value in new.items():
        _put(old, key, value)
