"""How numbers are written: one format per column, the same in words, tables and plots."""

from collections.abc import Callable, Mapping
from math import isnan
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelsat.bench.results import Cell

UNDEFINED = "–"


def percent(value: float) -> str:
    """A fraction in percent: 43.9%."""
    return f"{100 * value:.1f}%"


def whole_percent(value: float) -> str:
    """A fraction in whole percent: 44%."""
    return f"{100 * value:.0f}%"


def points(value: float) -> str:
    """A difference of fractions in signed percentage points: +1.34."""
    # -0.004 would otherwise be written as -0.00.
    return f"{round(100 * value, 2) + 0.0:+.2f}"


def apart(value: float) -> str:
    """How far apart two fractions are, in points: 0.76."""
    return f"{abs(100 * value):.2f}"


def unsigned_points(value: float) -> str:
    """A fraction in points: 23.7."""
    return f"{100 * value:.1f}"


def three_decimals(value: float) -> str:
    """An AUC or an error of calibration: 0.726."""
    return f"{value:.3f}"


def two_decimals(value: float) -> str:
    """An entropy: 0.61."""
    return f"{value:.2f}"


def count(value: float) -> str:
    """A whole number: 3,664."""
    return f"{value:,.0f}"


def three_figures(value: float) -> str:
    """A quantity over many orders of magnitude: 1,250, 36.4, 0.0217."""
    if value == 0 or abs(value) >= 100:
        return count(value)
    return f"{value:#.3g}".rstrip(".")


FORMATS: Mapping[str, Callable[[float], str]] = {
    "n": count,
    "accuracy": percent,
    "gain": points,
    "gap_closed": percent,
    "regret": unsigned_points,
    "entropy": two_decimals,
    "strongest_rate": whole_percent,
    "lead": points,
    "auc": three_decimals,
    "within_auc": three_decimals,
    "ece": three_decimals,
    "auc_seen": three_decimals,
    "auc_unseen": three_decimals,
    "tasks": count,
    "shots": count,
    "items": count,
    "step": count,
    "size": count,
    "covered": percent,
    "cost": three_figures,
    "quality": percent,
    "aiq": three_decimals,
    "apgr": three_decimals,
    "cpt50": percent,
    "cpt80": percent,
    "saved": percent,
    "tokens": count,
    "layers": count,
    "learnt": count,
    "gflops": three_figures,
    "milliseconds": three_figures,
    "accuracy_change": points,
    "changed_share": percent,
    "success_rate": percent,
    "rate_without": percent,
    "bin_low": percent,
    "bin_high": percent,
    "predicted": percent,
    "observed": percent,
    "count": count,
    "share": whole_percent,
    "compared": count,
    "found": count,
}


def write_cell(column: str, cell: "Cell") -> str:
    """A cell as its column is written; a value that is not defined is a dash."""
    if cell is None:
        return UNDEFINED
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, str):
        return cell
    if isnan(cell):
        return UNDEFINED
    form = FORMATS.get(column)
    return f"{cell:,}" if form is None else form(cell)


def write_interval(column: str, value: "Cell", low: "Cell", high: "Cell") -> str:
    """A value with its interval: +1.34 [+0.25, +2.43]."""
    if UNDEFINED in (write_cell(column, value), write_cell(column, low), write_cell(column, high)):
        return write_cell(column, value)
    return f"{write_cell(column, value)} [{write_cell(column, low)}, {write_cell(column, high)}]"
