"""Requirements on a benchmark's result, as a user writes them to gate a release: "gain.smaller_scale>0"."""

import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from modelsat.bench.reporting.roles import OWN, Row, headline_part, number, records, role
from modelsat.bench.results import COLUMNS, BenchmarkResult
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
_OF_ZOOS = (*COLUMNS["zoos"][4:12], *_LEADS)
_OF_RANKING = COLUMNS["ranking"][3:6]


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One requirement.

    Attributes:
        text: As it was written.
        metric: A column of the table `zoos` or `ranking`.
        of: A zoo, or a group of candidates.
        method: Whose value; for a lead, over whom. By default Model-SAT's, and the least lead over all rivals.
        test: One of >, >=, <, <=.
        bound: What the value is held against.
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
        if written["metric"] not in (*_OF_ZOOS, *_OF_RANKING):
            known = ", ".join((*_OF_ZOOS, *_OF_RANKING))
            raise DataError(f"requirement {text!r}: no metric {written['metric']!r}; there are {known}.")
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
        """The value that the result has, in its widest part.

        Raises:
            DataError: The result has no such zoo, group or method, or the value is not defined.
        """
        table, column = ("zoos", "zoo") if self.metric in _OF_ZOOS else ("ranking", "candidates")
        rows = [row for row in records(result, table) if row[column] == self.of]
        if not rows:
            named = sorted({str(row[column]) for row in records(result, table)})
            raise DataError(
                f"requirement {self.text!r}: the result has no {self.of!r}; it has {', '.join(named) or 'none'}."
            )
        part = headline_part(rows)
        values = [number(row, self.metric) for row in rows if row["part"] == part and self._meant(row)]
        known = [value for value in values if value == value]
        if not known:
            raise DataError(f"requirement {self.text!r}: not defined for {self.method or OWN}.")
        return min(known)

    def holds(self, result: BenchmarkResult) -> bool:
        """Whether it holds; errors as for `value`."""
        return _TESTS[self.test](self.value(result), self.bound)

    def _meant(self, row: Row) -> bool:
        name = str(row["method"])
        if self.method:
            return name == self.method
        return role(name) == "rival" if self.metric in _LEADS else name == OWN


def failures(requirements: Iterable[Requirement], result: BenchmarkResult) -> list[str]:
    """What fails, one sentence each."""
    return [
        f"{requirement.text}: it is {requirement.value(result):.4f}"
        for requirement in requirements
        if not requirement.holds(result)
    ]
