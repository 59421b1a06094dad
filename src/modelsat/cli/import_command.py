"""What all commands of `modelsat import` have in common: where rows go, the options, and the account of them."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelsat.cli.output import print_json, print_table, say
from modelsat.errors import DataError

if TYPE_CHECKING:
    from modelsat.records.importers import Duplicate, Import, Rejection, SourceRow


REJECTIONS_SHOWN = 10
DUPLICATES_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where an import goes, as the command line says.

    Attributes:
        output: The outcomes directory.
        constants: Field to a value that holds for every row.
        ending: "parquet" or "jsonl"; None for the directory's own.
        skip_bad: Write although some rows cannot be read.
        replace: Outcomes take the place of those that the directory has.
        as_json: Print JSON.
    """

    output: Path
    constants: Mapping[str, str]
    ending: str | None
    skip_bad: bool
    replace: bool
    as_json: bool

    def take(self, rows: "Iterable[SourceRow]") -> None:
        """Add rows to the outcomes directory, and print an account of them.

        Args:
            rows: From a format's reader.

        Raises:
            DataError: There is no outcome, or some rows cannot be read and `skip_bad` is not given; nothing was
                written.
        """
        from modelsat.records.importers import fixed_values, gather
        from modelsat.records.store import OutcomeDirectory, locked

        if self.ending not in (None, "parquet", "jsonl"):
            raise DataError(f"--format is {self.ending!r}; expected parquet or jsonl.")
        fixed = fixed_values(self.constants)
        with locked(self.output):
            into = OutcomeDirectory.find(self.output)
            if into is not None and self.ending is not None and into.ending != f".{self.ending}":
                raise DataError(
                    f"{self.output}: holds {into.ending} files; leave --format out, or give another folder."
                )
            result = gather(rows, fixed=fixed, into=into, replace=self.replace)
            _require_outcomes(result, skip_bad=self.skip_bad)
            kept = f".{self.ending or 'parquet'}" if into is None else into.ending
            OutcomeDirectory.save(self.output, result.instructions, result.outcomes, ending=kept)
        if self.as_json:
            print_json(_report(result, self.output))
        else:
            _print(result, self.output)


def command(app: typer.Typer, name: str, *, epilog: str) -> Callable[[Callable[..., None]], None]:
    """Make a command of a function whose parameter `target` stands for the options that all formats share.

    Args:
        app: Where the command goes.
        name: The format.
        epilog: What stands below its help.
    """
    shared = inspect.signature(_target).parameters

    def register(read: Callable[..., None]) -> None:
        def run(**options: Any) -> None:  # noqa: ANN401 - the command line's values
            target = _target(**{name: options.pop(name) for name in shared})
            read(target=target, **options)

        own = [part for part in inspect.signature(read).parameters.values() if part.name != "target"]
        parts = sorted((*own, *shared.values()), key=lambda part: part.default is not inspect.Parameter.empty)
        run.__signature__ = inspect.Signature(parts)  # type: ignore[attr-defined]
        run.__doc__ = read.__doc__
        app.command(name, epilog=epilog)(run)

    return register


def _target(
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="The outcomes directory to write or add to."),
    ],
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="FIELD=VALUE",
            help="One value for every row, whatever the log says; repeat for each.",
            show_default=False,
        ),
    ] = None,
    ending: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="Write parquet or jsonl (default: as the folder has it, else parquet).",
            show_default=False,
        ),
    ] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave rows that cannot be read out.")] = False,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Let outcomes take the place of those that the folder has already."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> Target:
    return Target(
        output=output,
        constants=pairs("--set", set_, "VALUE"),
        ending=ending,
        skip_bad=skip_bad,
        replace=replace,
        as_json=as_json,
    )


def pairs(option: str, values: list[str] | None, meaning: str) -> dict[str, str]:
    """Read repeated FIELD=... options.

    Raises:
        DataError: One is not of that form, or names a field twice.
    """
    found: dict[str, str] = {}
    for value in values or []:
        name, equals, content = value.partition("=")
        if not equals or not name or not content:
            raise DataError(f"{option} {value!r}: expected FIELD={meaning}.")
        if name in found:
            raise DataError(f"{option} names the field {name!r} twice; drop one of them.")
        found[name] = content
    return found


def _require_outcomes(result: "Import", *, skip_bad: bool) -> None:
    for rejection in result.rejected[:REJECTIONS_SHOWN]:
        say(f"{_place(rejection)}: {rejection.reason}")
    if len(result.rejected) > REJECTIONS_SHOWN:
        say(f"... and {len(result.rejected) - REJECTIONS_SHOWN} more")
    if result.rejected and not skip_bad:
        raise DataError(
            f"{len(result.rejected)} of {result.rows} rows cannot be read; nothing was written. "
            "Mend them, or leave them out with --skip-bad."
        )
    if not result.new_outcomes and not result.duplicates:
        reasons = "".join(f" {count} left out: {reason}." for reason, count in result.left_out.items())
        raise DataError(f"no outcome was found; nothing was written.{reasons}")


def _place(row: "Rejection | Duplicate") -> str:
    return f"{row.file}:{row.line}" if row.line else str(row.file)


def _candidates(result: "Import") -> dict[str, list[float]]:
    """Scores of the new outcomes by candidate."""
    scores: dict[str, list[float]] = {}
    for outcome in result.new_outcomes:
        scores.setdefault(outcome.candidate, []).append(outcome.score)
    return scores


def _report(result: "Import", output: Path) -> dict[str, Any]:
    return {
        "output": str(output),
        "rows": result.rows,
        "instructions": result.new_instructions,
        "outcomes": len(result.new_outcomes),
        "duplicates": [{**asdict(row), "file": str(row.file)} for row in result.duplicates],
        "rejected": [{**asdict(row), "file": str(row.file)} for row in result.rejected],
        "left_out": dict(result.left_out),
        "in_all": {"instructions": len(result.instructions), "outcomes": len(result.outcomes)},
        "candidates": {
            name: {"outcomes": len(scores), "mean_score": sum(scores) / len(scores)}
            for name, scores in _candidates(result).items()
        },
    }


def _print(result: "Import", output: Path) -> None:
    for row in result.duplicates[:DUPLICATES_SHOWN]:
        where = f"already in {output}" if row.known_before else "on an earlier line"
        say(f"{_place(row)}: {row.candidate} has an outcome on {row.instruction_id} {where}")
    if len(result.duplicates) > DUPLICATES_SHOWN:
        say(f"... and {len(result.duplicates) - DUPLICATES_SHOWN} more duplicates")
    for reason, count in result.left_out.items():
        say(f"left out, {count} rows: {reason}")
    print_table(
        ["candidate", "outcomes", "mean score"],
        [
            (name, len(scores), f"{sum(scores) / len(scores):.3f}")
            for name, scores in _candidates(result).items()
        ],
        numeric=["outcomes", "mean score"],
    )
    say(
        f"{output}: {result.new_instructions} new instructions, {len(result.new_outcomes)} outcomes from "
        f"{result.rows} rows ({len(result.duplicates)} duplicates, {len(result.rejected)} bad rows); "
        f"in all {len(result.instructions)} instructions, {len(result.outcomes)} outcomes."
    )
