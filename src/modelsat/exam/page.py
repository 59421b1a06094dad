"""A capability card as a self-contained HTML page, without scripts or external files."""

from html import escape

from modelsat.capability.run import ExamRun, accuracy_interval
from modelsat.routing.pricing import format_money
from modelsat.types import CapabilityProfile

_STYLE = """
:root { color-scheme: light dark; --bar: #2f6fb3; --track: #8883; --line: #111; }
@media (prefers-color-scheme: dark) { :root { --bar: #6aa5e0; --line: #eee; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; }
p.lead { margin-top: .2rem; }
table { border-collapse: collapse; width: 100%; margin: 1.5rem 0; }
th, td { text-align: left; padding: .25rem .75rem .25rem 0; vertical-align: top; }
th { border-bottom: 1px solid var(--track); }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.bar { width: 40%; min-width: 8rem; }
.track { position: relative; height: 1rem; margin-top: .3rem; background: var(--track); border-radius: 2px; }
.fill { height: 100%; background: var(--bar); border-radius: 2px; }
.interval { position: absolute; top: 45%; height: 10%; background: var(--line); }
small { opacity: .75; }
"""


def card_page(profile: CapabilityProfile, run: ExamRun | None) -> str:
    """The card as HTML: a bar with its interval per task, best tasks first, and how the exam went.

    Text from the card is escaped.
    """
    shots = sum(result.shots for result in profile.results)
    rows = "\n".join(
        _task_row(result.task, result.keywords, result.accuracy, result.shots, accuracy_interval(result, run))
        for result in sorted(profile.results, key=lambda result: -result.accuracy)
    )
    name = escape(profile.candidate)
    date = f", {escape(profile.date)}" if profile.date else ""
    notes = f"<p>{escape(profile.notes)}</p>" if profile.notes else ""
    estimated = (
        "<p><small>Accuracies are estimated for whole tasks from the items that were asked.</small></p>"
        if any(result.estimated for result in profile.results)
        else ""
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name}: capability card</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{name}</h1>
<p class="lead">{profile.level:.1%} on {shots:,} items of exam {escape(profile.exam)}{date}</p>
{notes}
<table>
<thead><tr><th>task</th><th>accuracy and its 95% interval</th><th class="number">accuracy</th>
<th class="number">shots</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
{estimated}
{"" if run is None else _run_table(run)}
</body>
</html>
"""


def _task_row(
    task: str, keywords: tuple[str, ...], accuracy: float, shots: int, interval: tuple[float, float]
) -> str:
    low, high = interval
    return (
        f"<tr><td>{escape(task)}<br><small>{escape(', '.join(keywords))}</small></td>"
        f'<td class="bar"><div class="track" role="img" aria-label="{accuracy:.0%}, from {low:.0%} to {high:.0%}">'
        f'<div class="fill" style="width:{accuracy:.1%}"></div>'
        f'<div class="interval" style="left:{low:.1%};width:{high - low:.1%}"></div></div></td>'
        f'<td class="number">{accuracy:.0%}</td><td class="number">{shots}</td></tr>'
    )


def _run_table(run: ExamRun) -> str:
    rows = "\n".join(
        f"<tr><td>{escape(label)}</td><td>{escape(value)}</td></tr>" for label, value in run_facts(run)
    )
    return f"<h2>How the exam went</h2>\n<table>\n{rows}\n</table>"


def run_facts(run: ExamRun) -> list[tuple[str, str]]:
    """Speed, length, cost and reliability of a run, as labels and texts."""
    lengths = run.output_tokens
    latency = "?" if run.latency_s is None else f"{run.latency_s.p50:.3g} / {run.latency_s.p95:.3g} s"
    tokens = "?" if lengths is None else f"{lengths.p50:.3g} / {lengths.p95:.3g}, {lengths.mean:.1f}"
    ways = [name for name, used in (("circle test", run.circle), ("adaptive", run.adaptive)) if used]
    return [
        ("asked", f"{run.model} at {run.endpoint}"),
        ("how", ", ".join([run.api, run.style, f"up to {run.max_tokens} tokens", *ways])),
        ("answers", f"{run.answers:,}"),
        ("unreadable answers", f"{run.unreadable:,}"),
        ("refused, cut short, lost", f"{run.refused}, {run.cut_short}, {run.lost}"),
        ("latency p50 / p95", f"{latency} at concurrency {run.concurrency}"),
        ("output tokens p50 / p95, mean", f"{tokens}{' (estimated)' if run.tokens_estimated else ''}"),
        ("tokens per second", "?" if run.tokens_per_second is None else f"{run.tokens_per_second:g}"),
        ("cost", "?" if run.cost is None else format_money(run.cost)),
    ]
