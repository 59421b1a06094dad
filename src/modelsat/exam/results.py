"""Results of a sitting: the capability profile and how the exam went."""

from collections.abc import Sequence
from statistics import median

from modelsat.capability.aptitude import AptitudeTest
from modelsat.capability.run import ExamRun, Spread
from modelsat.errors import EndpointError
from modelsat.exam.budget import estimated_tokens
from modelsat.exam.journal import Entry
from modelsat.exam.plan import AdaptivePlan, Estimates, item_scores
from modelsat.exam.sitting import Sitting
from modelsat.routing.pricing import expected_cost
from modelsat.types import CapabilityProfile, TaskResult


def make_profile(sitting: Sitting, exam: AptitudeTest, *, date: str) -> CapabilityProfile:
    """Score per item and accuracy per task.

    Args:
        sitting: With its answers.
        exam: The exam.
        date: ISO date.

    Raises:
        EndpointError: No question got an answer.
    """
    estimates = _estimates(sitting)
    scores = item_scores(sitting.questions, sitting.grades, sitting.planner.hard)
    results = []
    for task in exam.tasks:
        items = tuple(scores.get(item.id) for item in task.items)
        sat = [score for score in items if score is not None]
        if sat:
            estimate = estimates.get(task.name)
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
        candidate=sitting.participant.candidate.name,
        exam=exam.name,
        exam_hash=exam.hash,
        results=tuple(results),
        mean_output_tokens=round(sum(written) / len(written), 1) if written else None,
        date=date,
        source="modelsat exam run",
    )


def make_run(sitting: Sitting, *, left_out: int = 0) -> ExamRun:
    """How the exam went: latency, tokens, money, what could not be read, and the settings."""
    settings, endpoint = sitting.settings, sitting.participant.endpoint
    priced = expected_cost(sitting.participant.candidate, 1, 1) is not None
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
        style=settings.style,
        max_tokens=settings.prompts.max_tokens,
        params=dict(endpoint.params),
        concurrency=settings.concurrency,
        circle=bool(sitting.planner.hard),
        adaptive=None if sitting.planner.bank is None else sitting.planner.width,
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
        cost=round(sitting.journal.cost, 6) if priced else None,
        currency=sitting.participant.candidate.currency,
        intervals={
            task: (round(low, 4), round(high, 4)) for task, (_, (low, high)) in _estimates(sitting).items()
        },
    )


def output_tokens(entries: Sequence[Entry]) -> list[float]:
    """Tokens of every answer: as counted by the endpoint, else estimated from its length."""
    return [
        float(estimated_tokens(entry.text) if entry.output_tokens is None else entry.output_tokens)
        for entry in entries
        if not entry.refused
    ]


def _estimates(sitting: Sitting) -> Estimates:
    """Accuracy of whole tasks from the items that adaptive testing chose."""
    return sitting.plan.estimates() if isinstance(sitting.plan, AdaptivePlan) else {}
