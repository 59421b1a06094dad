"""Measured values beside their bars, and what every measuring command shares."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import typer

from modelsat.cli.output import print_json, print_table
from modelsat.errors import DataError, ModelSatError

Part = TypeVar("Part", bound=str)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One measured value and what is expected of it.

    Attributes:
        name: The quantity.
        value: The result.
        unit: "x" for a ratio, "%", "s", "ms", "/s", "MB" or "GB".
        bar: The value to reach; None for a value that only explains another.
        better: Whether a lower or a higher value is better.
        note: How it was measured.
    """

    name: str
    value: float
    unit: str
    bar: float | None = None
    better: Literal["lower", "higher"] = "lower"
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the bar is reached; None where there is none."""
        if self.bar is None:
            return None
        return self.value <= self.bar if self.better == "lower" else self.value >= self.bar


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureReport:
    """Everything one run measured.

    Attributes:
        machine: Processor, cores, threads and load.
        versions: Versions of Python and of the packages that decide the values.
        measures: In the order in which they were taken.
    """

    machine: dict[str, str]
    versions: dict[str, str]
    measures: tuple[Measure, ...]

    def to_json(self) -> dict[str, Any]:
        """The report as plain values."""
        measures = [{**asdict(measure), "met": measure.met} for measure in self.measures]
        return {"machine": self.machine, "versions": self.versions, "measures": measures}

    def print(self, *, as_json: bool) -> None:
        """Print it as JSON or as a table."""
        if as_json:
            print_json(self.to_json())
            return
        typer.echo(listed(self.machine | self.versions))
        rows = []
        for measure in self.measures:
            sign = "<=" if measure.better == "lower" else ">="
            bar = "" if measure.bar is None else f"{sign} {measure.bar:g}"
            met = {True: "met", False: "missed", None: ""}[measure.met]
            rows.append((measure.name, f"{measure.value:.3g} {measure.unit}", bar, met, measure.note))
        print_table(("", "measured", "bar", "", "how"), rows, numeric=("measured", "bar"))


def run(command: Callable[..., None]) -> None:
    """Run a module's command; a mistake in its options becomes one sentence and exit code 1."""
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(command)
    try:
        app()
    except ModelSatError as error:
        sys.exit(f"error: {error}")


def listed(values: dict[str, str]) -> str:
    """Names and values in one line."""
    return ", ".join(f"{name} {value}" for name, value in values.items())


def chosen_parts(asked: Sequence[str] | None, known: Sequence[Part]) -> list[Part]:
    """The parts that `--part` asks for, all by default, in their own order.

    Raises:
        DataError: There is no such part.
    """
    unknown = [name for name in asked or () if name not in known]
    if unknown:
        raise DataError(f"--part is {unknown[0]!r}; expected {', '.join(known)}.")
    return [name for name in known if not asked or name in asked]


def write_json(path: Path, value: object) -> None:
    """Write a value as JSON; the file's folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    typer.echo(f"{path}: written.", err=True)


@contextmanager
def stopwatch(owner: object, method: str) -> Iterator[list[float]]:
    """Time every call of one object's method.

    Yields:
        Seconds per call, filled as calls are made.
    """
    seconds: list[float] = []
    timed = getattr(owner, method)

    def call(*args: object, **kwargs: object) -> object:
        start = time.perf_counter()
        result = timed(*args, **kwargs)
        seconds.append(time.perf_counter() - start)
        return result

    setattr(owner, method, call)
    try:
        yield seconds
    finally:
        setattr(owner, method, timed)
