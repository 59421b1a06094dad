"""From a journal to a capability card."""

from collections.abc import Mapping, Sequence
from statistics import median

from modelsat.capability.aptitude import AptitudeTest
from modelsat.capability.run import ExamRun, Interval, Spread
from modelsat.errors import EndpointError
from modelsat.exam.budget import estimated_tokens
from modelsat.exam.endpoint import Endpoint
from modelsat.exam.journal import Entry
from modelsat.exam.plan import item_scores
from modelsat.exam.runner import Sitting
from modelsat.types import CapabilityProfile, TaskResult

# A task's accuracy with its interval, where it is estimated.
Estimates = Mapping[str, tuple[float, Interval]]


def make_profile(
    sitting: Sitting,
    exam: AptitudeTest,
    *,
    date: str,
    hard: frozenset[str] = frozenset(),
    estimates: Estimates | None = None,
) -> CapabilityProfile:
    """What the answers say: score per item, accuracy per task.

    Args:
        sitting: With its answers.
        exam: The exam.
        date: ISO date.
        hard: Ids of items that must be right in every rotation (circle test).
        estimates: Accuracy of tasks of which some chosen items were asked (adaptive).

    Raises:
        EndpointError: There is no answer to any question.
    """
    scores = item_scores(list(sitting.questions.values()), sitting.grades, hard)
    results = []
    for task in exam.tasks:
        items = tuple(scores.get(item.id) for item in task.items)
        sat = [score for score in items if score is not None]
        if sat:
            estimate = (estimates or {}).get(task.name)
            # A task that was asked in full needs no estimate.
            estimated = estimate is not None and len(sat) < len(items)
            accuracy = estimate[0] if estimate is not None and estimated else sum(sat) / len(sat)
            results.append(
                TaskResult(
                    task=task.name,
                    keywords=task.keywords,
                    examples=task.examples,
                    accuracy=round(accuracy, 4),
                    shots=len(sat),
                    items=items,
                    estimated=estimated,
                )
            )
    if not results:
        why = f"; the last one {sitting.last_loss}" if sitting.last_loss else ""
        raise EndpointError(f"no question got an answer, so there is no card{why}.")
    written = output_tokens(list(sitting.journal.entries.values()))
    return CapabilityProfile(
        candidate=sitting.candidate,
        exam=exam.name,
        exam_hash=exam.hash,
        results=tuple(results),
        mean_output_tokens=round(sum(written) / len(written), 1) if written else None,
        date=date,
        source="modelsat exam run",
    )


def make_run(
    sitting: Sitting,
    endpoint: Endpoint,
    *,
    concurrency: int,
    circle: bool = False,
    adaptive: float | None = None,
    left_out: int = 0,
    estimates: Estimates | None = None,
) -> ExamRun:
    """How the exam went: latency, tokens, money, what could not be read, and the settings."""
    entries = [entry for entry in sitting.journal.entries.values() if not entry.refused]
    counted = [entry for entry in entries if entry.output_tokens is not None]
    written = output_tokens(entries)
    read = [float(entry.input_tokens) for entry in entries if entry.input_tokens is not None]
    speeds = [
        tokens / entry.latency_s
        for tokens, entry in zip(written, entries, strict=True)
        if entry.latency_s > 0
    ]
    return ExamRun(
        endpoint=endpoint.base_url,
        model=endpoint.model,
        api=endpoint.api,
        style=sitting.prompting.style,
        max_tokens=sitting.prompting.max_tokens,
        params=dict(endpoint.params),
        concurrency=concurrency,
        circle=circle,
        adaptive=adaptive,
        answers=len(entries),
        unreadable=sum(not grade.parsed for grade in sitting.grades.values()),
        refused=len(sitting.journal.entries) - len(entries),
        cut_short=sum(entry.cut_short for entry in entries),
        lost=len(sitting.lost),
        left_out=left_out,
        latency_s=Spread.of([entry.latency_s for entry in entries]),
        input_tokens=Spread.of(read),
        output_tokens=Spread.of(written),
        tokens_estimated=len(counted) < len(entries),
        tokens_per_second=round(median(speeds), 1) if speeds else None,
        cost=round(sitting.journal.cost, 6) if sitting.prices.known else None,
        intervals={
            task: (round(low, 4), round(high, 4)) for task, (_, (low, high)) in (estimates or {}).items()
        },
    )


def output_tokens(entries: Sequence[Entry]) -> list[float]:
    """Tokens of every answer: as counted, else estimated from its length."""
    return [
        float(estimated_tokens(entry.text) if entry.output_tokens is None else entry.output_tokens)
        for entry in entries
        if not entry.refused
    ]
