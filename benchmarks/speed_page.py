"""docs/speed.md, written from results/speed.json and results/engine.json (the second may be missing).

python -m benchmarks.speed_page            write it
python -m benchmarks.speed_page --check    exit with 1 if it is stale
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import listed
from benchmarks.onnx_quality import written

ROOT = Path(__file__).resolve().parent.parent
SPEED, ENGINE = "results/speed.json", "results/engine.json"

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

The classifier, the neighbours and LiteLLM's heuristic router are common ways to route: times only, the first two with
random weights and vectors. For the choices of kNN see [the results](results.md), for those of LiteLLM's tiers
`experiments/litellm` in the repository. The longest texts cost no more than the token budget, because head and tail are
kept and the middle is not read."""

_QUALITY = """\
## Quality against cost

On validation: {instructions} instructions, {candidates} candidates, {layers} layers of the backbone. The number of
layers is chosen in tuning, which adapts them; the token budget can be changed afterwards, and 8 bits are used on
processors with VNNI. Differences are from the first row: AUC lost (at most {bar} is allowed for 8 bits), the
largest difference of P(right), the share of choices that change (mean over zoos), and what these changes are worth in
points. CPU ms: milliseconds of all threads for an instruction, about the same on a busy machine.

Measured on: {machine}; printed by `make bench-engine DATA=FOLDER`."""


def speed_page(speed: Mapping[str, Any], engine: Mapping[str, Any] | None) -> str:
    """The page as Markdown.

    Args:
        speed: From `MeasureReport.to_json`.
        engine: From `OnnxReport.to_json`; None if it was not measured.
    """
    sources = [f"[{name}](../{name})" for name in (SPEED, *([ENGINE] if engine else []))]
    with_bar = [measure for measure in speed["measures"] if measure["bar"] is not None]
    rest = [measure for measure in speed["measures"] if measure["bar"] is None]
    parts = [
        _OPENING.format(
            sources=" and ".join(sources),
            machine=listed(speed["machine"]),
            versions=listed(speed["versions"]),
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
        machine=listed(engine["machine"]),
    )


def _quality_table(engine: Mapping[str, Any]) -> str:
    columns = (
        *("precision", "tokens", "AUC", "AUC lost", "within-candidate AUC", "largest difference"),
        *("changed", "points", "CPU ms"),
    )
    return _table(columns, map(written, engine["rows"]))


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _read(name: str) -> dict[str, Any] | None:
    path = ROOT / name
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def main(arguments: Sequence[str]) -> None:
    """Write the page, or check it."""
    page, speed = ROOT / "docs" / "speed.md", _read(SPEED)
    if speed is None:
        sys.exit(f"{SPEED}: missing; write it with  make bench-speed.")
    text = speed_page(speed, _read(ENGINE))
    if "--check" in arguments:
        stale = not page.exists() or page.read_text(encoding="utf-8") != text
        sys.exit("docs/speed.md is stale; write it with  python -m benchmarks.speed_page." if stale else 0)
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
