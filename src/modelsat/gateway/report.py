"""What routing is worth: its cost beside that of fixed choices, quality by feedback, shares by candidate.

What another candidate would have cost is estimated from the decision's own ranking: its expected cost, times how much
dearer or cheaper the real answer was than had been expected of who gave it. So both sides of a comparison see the same
requests at the prices of the day, and long ones are long for both.
"""

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import numpy as np

from modelsat.gateway.comparison import Alternative, Comparer, Day, Standing, comparable
from modelsat.gateway.store.reads import Traffic
from modelsat.progress import Progress, no_progress
from modelsat.statistics import wilson_interval

PROGRESS_EVERY = 1_000
FAILED = 400


class Period(Protocol):
    """Traffic that can be read more than once, the same each time."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Traffic]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """What feedback says, beside what the router had foretold of the same answers.

    Attributes:
        count: Answers with feedback.
        observed: Mean score, from 0 to 1.
        low: Lower end of its 95% interval (Wilson's, which is no narrower than it should be for scores in between).
        high: Upper end.
        predicted: Mean Pr("Yes") of who answered; None where no router had been asked.
    """

    count: int
    observed: float
    low: float
    high: float
    predicted: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateShare:
    """What one candidate answered.

    Attributes:
        candidate: Its name.
        answers: Requests that it was the last to be asked.
        share: Of all such requests, from 0 to 1.
        failures: Those that ended with an error or were broken off.
        input_tokens: Where the upstream reported them.
        output_tokens: Where the upstream reported them.
        cost: Money, where it is known.
        unpriced: Answers whose cost is not known.
        median_ms: To the end of the answer.
        p95_ms: To the end of the answer.
        quality: By feedback; None without any.
    """

    candidate: str
    answers: int
    share: float
    failures: int
    input_tokens: int
    output_tokens: int
    cost: float
    unpriced: int
    median_ms: float
    p95_ms: float
    quality: Quality | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingReport:
    """One period.

    Attributes:
        since: Its beginning, in seconds since 1970 (UTC).
        until: Its end.
        decisions: How many were made.
        answered: How many of them were sent to a candidate; the others were asked for only, or are not over.
        failed: Answers that ended with an error or were broken off.
        fell_back: Answers that another candidate gave than the first that was asked.
        shadow: Decisions that were recorded while a fixed candidate answered.
        origins: Decisions by what made them: router, level, named, conversation.
        cost: Money spent, where it is known.
        unpriced: Answers whose cost is not known.
        compared: Answers that alternatives are compared on: routed ones of known cost and expected costs.
        alternatives: What was paid, and what fixed choices would have cost; empty where nothing compares.
        quality: By feedback, over all candidates; None without any.
        candidates: Most answers first.
        days: In order; days without compared answers are left out.
    """

    since: float
    until: float
    decisions: int
    answered: int
    failed: int
    fell_back: int
    shadow: int
    origins: dict[str, int]
    cost: float
    unpriced: int
    compared: int
    alternatives: tuple[Alternative, ...]
    quality: Quality | None
    candidates: tuple[CandidateShare, ...]
    days: tuple[Day, ...]

    def to_json(self) -> dict[str, Any]:
        """The report as plain values, times as ISO dates."""
        times = {name: iso_time(getattr(self, name)) for name in ("since", "until")}
        return {**asdict(self), **times}


def iso_time(moment: float) -> str:
    """A moment as programs read it, in UTC."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")


def period_words(report: RoutingReport) -> str:
    """A report's period as people read it."""
    since, until = (datetime.fromtimestamp(moment, UTC) for moment in (report.since, report.until))
    return f"{since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC"


def make_report(
    period: Period,
    *,
    since: float,
    until: float,
    strongest: str | None = None,
    cheapest: str | None = None,
    progress: Progress = no_progress,
) -> RoutingReport:
    """Read a period and sum it up.

    Args:
        period: Its traffic; read twice.
        since: Its beginning, to be shown.
        until: Its end, to be shown.
        strongest: What "always the strongest" means; by default the candidate with the highest mean Pr("Yes").
        cheapest: What "always the cheapest" means; by default the candidate with the lowest mean expected cost.
        progress: Called with (rows read, rows in all).

    Raises:
        DataError: `strongest` or `cheapest` is in no ranking of the period.
    """
    total = 2 * len(period)
    done = 0

    def rows() -> Iterator[Traffic]:
        nonlocal done
        for row in period:
            yield row
            done += 1
            progress("reading", done, total)

    counts: Counter[str] = Counter()
    origins: Counter[str] = Counter()
    tallies: dict[str, _Tally] = {}
    standing = Standing()
    for row in rows():
        counts["decisions"] += 1
        counts["shadow"] += row.shadow
        # Version 0.3 wrote best-single where level decided.
        origins["level" if row.origin == "best-single" else row.origin] += 1
        if row.answered_by is not None:
            tallies.setdefault(row.answered_by, _Tally()).add(row)
            counts["fell_back"] += row.fallbacks > 0
        if comparable(row):
            standing.add(row)
    comparer = Comparer(standing, strongest=strongest, cheapest=cheapest)
    for row in rows():
        if comparable(row):
            comparer.add(row)

    answered = sum(tally.answers for tally in tallies.values())
    shares = [tally.share(name, answered) for name, tally in tallies.items()]
    shares.sort(key=lambda share: (-share.answers, share.candidate))
    return RoutingReport(
        since=since,
        until=until,
        decisions=counts["decisions"],
        answered=answered,
        failed=sum(share.failures for share in shares),
        fell_back=counts["fell_back"],
        shadow=counts["shadow"],
        origins=dict(sorted(origins.items())),
        cost=sum(share.cost for share in shares),
        unpriced=sum(share.unpriced for share in shares),
        compared=comparer.count,
        alternatives=comparer.alternatives(),
        quality=_quality([pair for tally in tallies.values() for pair in tally.feedback]),
        candidates=tuple(shares),
        days=comparer.days(),
    )


class _Tally:
    """What one candidate answered, while it is being added up."""

    def __init__(self) -> None:
        self.answers = 0
        self.failures = 0
        self.input_tokens = 0
        self.output_tokens = 0
        self.cost = 0.0
        self.unpriced = 0
        self.upstream_ms = array("d")
        # Score, and Pr("Yes") where there is one.
        self.feedback: list[tuple[float, float | None]] = []

    def add(self, row: Traffic) -> None:
        self.answers += 1
        self.failures += (row.status or 0) >= FAILED
        self.input_tokens += row.input_tokens or 0
        self.output_tokens += row.output_tokens or 0
        self.cost += row.cost or 0.0
        self.unpriced += row.cost is None
        self.upstream_ms.append(row.upstream_ms or 0.0)
        if row.feedback is not None:
            foretold = {line.candidate: line.probability for line in row.ranking}
            self.feedback.append((row.feedback, foretold.get(row.answered_by or "")))

    def share(self, candidate: str, answered: int) -> CandidateShare:
        median_ms, p95_ms = np.percentile(self.upstream_ms, [50, 95])
        return CandidateShare(
            candidate=candidate,
            answers=self.answers,
            share=self.answers / answered,
            failures=self.failures,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            cost=self.cost,
            unpriced=self.unpriced,
            median_ms=float(median_ms),
            p95_ms=float(p95_ms),
            quality=_quality(self.feedback),
        )


def _quality(feedback: Sequence[tuple[float, float | None]]) -> Quality | None:
    if not feedback:
        return None
    observed = sum(score for score, _ in feedback) / len(feedback)
    foretold = [probability for _, probability in feedback if probability is not None]
    low, high = wilson_interval(observed, len(feedback))
    return Quality(
        count=len(feedback),
        observed=observed,
        low=low,
        high=high,
        predicted=sum(foretold) / len(foretold) if foretold else None,
    )
