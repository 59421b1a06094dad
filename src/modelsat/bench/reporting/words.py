"""Findings: sentences computed from a result's tables.

A comparison is won or lost only if its 95% interval excludes 0; otherwise it is undecided. A difference without an
interval decides nothing: the router is ahead or behind by value.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from modelsat.bench.methods import MODEL_SAT
from modelsat.bench.reporting.numbers import Form, points
from modelsat.bench.reporting.rows import baselines_in, number, own_row
from modelsat.bench.results import Row

Verdict = Literal["won", "lost", "undecided", "ahead", "behind", "fact"]

HEADINGS: Mapping[Verdict, str] = {
    "won": "What won",
    "lost": "Where a baseline wins",
    "undecided": "Too close to call",
    "ahead": "Ahead, without an interval",
    "behind": "Behind, without an interval",
    "fact": "Worth knowing",
}
_NO_DEFEAT = "Nowhere: no baseline's interval lies above Model-SAT's."


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence.

    Attributes:
        verdict: For the router, against it, neither; ahead or behind without an interval; or a fact.
        text: The sentence.
    """

    verdict: Verdict
    text: str


def judged(row: Row, column: str, bounds: tuple[str, str] | None = None) -> Verdict:
    """On which side of 0 an interval lies; undecided if it holds 0 or is not defined."""
    low, high = bounds or (f"{column}_low", f"{column}_high")
    if number(row, low) > 0:
        return "won"
    return "lost" if number(row, high) < 0 else "undecided"


def with_interval(row: Row, column: str, *, sign: int = 1) -> str:
    """A difference in points with its interval: +1.34 [+0.25, +2.43]; `sign` -1 reverses it."""
    value, *ends = (sign * number(row, name) for name in (column, f"{column}_low", f"{column}_high"))
    if ends[0] != ends[0]:
        return points(value)
    return f"{points(value)} [{points(min(ends))}, {points(max(ends))}]"


def lead_over(row: Row, where: str) -> Finding:
    """The router's lead over the method of a row, in points; `where` begins the sentence."""
    where = where[:1].upper() + where[1:]
    verdict, method = judged(row, "lead"), row["method"]
    if verdict == "undecided" and number(row, "lead") == 0:
        return Finding(verdict, f"{where}, {MODEL_SAT} and {method} are level.")
    if verdict == "undecided":
        ahead = number(row, "lead") >= 0
        leader, other = (MODEL_SAT, method) if ahead else (method, MODEL_SAT)
        lead = with_interval(row, "lead", sign=1 if ahead else -1)
        return Finding(
            verdict, f"{where}, {leader} is ahead of {other} by {lead} points; the interval holds 0."
        )
    winner, loser = (MODEL_SAT, method) if verdict == "won" else (method, MODEL_SAT)
    lead = with_interval(row, "lead", sign=1 if verdict == "won" else -1)
    return Finding(verdict, f"{where}, {winner} beats {loser} by {lead} points.")


def best_of(rows: Sequence[Row], column: str, what: str, form: Form, *, higher: bool = True) -> list[Finding]:
    """The router's value beside the best baseline's, without an interval."""
    own, others = own_row(rows), baselines_in(rows, column)
    if own is None or own[column] is None or not others:
        return []
    best = (max if higher else min)(others, key=lambda row: number(row, column))
    return [
        by_value(number(own, column), number(best, column), what, str(best["method"]), form, higher=higher)
    ]


def by_value(own: float, best: float, what: str, method: str, form: Form, *, higher: bool = True) -> Finding:
    """The router's value beside a baseline's."""
    ahead = own > best if higher else own < best
    text = f"{what}: {MODEL_SAT} {form(own)}, best baseline {method} {form(best)}."
    return Finding("ahead" if ahead else "behind", text)


def listed(words: Sequence[str]) -> str:
    """Words as a list in a sentence: a, b and c."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def by_verdict(found: Sequence[Finding]) -> dict[str, list[str]]:
    """Sentences under their headings; that there was no defeat is said in words."""
    grouped = {
        heading: [finding.text for finding in found if finding.verdict == verdict]
        for verdict, heading in HEADINGS.items()
    }
    lost = HEADINGS["lost"]
    if not grouped[lost] and any(finding.verdict in ("won", "undecided") for finding in found):
        grouped[lost] = [_NO_DEFEAT]
    return {heading: texts for heading, texts in grouped.items() if texts}
