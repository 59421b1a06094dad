"""A capability card as a self-contained HTML page, and the facts of a run in words."""

from modelsat.capability.run import ExamRun, accuracy_interval
from modelsat.routing.pricing import format_money
from modelsat.templates import render
from modelsat.types import CapabilityProfile


def card_page(profile: CapabilityProfile, run: ExamRun | None) -> str:
    """The card as HTML: a bar with its interval per task, best tasks first, and how the exam went."""
    shots = sum(result.shots for result in profile.results)
    results = sorted(profile.results, key=lambda result: -result.accuracy)
    date = f", {profile.date}" if profile.date else ""
    return render(
        "card.html",
        title=f"{profile.candidate}: capability card",
        heading=profile.candidate,
        lead=f"{profile.level:.1%} on {shots:,} items of exam {profile.exam}{date}",
        profile=profile,
        results=[(result, accuracy_interval(result, run)) for result in results],
        facts=[] if run is None else run_facts(run),
    )


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
        ("cost", "?" if run.cost is None else format_money(run.cost, run.currency)),
    ]
