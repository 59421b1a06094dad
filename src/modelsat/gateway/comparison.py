"""The same requests under other choices: what they would have cost, and how good the router thinks they had been."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from modelsat.errors import DataError
from modelsat.gateway.records import RankedCost
from modelsat.gateway.store.reads import Traffic

GatewayDecision = Literal["answered", "routed", "strongest", "cheapest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """One way to have answered the compared requests.

    Attributes:
        choice: `answered`: as it was. `routed`: as decided, which differs in shadow mode and after fallbacks.
            `strongest`, `cheapest`: always that candidate, or the next strongest or cheapest where a request was
            not fit for it.
        candidate: The one that would always be asked; None for `answered` and `routed`.
        cost: Money; real for `answered`, estimated for the others.
        predicted: Mean Pr("Yes").
    """

    choice: GatewayDecision
    candidate: str | None
    cost: float
    predicted: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One day (UTC) of the comparison.

    Attributes:
        date: Such as "2026-03-31".
        answers: How many are compared.
        costs: Money by choice.
    """

    date: str
    answers: int
    costs: dict[str, float]


def comparable(row: Traffic) -> bool:
    """Whether a request was routed, and it is known what its answer cost and was expected to cost."""
    if row.cost is None or row.origin == "named":
        return False
    expected = {line.candidate: line.expected_cost for line in row.ranking}
    return all(expected.get(name or "") is not None for name in (row.answered_by, row.candidate))


class Standing:
    """How strong and how dear candidates are over a period."""

    def __init__(self) -> None:
        self._probability: dict[str, list[float]] = defaultdict(lambda: [0.0, 0])
        self._cost: dict[str, list[float]] = defaultdict(lambda: [0.0, 0])

    def add(self, row: Traffic) -> None:
        """Count a row's ranking in; candidates of unknown cost cannot be compared."""
        for name, probability, cost in row.ranking:
            if cost is not None:
                for sums, value in ((self._probability[name], probability), (self._cost[name], cost)):
                    sums[0] += value
                    sums[1] += 1

    def strongest_first(self, first: str | None) -> dict[str, int]:
        """Place of each candidate by mean Pr("Yes"), with one put first where it is named."""
        return self._places(self._probability, -1, first)

    def cheapest_first(self, first: str | None) -> dict[str, int]:
        """Place of each candidate by mean expected cost, with one put first where it is named."""
        return self._places(self._cost, 1, first)

    @staticmethod
    def _places(sums: Mapping[str, list[float]], sign: int, first: str | None) -> dict[str, int]:
        if first is not None and first not in sums:
            known = ", ".join(sorted(sums)) or "none"
            raise DataError(f"no candidate {first!r} with a known cost in this period; it has {known}.")
        names = sorted(sums, key=lambda name: (name != first, sign * sums[name][0] / sums[name][1], name))
        return {name: place for place, name in enumerate(names)}


class Comparer:
    """Adds up what each choice costs."""

    def __init__(self, standing: Standing, *, strongest: str | None, cheapest: str | None) -> None:
        """Fix the order in which candidates would have been asked.

        Raises:
            DataError: `strongest` or `cheapest` is in no ranking of the period.
        """
        self._places = {
            "strongest": standing.strongest_first(strongest),
            "cheapest": standing.cheapest_first(cheapest),
        }
        self._probabilities: dict[str, float] = defaultdict(float)
        # Money by day and choice.
        self._costs: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        self._answers: Counter[str] = Counter()
        self._differs = False

    @property
    def count(self) -> int:
        """Rows counted in."""
        return self._answers.total()

    def add(self, row: Traffic) -> None:
        """Count a comparable row in."""
        lines = {line.candidate: line for line in row.ranking if line.expected_cost is not None}
        answered = lines[row.answered_by or ""]
        chosen = {"answered": answered, "routed": lines[row.candidate]}
        for choice, places in self._places.items():
            chosen[choice] = lines[min(lines, key=places.__getitem__)]
        date = f"{datetime.fromtimestamp(row.at, UTC):%Y-%m-%d}"
        self._answers[date] += 1
        for choice, line in chosen.items():
            self._costs[date][choice] += _cost(line, row, answered)
            self._probabilities[choice] += line.probability
        self._differs |= chosen["routed"] != answered

    def alternatives(self) -> tuple[Alternative, ...]:
        """What was paid first; `routed` only where it differs."""
        if self.count == 0:
            return ()
        choices: list[GatewayDecision] = ["answered", "routed", "strongest", "cheapest"]
        return tuple(
            Alternative(
                choice=choice,
                candidate=next(iter(self._places.get(choice, ())), None),
                cost=sum(costs[choice] for costs in self._costs.values()),
                predicted=self._probabilities[choice] / self.count,
            )
            for choice in choices
            if choice != "routed" or self._differs
        )

    def days(self) -> tuple[Day, ...]:
        """In order."""
        return tuple(
            Day(date=date, answers=self._answers[date], costs=dict(costs))
            for date, costs in sorted(self._costs.items())
        )


def _cost(line: RankedCost, row: Traffic, answered: RankedCost) -> float:
    paid, expected = row.cost or 0.0, answered.expected_cost or 0.0
    if line.candidate == answered.candidate:
        return paid
    # Who answers for nothing gives no measure of the request's length.
    return (line.expected_cost or 0.0) * (paid / expected if expected > 0 else 1.0)
