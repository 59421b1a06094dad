"""docs/speed.md: what `modelsat bench speed` and `modelsat bench engine` measured, as a page."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_OPENING = """\
# Speed

Written from {sources} by `make bench-speed`. Ratios are taken within one run, in turns, so that
they carry over to other machines; seconds do not.

Measured on: {machine}. Versions: {versions}."""

_BARS = """\
## Bars

Each value beside what is expected of it. A busy machine misses bars: see its load above (runnable processes, before the
run)."""

_REST = """\
## What explains them

The classifier, the neighbours and LiteLLM's heuristic router are what people route with today: times only, the first
two with random weights and vectors. How well kNN chooses is in README's table, what LiteLLM's tiers are worth in
`experiments/litellm` of the repository. The longest texts cost no more than the token budget, because head and tail are
kept and the middle is not read."""

_QUALITY = """\
## Quality against cost

On validation: {instructions} instructions, {candidates} candidates, {layers} layers of the backbone. How many layers is
chosen in tuning, which adapts the layers that are run; the token budget can be changed afterwards, and 8 bits are taken
where the processor has VNNI. Differences are from the first row: AUC lost (at most {bar} is allowed for 8 bits), the
largest difference of Pr("Yes"), the share of choices that change (mean over zoos), and what these changes are worth in
points. CPU ms: milliseconds of all threads for an instruction, about the same on a busy machine.

Measured on: {machine}; printed by `modelsat bench engine --outcomes DATA --splits DATA/splits.json`."""


def speed_page(
    speed: Mapping[str, Any],
    engine: Mapping[str, Any] | None,
    *,
    speed_source: str,
    engine_source: str,
) -> str:
    """The page as Markdown.

    Args:
        speed: As `SpeedReport.to_json` gives it.
        engine: As `EngineReport.to_json` gives it; None where that was not measured.
        speed_source: Where the first is kept.
        engine_source: Where the second is kept.
    """
    sources = [f"[{name}](../{name})" for name in (speed_source, *([engine_source] if engine else []))]
    with_bar = [measure for measure in speed["measures"] if measure["bar"] is not None]
    rest = [measure for measure in speed["measures"] if measure["bar"] is None]
    parts = [
        _OPENING.format(
            sources=" and ".join(sources),
            machine=_listed(speed["machine"]),
            versions=_listed(speed["versions"]),
        ),
        _BARS,
        _table(("", "measured", "bar", "", "how"), [_bar_row(measure) for measure in with_bar]),
    ]
    if rest:
        rows = [(measure["name"], _value(measure), measure["note"]) for measure in rest]
        parts += [_REST, _table(("", "measured", "how"), rows)]
    if engine is not None:
        parts += [_quality(engine), _quality_table(engine)]
    return "\n\n".join(parts) + "\n"


def _listed(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _bar_row(measure: Mapping[str, Any]) -> tuple[str, ...]:
    sign = "at most" if measure["better"] == "lower" else "at least"
    met = "met" if measure["met"] else "**missed**"
    return (
        measure["name"],
        _value(measure),
        f"{sign} {measure['bar']:g} {measure['unit']}",
        met,
        measure["note"],
    )


def _value(measure: Mapping[str, Any]) -> str:
    return f"{measure['value']:.3g} {measure['unit']}"


def _quality(engine: Mapping[str, Any]) -> str:
    return _QUALITY.format(
        instructions=engine["instructions"],
        candidates=engine["candidates"],
        layers=engine["layers"] or "all",
        bar=engine["auc_loss_bar"],
        machine=_listed(engine["machine"]),
    )


def _quality_table(engine: Mapping[str, Any]) -> str:
    columns = (
        *("precision", "tokens", "AUC", "AUC lost", "within-candidate AUC", "largest difference"),
        *("changed", "points", "CPU ms"),
    )
    rows = [
        (
            row["precision"],
            str(row["tokens"]),
            f"{row['auc']:.4f}",
            f"{row['auc_loss']:+.4f}",
            f"{row['within_auc']:.4f}",
            f"{row['largest_difference']:.4f}",
            f"{row['changed']:.1%}",
            f"{row['points']:+.2f}",
            f"{row['cpu_ms']:.0f}",
        )
        for row in engine["rows"]
    ]
    return _table(columns, rows)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
