"""An exam session: one candidate or several sit the same exam at the same time."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from modelsat.capability.aptitude import AptitudeTest
from modelsat.capability.card import card_name
from modelsat.capability.run import ExamRun
from modelsat.endpoints.client import EndpointClient
from modelsat.errors import EndpointError, ModelSatError
from modelsat.exam.adaptive import AdaptivePlan, ItemBank
from modelsat.exam.budget import Budget, Prices
from modelsat.exam.client import ExamClient, RetryPolicy
from modelsat.exam.endpoint import Endpoint
from modelsat.exam.grading import make_profile, make_run
from modelsat.exam.journal import Journal
from modelsat.exam.plan import CirclePlan, FullPlan, Plan
from modelsat.exam.prompts import Prompting
from modelsat.exam.questions import Question
from modelsat.exam.runner import Ending, Progress, Sitting
from modelsat.types import Candidate, CapabilityProfile

ADAPTIVE_WIDTH = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """Who sits, and where they answer."""

    candidate: Candidate
    endpoint: Endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How the exam is sat; the same for every candidate.

    Attributes:
        prompting: How questions are put.
        hard: Ids of items to ask in every rotation of their options (circle test).
        bank: What is known of the items; with it the exam is adaptive.
        width: Half-width of a task's 95% interval at which an adaptive exam leaves it.
        concurrency: Questions under way at once, per candidate.
        retries: How long an endpoint is waited for.
        skip_refused: Count a question that the endpoint refuses as wrong, instead of ending.
        date: ISO date, for the cards.
    """

    prompting: Prompting = field(default_factory=Prompting)
    hard: frozenset[str] = frozenset()
    bank: ItemBank | None = None
    width: float = ADAPTIVE_WIDTH
    concurrency: int = 16
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    skip_refused: bool = False
    date: str = ""

    def plan(self, questions: Sequence[Question]) -> Plan:
        """What one candidate is asked."""
        if self.bank is not None:
            return AdaptivePlan(questions, self.bank, width=self.width)
        return CirclePlan(questions, self.hard) if self.hard else FullPlan(questions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one candidate's exam.

    Attributes:
        seat: Who sat.
        journal: The file with every answer.
        resumed: Answers that an earlier run had brought.
        ending: How it ended; None where it ended with an error.
        error: Why it ended with an error, or empty.
        profile: Its results; None after an error, a stop, or without any answer.
        run: How it went; None where there is no profile.
    """

    seat: Seat
    journal: Path
    resumed: int = 0
    ending: Ending | None = None
    error: str = ""
    profile: CapabilityProfile | None = None
    run: ExamRun | None = None


def journal_path(folder: Path, candidate: str) -> Path:
    """Where a candidate's answers go: beside its card."""
    return folder / f"{card_name(candidate).removesuffix('.json')}.journal.jsonl"


async def hold_session(
    seats: Sequence[Seat],
    exam: AptitudeTest,
    questions: Sequence[Question],
    rules: Rules,
    *,
    folder: Path,
    budget: Budget | None = None,
    resume: bool = False,
    left_out: int = 0,
    progress: Progress | None = None,
    stop: asyncio.Event | None = None,
) -> list[Result]:
    """Let every candidate sit the exam. One that fails does not disturb the others.

    Args:
        seats: Who sits.
        exam: The blueprint.
        questions: What may be asked of each.
        rules: How.
        folder: Where journals go.
        budget: Limits for all of them together.
        resume: Go on with journals that are there.
        left_out: Questions that are not asked since their kind is not graded here; for the cards.
        progress: Told how far each is.
        stop: Set it to ask nothing more.

    Returns:
        One result per seat, in order.
    """
    shared = budget or Budget()
    # All journals first: what earlier runs spent counts before anyone is asked.
    opened: list[tuple[Seat, Sitting | str]] = []
    for seat in seats:
        try:
            opened.append((seat, _sit_down(seat, exam, questions, rules, folder, resume=resume)))
        except ModelSatError as error:
            opened.append((seat, str(error)))
    sittings = [sitting for _, sitting in opened if isinstance(sitting, Sitting)]
    try:
        for sitting in sittings:
            sitting.recall(shared)
        async with EndpointClient() as connections:
            return list(
                await asyncio.gather(
                    *(
                        _sit(
                            seat,
                            sitting,
                            exam,
                            rules,
                            shared,
                            left_out=left_out,
                            progress=progress,
                            stop=stop,
                            connections=connections,
                        )
                        if isinstance(sitting, Sitting)
                        else _failed(seat, journal_path(folder, seat.candidate.name), sitting)
                        for seat, sitting in opened
                    )
                )
            )
    finally:
        for sitting in sittings:
            sitting.journal.close()


def _sit_down(
    seat: Seat,
    exam: AptitudeTest,
    questions: Sequence[Question],
    rules: Rules,
    folder: Path,
    *,
    resume: bool,
) -> Sitting:
    header = {
        "candidate": seat.candidate.name,
        "exam": exam.name,
        "exam_hash": exam.hash,
        "model": seat.endpoint.model,
        "api": seat.endpoint.api,
        "style": rules.prompting.style,
        "max_tokens": rules.prompting.max_tokens,
        "params": dict(seat.endpoint.params),
    }
    return Sitting(
        candidate=seat.candidate.name,
        questions={question.item.id: question for question in questions},
        plan=rules.plan(questions),
        prompting=rules.prompting,
        prices=Prices.of(seat.candidate),
        journal=Journal(journal_path(folder, seat.candidate.name), header, resume=resume),
        skip_refused=rules.skip_refused,
    )


async def _failed(seat: Seat, journal: Path, error: str) -> Result:
    return Result(seat=seat, journal=journal, error=error)


async def _sit(
    seat: Seat,
    sitting: Sitting,
    exam: AptitudeTest,
    rules: Rules,
    budget: Budget,
    *,
    left_out: int,
    progress: Progress | None,
    stop: asyncio.Event | None,
    connections: EndpointClient,
) -> Result:
    journal = sitting.journal.path
    resumed = sitting.journal.resumed
    client = ExamClient(seat.endpoint, connections, retries=rules.retries)
    try:
        ending = await sitting.run(
            client, budget, concurrency=rules.concurrency, progress=progress, stop=stop
        )
        if ending.reason == "stopped":
            return Result(seat=seat, journal=journal, resumed=resumed, ending=ending)
        if ending.reason and not sitting.grades:
            raise EndpointError(f"{ending.reason} before any answer, so there is no card.")
        estimates = sitting.plan.estimates() if isinstance(sitting.plan, AdaptivePlan) else None
        profile = make_profile(sitting, exam, date=rules.date, hard=rules.hard, estimates=estimates)
    except ModelSatError as error:
        return Result(seat=seat, journal=journal, resumed=resumed, error=str(error))
    run = make_run(
        sitting,
        seat.endpoint,
        concurrency=rules.concurrency,
        circle=bool(rules.hard),
        adaptive=None if rules.bank is None else rules.width,
        left_out=left_out,
        estimates=estimates,
    )
    return Result(seat=seat, journal=journal, resumed=resumed, ending=ending, profile=profile, run=run)
