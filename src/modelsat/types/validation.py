"""Dataclasses that pydantic validates: one definition is the domain type and the form it has in files."""

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any, TypeVar, cast, dataclass_transform

from pydantic import ConfigDict, ValidationError
from pydantic.dataclasses import dataclass
from pydantic_core import ErrorDetails

from modelsat.errors import DataError

_Class = TypeVar("_Class")

# What a value of the wrong kind or size should have been, by pydantic's name of the fault, or the name's first word.
_EXPECTED = {
    "string_too_short": "text of {min_length} or more characters",
    "string_too_long": "text of {max_length} or fewer characters",
    "string_pattern_mismatch": "text of the form {pattern}",
    "too_short": "{min_length} or more entries",
    "too_long": "{max_length} or fewer entries",
    "greater_than_equal": "{ge} or more",
    "greater_than": "more than {gt}",
    "less_than_equal": "{le} or less",
    "less_than": "less than {lt}",
    "literal_error": "{expected}",
    "none_required": "nothing",
}
_EXPECTED_KINDS = {
    "string": "text",
    "path": "a path",
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "finite": "a finite number",
    "list": "a list",
    "tuple": "a list",
    "frozen": "a list",
    "set": "a list",
    "dict": "an object",
    "mapping": "an object",
    "model": "an object",
    "dataclass": "an object",
}


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field,))
def validated(owner: Callable[[dict[str, object]], str]) -> Callable[[type[_Class]], type[_Class]]:
    """Make a frozen, keyword-only dataclass whose fields are checked, wherever its values come from.

    Constructing it directly raises `DataError`. `parse_object` reads it from JSON or TOML, and adds the place in the
    file.

    Args:
        owner: What to call the object in errors, made from the arguments.
    """

    def decorate(cls: type[_Class]) -> type[_Class]:
        made: Any = dataclass(cls, frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid"))
        construct = made.__init__

        def construct_checked(self: _Class, **values: object) -> None:
            try:
                construct(self, **values)
            except ValidationError as error:
                raise DataError(f"{owner(values)}: {describe_faults(error, values)}") from None

        made.__init__ = construct_checked
        return cast(type[_Class], made)

    return decorate


def describe_faults(error: ValidationError, value: object, limit: int = 3) -> str:
    """Say in one line which fields are wrong, what was found and what was expected.

    Args:
        error: As pydantic raised it.
        value: What was checked.
        limit: Fields named at most.
    """
    # A union reports each of its members: the faults of one field are one.
    by_field: dict[str, list[ErrorDetails]] = {}
    for fault in error.errors(include_url=False):
        by_field.setdefault(_field_name(fault, value), []).append(fault)
    faults = [_describe(name, found) for name, found in list(by_field.items())[:limit]]
    left = len(by_field) - len(faults)
    return "; ".join(faults) + (f"; and {left} more." if left else ".")


def _describe(name: str, faults: list[ErrorDetails]) -> str:
    first = faults[0]
    if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"unknown field {name!r}; remove it or correct its spelling"
    if first["type"] == "missing":
        return f"field {name!r} is missing"
    if first["type"] == "value_error" and not name:
        # About several fields: the message names them. The values may include what must not be repeated.
        return str(first["ctx"]["error"]).rstrip(".")
    found = repr(first["input"])
    found = found if len(found) <= 60 else found[:57] + "..."
    stated = [str(fault["ctx"]["error"]).rstrip(".") for fault in faults if fault["type"] == "value_error"]
    expected = " or ".join(dict.fromkeys(map(_expected, faults)))
    return f"field {name or '(whole file)'!r} is {found}{': ' + stated[0] if stated else '; expected ' + expected}"


def _expected(fault: ErrorDetails) -> str:
    kind = fault["type"]
    words = _EXPECTED.get(kind) or _EXPECTED_KINDS.get(kind.partition("_")[0])
    if words is None:
        return fault["msg"].removeprefix("Input should be ")
    return words.format(**fault.get("ctx", {}))


def _field_name(fault: ErrorDetails, value: object) -> str:
    """A field's path as people write it, without the names that pydantic gives to the members of a union."""
    name = ""
    for part in fault["loc"]:
        if isinstance(value, Mapping) and (part in value or fault["type"] == "missing"):
            value, name = value.get(part), f"{name}.{part}"
        elif isinstance(value, list | tuple) and isinstance(part, int) and part < len(value):
            value, name = value[part], f"{name}[{part}]"
    return name.lstrip(".")
