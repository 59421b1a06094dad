"""Measured values beside their bars."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from modelsat.records.files import write_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One measured value and what is expected of it.

    Attributes:
        name: What was measured.
        value: What came out.
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
class SpeedReport:
    """All that one run measured.

    Attributes:
        machine: Processor, cores, threads and load.
        versions: Of Python and the packages that decide speed.
        measures: In the order in which they were taken.
    """

    machine: dict[str, str]
    versions: dict[str, str]
    measures: tuple[Measure, ...]

    def to_json(self) -> dict[str, Any]:
        """The report as plain values."""
        measures = [{**asdict(measure), "met": measure.met} for measure in self.measures]
        return {"machine": self.machine, "versions": self.versions, "measures": measures}

    def save(self, path: Path) -> None:
        """Write the report as JSON; its folder is made."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(self.to_json(), ensure_ascii=False, indent=2) + "\n")
