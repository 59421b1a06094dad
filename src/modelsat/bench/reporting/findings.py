"""What won and where a rival wins, in sentences computed from the tables.

A comparison is won or lost only where its 95% interval keeps away from 0; everything else is undecided, and said so.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from modelsat.bench.reporting.numbers import count, percent, points, three_decimals
from modelsat.bench.reporting.roles import (
    BEST_SINGLE,
    OWN,
    Row,
    averaged_zoos,
    distinct,
    headline_part,
    number,
    own_row,
    part_name,
    records,
    role,
    strongest_rival,
    zoo_places,
    zoo_rows,
)
from modelsat.bench.results import BenchmarkResult

Verdict = Literal["won", "lost", "undecided", "fact"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One sentence or two.

    Attributes:
        verdict: For the router, against it, neither, or a fact that is no contest.
        topic: What it is about; the name of the table that it rests on.
        text: The sentence.
    """

    verdict: Verdict
    topic: str
    text: str


def contests(result: BenchmarkResult) -> list[Finding]:
    """The router against its rivals, its controls and the best single candidate."""
    found: list[Finding] = []
    for compare in (_gain, _mean_lead, _by_zoo, _serving_unseen, _by_part, _controls, _ranking, _calibration):
        found.extend(compare(result))
    return found


def judged(row: Row, column: str) -> Verdict:
    """Which side of 0 an interval lies on."""
    if number(row, f"{column}_low") > 0:
        return "won"
    return "lost" if number(row, f"{column}_high") < 0 else "undecided"


def with_interval(row: Row, column: str, *, sign: int = 1) -> str:
    """A difference in points with its interval: +1.34 [+0.25, +2.43]; `sign` -1 turns it round."""
    ends = [sign * number(row, f"{column}_{end}") for end in ("low", "high")]
    if ends[0] != ends[0]:
        return points(sign * number(row, column))
    return f"{points(sign * number(row, column))} [{points(min(ends))}, {points(max(ends))}]"


def listed(words: Sequence[str]) -> str:
    """Words as a list in a sentence: a, b and c."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _gain(result: BenchmarkResult) -> Iterator[Finding]:
    own = own_row(zoo_rows(result))
    if own is None:
        return
    gap = number(own, "gap_closed")
    way = f", {percent(gap)} of the way to the oracle" if gap == gap else ""
    zoos = len(averaged_zoos(result))
    yield Finding(
        verdict=judged(own, "gain"),
        topic="zoos",
        text=f"{OWN} is right on {percent(number(own, 'accuracy'))} of {count(number(own, 'n'))} instructions in "
        f"the mean over {zoos} zoos: {with_interval(own, 'gain')} points over the best single candidate{way}.",
    )


def _mean_lead(result: BenchmarkResult) -> Iterator[Finding]:
    rivals = [
        row for row in zoo_rows(result) if role(str(row["method"])) == "rival" and row["lead"] is not None
    ]
    if not rivals:
        return
    beaten = [row for row in rivals if judged(row, "lead") == "won"]
    closest = min(rivals, key=lambda row: number(row, "lead"))
    if beaten:
        tail = f"; the closest rival is {closest['method']}, led by {with_interval(closest, 'lead')}"
        every = "every one" if len(beaten) == len(rivals) else f"{len(beaten)}"
        yield Finding(
            verdict="won",
            topic="zoos",
            text=f"In the mean over the zoos it leads {every} of {len(rivals)} rivals with the interval above 0"
            f"{tail if closest in beaten else ''}.",
        )
    for row in rivals:
        if judged(row, "lead") != "won":
            yield _against(row, "In the mean over the zoos")


def _by_zoo(result: BenchmarkResult) -> Iterator[Finding]:
    clear, averaged = [], averaged_zoos(result)
    for zoo, part in zoo_places(result):
        where = zoo if zoo in averaged else f"{zoo} ({part_name(part)})"
        rivals = [
            row
            for row in zoo_rows(result, zoo, part)
            if role(str(row["method"])) == "rival" and row["lead"] is not None
        ]
        defeats = [row for row in rivals if judged(row, "lead") == "lost"]
        for row in defeats:
            yield _against(row, f"In {where}")
        closest = min(rivals, key=lambda row: number(row, "lead"), default=None)
        if closest is None or defeats:
            continue
        if judged(closest, "lead") == "won":
            clear.append(f"{where} (closest: {closest['method']}, {with_interval(closest, 'lead')})")
        else:
            yield _against(closest, f"In {where}")
    if clear:
        yield Finding(
            verdict="won",
            topic="zoos",
            text=f"It leads every rival, interval above 0, in {listed(clear)}.",
        )


def _against(row: Row, where: str) -> Finding:
    """A rival that the router does not clearly beat."""
    verdict, lead = judged(row, "lead"), number(row, "lead")
    turned = with_interval(row, "lead", sign=-1)
    if verdict == "lost":
        text = f"{where}, {row['method']} wins by {turned} points."
    elif lead < 0:
        text = f"{where}, {row['method']} is ahead by {turned} points; the interval holds 0."
    else:
        margin = with_interval(row, "lead")
        text = f"{where}, {OWN} is {margin} points ahead of {row['method']}; the interval holds 0."
    return Finding(verdict=verdict, topic="zoos", text=text)


def _serving_unseen(result: BenchmarkResult) -> Iterator[Finding]:
    serving = [
        row
        for row in zoo_rows(result)
        if row["serves_unseen"] is True and role(str(row["method"])) == "rival" and row["lead"] is not None
    ]
    if not serving:
        return
    closest = min(serving, key=lambda row: number(row, "lead"))
    verdict = judged(closest, "lead")
    lead = with_interval(closest, "lead")
    text = {
        "won": f"It leads every one of the {len(serving)} rivals that can serve a candidate never seen in tuning; the "
        f"closest is {closest['method']}, led by {lead} points.",
        "lost": f"Among methods that can serve a candidate never seen in tuning, {closest['method']} is better by "
        f"{with_interval(closest, 'lead', sign=-1)} points.",
    }.get(
        verdict,
        f"Among methods that can serve a candidate never seen in tuning, {closest['method']} is too close to call: "
        f"{OWN}'s lead is {lead} points.",
    )
    yield Finding(verdict=verdict, topic="zoos", text=text)


def _by_part(result: BenchmarkResult) -> Iterator[Finding]:
    rows = records(result, "zoos")
    headline = headline_part(rows)
    for part in distinct(row["part"] for row in rows):
        own, rival = own_row(zoo_rows(result, part=part)), strongest_rival(zoo_rows(result, part=part))
        if part == headline or own is None:
            continue
        gain = f"On {part_name(part)}, it gains {with_interval(own, 'gain')} points over the best single candidate"
        if rival is None or rival["lead"] is None or rival["method"] == BEST_SINGLE:
            yield Finding(verdict=judged(own, "gain"), topic="zoos", text=f"{gain}.")
            continue
        verdict = judged(rival, "lead")
        against = {"won": "below it", "lost": "above it"}.get(verdict, "too close to call")
        yield Finding(
            verdict=verdict,
            topic="zoos",
            text=f"{gain}; the strongest rival there, {rival['method']}, is {against} (lead "
            f"{with_interval(rival, 'lead')}).",
        )


def _controls(result: BenchmarkResult) -> Iterator[Finding]:
    for row in zoo_rows(result):
        if role(str(row["method"])) != "control" or row["lead"] is None:
            continue
        verdict = judged(row, "lead")
        what = f"With the wrong cards ({row['method']}) it loses {with_interval(row, 'lead')} points"
        mean = "it reads the cards" if verdict == "won" else "the cards are not shown to matter"
        yield Finding(verdict=verdict, topic="zoos", text=f"{what}: {mean}.")


def _ranking(result: BenchmarkResult) -> Iterator[Finding]:
    yield from _best_of(result, "auc", "AUC", higher_wins=True)


def _calibration(result: BenchmarkResult) -> Iterator[Finding]:
    yield from _best_of(result, "ece", "Calibration error (ECE)", higher_wins=False)


def _best_of(result: BenchmarkResult, column: str, name: str, *, higher_wins: bool) -> Iterator[Finding]:
    """The router's value beside the best rival's, for seen and unseen candidates; no interval, so by value."""
    rows = records(result, "ranking")
    part = headline_part(rows)
    for group in distinct(row["candidates"] for row in rows):
        here = [
            row
            for row in rows
            if row["part"] == part and row["candidates"] == group and row[column] is not None
        ]
        own = own_row(here)
        rivals = [row for row in here if role(str(row["method"])) == "rival"]
        if own is None or not rivals:
            continue
        best = (max if higher_wins else min)(rivals, key=lambda row: number(row, column))
        ahead = number(own, column) > number(best, column)
        verdict: Verdict = "won" if ahead == higher_wins else "lost"
        yield Finding(
            verdict=verdict,
            topic="ranking",
            text=f"{name} on {group} candidates: {OWN} {three_decimals(number(own, column))}, "
            f"{'next' if verdict == 'won' else 'better'} {best['method']} {three_decimals(number(best, column))}.",
        )
