"""Confidence intervals: Wilson's for one share, and the paired bootstrap for differences."""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

Z95 = 1.959964
DRAWS = 2_000
_TAILS = (0.025, 0.975)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean with its 95% interval.

    Attributes:
        mean: On the data as they are.
        low: Lower end.
        high: Upper end.
    """

    mean: float
    low: float
    high: float


def wilson_interval(mean: float, count: float) -> tuple[float, float]:
    """Wilson's 95% score interval of a share, or of a mean of scores from 0 to 1.

    For scores between 0 and 1 it is no narrower than it should be.

    Args:
        mean: From 0 to 1.
        count: Number of observations; more than 0.
    """
    square = Z95**2 / count
    centre = (mean + square / 2) / (1 + square)
    half = Z95 * sqrt(mean * (1 - mean) / count + square / (4 * count)) / (1 + square)
    return max(0.0, centre - half), min(1.0, centre + half)


class PairedBootstrap:
    """95% percentile intervals of means, all over the same resamples of the rows.

    Statistics of one bootstrap are paired: in every draw they see the same rows, so that what hangs together
    stays together.

    Args:
        rows: Number of rows (for example instructions).
        rng: Randomness.
        draws: Number of resamples.
    """

    def __init__(self, rows: int, *, rng: np.random.Generator, draws: int = DRAWS) -> None:
        # [draw, row]: how often each row is drawn.
        self._times = np.stack(
            [np.bincount(rng.integers(0, rows, size=rows), minlength=rows) for _ in range(draws)]
        ).astype(np.float32)

    def intervals(self, values: NDArray[np.floating]) -> list[Interval]:
        """Intervals of the column means of [row, column]."""
        table = values.astype(np.float64)
        means = self._times @ table / len(table)
        lows, highs = np.quantile(means, _TAILS, axis=0)
        return [
            Interval(mean=float(mean), low=float(low), high=float(high))
            for mean, low, high in zip(table.mean(axis=0), lows, highs, strict=True)
        ]

    def interval(self, values: NDArray[np.floating]) -> Interval:
        """Interval of the mean of [row]; of [row, column], of the mean over everything."""
        rows = values if values.ndim == 1 else values.astype(np.float64).mean(axis=1)
        return self.intervals(rows[:, None])[0]
