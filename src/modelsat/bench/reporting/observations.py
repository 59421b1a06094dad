"""What else a benchmark found, in sentences: exam length, arrivals, coverage, money, time, robustness, leakage."""

from collections.abc import Iterator, Sequence

from modelsat.bench.reporting.findings import Finding, Verdict, contests, judged, listed
from modelsat.bench.reporting.numbers import (
    apart,
    count,
    percent,
    points,
    three_decimals,
    three_figures,
    whole_percent,
)
from modelsat.bench.reporting.roles import OWN, Row, distinct, number, own_row, records, role, stream_means
from modelsat.bench.results import MEAN_ZOO, BenchmarkResult


def findings(result: BenchmarkResult) -> list[Finding]:
    """Everything that can be said of a result, contests first."""
    found = contests(result)
    for observe in (_stream, _cost, _exam, _coverage, _overhead, _robustness, _gadgets, _leakage):
        found.extend(observe(result))
    return found


def sufficient_exam(rows: Sequence[Row], share: float = 0.9) -> Row | None:
    """The shortest exam that gives most of what the longest gives.

    Args:
        rows: Of the learning curve, one group of candidates, the row without exam among them.
        share: Of the AUC that the longest exam adds to no exam.

    Returns:
        The row; None where no exam is no worse than the longest.
    """
    by_length = sorted((row for row in rows if row["auc"] is not None), key=lambda row: number(row, "items"))
    if len(by_length) < 2 or number(by_length[0], "items") > 0:
        return None
    without, longest = number(by_length[0], "auc"), number(by_length[-1], "auc")
    if longest <= without:
        return None
    enough = without + share * (longest - without)
    return next(row for row in by_length if number(row, "auc") >= enough)


def _stream(result: BenchmarkResult) -> Iterator[Finding]:
    rows = records(result, "stream")
    for group in distinct(row["group"] for row in rows):
        means = stream_means([row for row in rows if row["group"] == group])
        rivals = {method: mean for method, mean in means.items() if role(method) == "rival"}
        if OWN not in means or not rivals:
            continue
        best = max(rivals, key=lambda method: rivals[method])
        ahead = means[OWN] - rivals[best]
        verdict: Verdict = "won" if ahead > 0 else "lost"
        yield Finding(
            verdict=verdict,
            topic="stream",
            text=f"Over the release stream of {group}, {OWN} is right on {percent(means[OWN])} in the mean, "
            f"{apart(ahead)} points {'ahead of' if ahead > 0 else 'behind'} its strongest rival, {best} (means over "
            "arrivals, without interval).",
        )


def _cost(result: BenchmarkResult) -> Iterator[Finding]:
    rows = records(result, "cost")
    saving, never = [], []
    for zoo in distinct(row["zoo"] for row in rows):
        here = [row for row in rows if row["zoo"] == zoo]
        own = own_row(here)
        if own is None:
            continue
        if own["saved"] is None:
            never.append(zoo)
        else:
            saving.append(f"{whole_percent(number(own, 'saved'))} in {zoo}")
        rivals = [row for row in here if role(str(row["method"])) == "rival" and row["aiq"] is not None]
        best = max(rivals, key=lambda row: number(row, "aiq"), default=None)
        if best is not None and own["aiq"] is not None:
            won = number(own, "aiq") > number(best, "aiq")
            yield Finding(
                verdict="won" if won else "lost",
                topic="cost",
                text=f"Quality over all budgets (AIQ) in {zoo}: {OWN} {three_decimals(number(own, 'aiq'))}, "
                f"{'next' if won else 'better'} {best['method']} {three_decimals(number(best, 'aiq'))}.",
            )
    if saving:
        yield Finding(
            verdict="fact",
            topic="cost",
            text=f"Cost saved at the quality of the strongest candidate: {listed(saving)}.",
        )
    if never:
        yield Finding(
            verdict="fact",
            topic="cost",
            text=f"It does not reach the strongest candidate's quality at a lower cost in {listed(never)}.",
        )


def _exam(result: BenchmarkResult) -> Iterator[Finding]:
    rows = [row for row in records(result, "learning_curve") if row["candidates"] == "unseen"]
    enough = sufficient_exam(rows)
    if enough is not None:
        longest = max(rows, key=lambda row: number(row, "items"))
        yield Finding(
            verdict="fact",
            topic="learning_curve",
            text=f"A new candidate needs an exam of {count(number(enough, 'items'))} items ({enough['exam']}) for nine "
            f"tenths of the AUC that {count(number(longest, 'items'))} items add to no exam.",
        )


def _coverage(result: BenchmarkResult) -> Iterator[Finding]:
    rows = records(result, "coverage")
    for group in distinct(row["group"] for row in rows):
        largest = max((row for row in rows if row["group"] == group), key=lambda row: number(row, "size"))
        yield Finding(
            verdict="fact",
            topic="coverage",
            text=f"{count(number(largest, 'size'))} small models of {group} together solve "
            f"{percent(number(largest, 'covered'))} of what the strongest one solves.",
        )


def _overhead(result: BenchmarkResult) -> Iterator[Finding]:
    rows = [row for row in records(result, "overhead") if row["milliseconds"] is not None]
    for layout in distinct(row["layout"] for row in rows):
        here = sorted(
            (row for row in rows if row["layout"] == layout), key=lambda row: number(row, "candidates")
        )
        first, last = here[0], here[-1]
        if first is not last:
            times = [f"{three_figures(number(row, 'milliseconds'))} ms" for row in (first, last)]
            sizes = [count(number(row, "candidates")) for row in (first, last)]
            yield Finding(
                verdict="fact",
                topic="overhead",
                text=f"{layout}: {times[0]} to route over a zoo of {sizes[0]}, {times[1]} over a zoo of {sizes[1]}.",
            )


def _robustness(result: BenchmarkResult) -> Iterator[Finding]:
    rows = records(result, "robustness")
    # The mean over zoos speaks for all of them where it was computed.
    rows = [row for row in rows if row["zoo"] == MEAN_ZOO] or rows
    known = [{**row, "accuracy_change_low": row["low"], "accuracy_change_high": row["high"]} for row in rows]
    harmful = [row for row in known if judged(row, "accuracy_change") == "lost"]
    if harmful:
        lines = [
            f"{row['perturbation']} ({points(number(row, 'accuracy_change'))} points{_in_zoo(row)})"
            for row in harmful
        ]
        yield Finding(
            verdict="fact",
            topic="robustness",
            text=f"Accuracy falls, interval below 0, under {listed(lines)}.",
        )
    elif known:
        kinds = len(distinct(row["perturbation"] for row in known))
        text = f"None of {kinds} perturbations costs accuracy beyond its interval."
        yield Finding(verdict="fact", topic="robustness", text=text)


def _in_zoo(row: Row) -> str:
    return "" if row["zoo"] == MEAN_ZOO else f", {row['zoo']}"


def _gadgets(result: BenchmarkResult) -> Iterator[Finding]:
    rows = [row for row in records(result, "gadgets") if row["success_rate"] is not None]
    if rows:
        worst = max(rows, key=lambda row: number(row, "success_rate") - number(row, "rate_without"))
        gadgets = len(distinct(row["gadget"] for row in rows))
        there, before = (whole_percent(number(worst, column)) for column in ("success_rate", "rate_without"))
        yield Finding(
            verdict="fact",
            topic="gadgets",
            text=f"The strongest of {gadgets} gadget strings, {worst['gadget']}, sends {there} of instructions to the "
            f"dearest candidate of {worst['zoo']}; without it, {before} go there.",
        )


def _leakage(result: BenchmarkResult) -> Iterator[Finding]:
    rows = records(result, "leakage")
    leaks = [row for row in rows if number(row, "found") > 0]
    if leaks:
        what = listed([f"{row['check']} ({count(number(row, 'found'))})" for row in leaks])
        yield Finding(
            verdict="lost", topic="leakage", text=f"The numbers are not clean: leakage found by {what}."
        )
    elif rows:
        yield Finding(verdict="fact", topic="leakage", text=f"All {len(rows)} leakage checks found nothing.")
