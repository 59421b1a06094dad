"""Numbers as text, the same in sentences, tables and plots."""

from collections.abc import Callable

Form = Callable[[float], str]

UNDEFINED = "–"


def percent(value: float) -> str:
    """A fraction in percent: 43.9%."""
    return f"{100 * value:.1f}%"


def whole_percent(value: float) -> str:
    """A fraction in whole percent: 44%."""
    return f"{100 * value:.0f}%"


def points(value: float) -> str:
    """A difference of fractions in signed percentage points: +1.34."""
    # -0.004 would otherwise become -0.00.
    return f"{round(100 * value, 2) + 0.0:+.2f}"


def unsigned_points(value: float) -> str:
    """A fraction in points: 23.7."""
    return f"{100 * value:.1f}"


def three_decimals(value: float) -> str:
    """An AUC or a calibration error: 0.726."""
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
