"""Requirements on a benchmark's result, as a user writes them to gate a release: "gain.smaller_scale>0"."""

import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from modelsat.bench.methods import MODEL_SAT
from modelsat.bench.reporting.rows import headline_rows, number, role
from modelsat.bench.results import BenchmarkResult, Row
from modelsat.bench.section import TableSpec
from modelsat.bench.sections.probability import RANKING
from modelsat.bench.sections.zoos import TABLE as ZOOS
from modelsat.errors import DataError

FORM = "gain.smaller_scale>0, lead_low.mean>=0, lead.mean[kNN]>0 or auc.unseen>0.65"
_TESTS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_WRITTEN = re.compile(
    r"\s*(?P<metric>\w+)\.(?P<of>[^\[\]<>=]+?)\s*(\[(?P<method>[^\]]+)\])?\s*(?P<test>>=|<=|>|<)\s*(?P<bound>\S+)\s*"
)
_LEADS = ("lead", "lead_low", "lead_high")


def _metrics(spec: TableSpec) -> list[str]:
    return [
        name
        for column in spec.columns
        if column.form is not None and column.name != "n"
        for name in (column.name, *column.bounds)
    ]


_OF_ZOOS, _OF_RANKING = _metrics(ZOOS), _metrics(RANKING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One requirement.

    Attributes:
        text: As it was written.
        metric: A column of the table `zoos` or `ranking`.
        of: A zoo, or a group of candidates.
        method: The method whose value counts; for a lead, the method over which. By default Model-SAT's value, and the
            least lead over all baselines.
        test: One of >, >=, <, <=.
        bound: The value is compared with it.
    """

    text: str
    metric: str
    of: str
    method: str
    test: str
    bound: float

    @classmethod
    def parse(cls, text: str) -> "Requirement":
        """Read a requirement.

        Raises:
            DataError: It is not of the form METRIC.ZOO>NUMBER, or there is no such metric.
        """
        written = _WRITTEN.fullmatch(text)
        if written is None:
            raise DataError(f"requirement {text!r}: expected METRIC.ZOO>NUMBER, such as {FORM}.")
        known = [*_OF_ZOOS, *_OF_RANKING]
        if written["metric"] not in known:
            raise DataError(
                f"requirement {text!r}: no metric {written['metric']!r}; there are {', '.join(known)}."
            )
        try:
            bound = float(written["bound"])
        except ValueError:
            raise DataError(f"requirement {text!r}: {written['bound']!r} is not a number.") from None
        return cls(
            text=text.strip(),
            metric=written["metric"],
            of=written["of"],
            method=written["method"] or "",
            test=written["test"],
            bound=bound,
        )

    def value(self, result: BenchmarkResult) -> float:
        """The result's value, in its widest part.

        Raises:
            DataError: The result has no such zoo, group or method, or the value is not defined.
        """
        table, column = ("zoos", "zoo") if self.metric in _OF_ZOOS else ("ranking", "candidates")
        records = result.records(table)
        rows = [row for row in records if row[column] == self.of]
        if not rows:
            named = ", ".join(sorted({str(row[column]) for row in records})) or "none"
            raise DataError(f"requirement {self.text!r}: the result has no {self.of!r}; it has {named}.")
        values = [number(row, self.metric) for row in headline_rows(rows) if self._meant(row)]
        known = [value for value in values if value == value]
        if not known:
            raise DataError(f"requirement {self.text!r}: not defined for {self.method or MODEL_SAT}.")
        return min(known)

    def _meant(self, row: Row) -> bool:
        if self.method:
            return row["method"] == self.method
        return role(row) == ("baseline" if self.metric in _LEADS else "own")


def failures(requirements: Iterable[Requirement], result: BenchmarkResult) -> list[str]:
    """One sentence for each requirement that does not hold; errors as for `Requirement.value`."""
    values = [(requirement, requirement.value(result)) for requirement in requirements]
    return [
        f"{requirement.text}: it is {value:.4f}"
        for requirement, value in values
        if not _TESTS[requirement.test](value, requirement.bound)
    ]
