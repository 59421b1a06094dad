"""Commands with many settings: `--recipe FILE` and `--set NAME=VALUE` fill a settings dataclass.

The dataclass is the only place where a setting is declared: its fields give names, types and defaults, the `Attributes`
section of its docstring gives the help.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from inspect import cleandoc
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand

from modelsat.cli.output import console, print_table, say
from modelsat.errors import DataError

if TYPE_CHECKING:
    from typer._click import Context, HelpFormatter

Settings = TypeVar("Settings")

RecipeOption = Annotated[
    Path | None,
    typer.Option("--recipe", metavar="FILE", help="TOML file with settings (see below).", show_default=False),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE", help="One setting (see below); repeatable.", show_default=False
    ),
]


def read_settings(
    kind: type[Settings],
    recipe: Path | None,
    assignments: Sequence[str],
    *,
    given: Mapping[str, object] | None = None,
) -> Settings:
    """Read settings from a recipe file, then from assignments, then from options of their own; the last one counts.

    Args:
        kind: The settings dataclass.
        recipe: A TOML file, or None.
        assignments: Texts NAME=VALUE. A value is JSON, or else text; a dot reaches into a table
            (`retries.attempts=2`); repeated assignments to a list are collected.
        given: Values of settings that have an option of their own; None is ignored.

    Raises:
        DataError: The file is not TOML, a name is unknown, or a value is out of range.
    """
    from modelsat.records.files import load_toml, parse_object, read_text

    values: dict[str, Any] = {} if recipe is None else load_toml(read_text(recipe), str(recipe))
    lists = {field.name for field in fields(kind) if _default(field) == ()}  # type: ignore[arg-type]
    assigned: dict[str, Any] = {}
    for text in assignments:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise DataError(f"--set {text!r}: expected NAME=VALUE.")
        parsed = _parsed(value)
        if name in lists:
            parsed = [*assigned.get(name, ()), *(parsed if isinstance(parsed, list) else [value])]
        assigned[name] = parsed
    for name, value in {**assigned, **(given or {})}.items():
        if value is not None or name in assigned:
            _assign(values, name, value)
    where = [str(recipe)] if recipe is not None else []
    where += [f"--set {text}" for text in assignments]
    return parse_object(values, kind, ", ".join(where) or "settings")


def settings_command(settings: Callable[[], type], former: Mapping[str, str]) -> type[TyperCommand]:
    """A class of commands that take settings.

    Its help lists them. Options which have become settings are accepted for one release, with a warning.

    Args:
        settings: Gives the settings dataclass, when help is wanted.
        former: Setting by option; one with a value (`circle=true`) belongs to a flag, to one that ends in a dot the
            option's NAME=VALUE is added.
    """

    class Command(TyperCommand):
        def parse_args(self, ctx: "Context", args: list[str]) -> list[str]:
            rest, left = [], list(args)
            while left:
                word = left.pop(0)
                option, joined, value = word.partition("=")
                setting = former.get(option)
                if setting is None:
                    rest.append(word)
                    continue
                if "=" not in setting:
                    if not joined and not left:
                        raise DataError(f"{option} needs a value.")
                    text = value if joined else left.pop(0)
                    setting = f"{setting}{text}" if setting.endswith(".") else f"{setting}={text}"
                say(f"warning: {option} is now --set {setting}; the old option goes with 0.5.")
                rest += ["--set", setting]
            return super().parse_args(ctx, rest)

        def format_help(self, ctx: "Context", formatter: "HelpFormatter") -> None:
            super().format_help(ctx, formatter)
            shown = [(name, _shown(default), meaning) for name, default, meaning in _rows(settings())]
            print_table(
                ("setting", "default", "meaning"),
                shown,
                title="For --recipe and --set",
                width=console().width,
            )

    return Command


def _assign(values: dict[str, Any], name: str, value: object) -> None:
    *tables, last = name.split(".")
    for part in tables:
        values = values.setdefault(part, {})
        if not isinstance(values, dict):
            raise DataError(f"--set {name}: {part!r} is a single value; assign it without a dot.")
    values[last] = value


def _rows(kind: type, prefix: str = "") -> list[tuple[str, Any, str]]:
    meaning = _meanings(kind)
    rows: list[tuple[str, Any, str]] = []
    for field in fields(kind):
        default = _default(field)
        if is_dataclass(default):
            rows += _rows(type(default), f"{prefix}{field.name}.")
        else:
            rows.append((prefix + field.name, default, meaning[field.name]))
    return rows


def _default(field: "Field[Any]") -> Any:  # noqa: ANN401 - whatever a setting is
    return field.default_factory() if field.default_factory is not MISSING else field.default


def _meanings(kind: type) -> dict[str, str]:
    """The docstring's description of each field."""
    section = cleandoc(kind.__doc__ or "").partition("Attributes:\n")[2].partition("\n\n")[0]
    found = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", section, flags=re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in found}


def _parsed(value: str) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(value)
    except ValueError:
        return value


def _shown(default: object) -> str:
    return "" if default in (None, (), {}) else default if isinstance(default, str) else json.dumps(default)
