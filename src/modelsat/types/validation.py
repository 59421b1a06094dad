"""Dataclasses that pydantic validates: one definition is the domain type and the form it has in files."""

from collections.abc import Callable
from dataclasses import field
from typing import Any, TypeVar, cast, dataclass_transform

from pydantic import ConfigDict, ValidationError
from pydantic.dataclasses import dataclass

from modelsat.errors import DataError

_Class = TypeVar("_Class")


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
                raise DataError(f"{owner(values)}: {describe_faults(error)}") from None

        made.__init__ = construct_checked
        return cast(type[_Class], made)

    return decorate


def describe_faults(error: ValidationError, limit: int = 3) -> str:
    """Say in one line which fields are wrong, what was found and what was expected."""
    faults = []
    for fault in error.errors(include_url=False)[:limit]:
        name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in fault["loc"])
        name = name.lstrip(".")
        message = fault["msg"].removeprefix("Value error, ")
        if fault["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
            faults.append(f"unknown field {name!r}; remove it or correct its spelling")
        elif fault["type"] == "missing":
            faults.append(f"field {name!r} is missing")
        elif fault["type"] == "value_error" and not name:
            # About several fields: the message names them. The values may include what must not be repeated.
            faults.append(message.rstrip("."))
        else:
            found = repr(fault["input"])
            found = found if len(found) <= 60 else found[:57] + "..."
            faults.append(f"field {name or '(whole file)'!r} is {found}: {message}")
    left = error.error_count() - len(faults)
    return "; ".join(faults) + (f"; and {left} more." if left else ".")
