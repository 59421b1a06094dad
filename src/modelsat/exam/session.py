"""An exam session: one or more participants sit the same exam at the same time."""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from modelsat.capability.aptitude import AptitudeTest
from modelsat.capability.card import card_name
from modelsat.capability.run import ExamRun
from modelsat.endpoints.client import EndpointClient
from modelsat.errors import EndpointError, ModelSatError
from modelsat.exam.budget import Budget
from modelsat.exam.client import ExamClient
from modelsat.exam.journal import Journal
from modelsat.exam.questions import Question
from modelsat.exam.results import make_profile, make_run
from modelsat.exam.settings import ExamSettings, Participant, Planner
from modelsat.exam.sitting import ExamOutcome, Sitting
from modelsat.progress import Progress, no_progress
from modelsat.types import CapabilityProfile
from modelsat.types.candidates import CURRENCY


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamResult:
    """Result of one participant's exam.

    Attributes:
        participant: The candidate and its endpoint.
        journal: File with every answer.
        resumed: Answers taken over from an earlier run.
        outcome: How the exam ended; None after an error.
        error: Why it ended with an error, or empty.
        profile: The candidate's results; None after an error, a stop, or without any answer.
        run: Latency, tokens and money; None without a profile.
    """

    participant: Participant
    journal: Path
    resumed: int = 0
    outcome: ExamOutcome | None = None
    error: str = ""
    profile: CapabilityProfile | None = None
    run: ExamRun | None = None


def journal_path(folder: Path, candidate: str) -> Path:
    """Path of a candidate's journal, beside its card."""
    return folder / f"{card_name(candidate).removesuffix('.json')}.journal.jsonl"


async def run_session(
    participants: Sequence[Participant],
    exam: AptitudeTest,
    questions: Sequence[Question],
    settings: ExamSettings,
    *,
    folder: Path,
    date: str = "",
    max_cost: float | None = None,
    resume: bool = False,
    left_out: int = 0,
    progress: Progress = no_progress,
    stop: asyncio.Event | None = None,
) -> list[ExamResult]:
    """Run the exam for all participants. One that fails does not disturb the others.

    Args:
        participants: Candidates and their endpoints.
        exam: The blueprint.
        questions: Questions that may be asked.
        settings: How they are asked.
        folder: Folder of the journals.
        date: ISO date, for the cards.
        max_cost: Money that all participants together may spend, earlier runs included; None for no limit.
        resume: Continue journals that exist.
        left_out: Number of questions that cannot be graded here, for the cards.
        progress: Called with each candidate's answers so far and expected.
        stop: Set it to ask nothing more.

    Returns:
        One result per participant, in order.

    Raises:
        DataError: The reference zoo of the settings does not show how hard the items are.
    """
    currency = next((one.candidate.currency for one in participants), CURRENCY)
    budget = Budget(max_cost=max_cost, max_calls=settings.max_items, currency=currency)
    planner = Planner.of(exam, settings)
    # All journals first: what earlier runs spent counts before anything is asked.
    opened = [_open(one, exam, questions, settings, planner, folder, resume=resume) for one in participants]
    sittings = [sitting for sitting in opened if isinstance(sitting, Sitting)]
    try:
        for sitting in sittings:
            sitting.recall(budget)
        async with EndpointClient() as connections:

            async def run(sitting: Sitting | ExamResult) -> ExamResult:
                if isinstance(sitting, ExamResult):
                    return sitting
                client = ExamClient(sitting.participant.endpoint, connections, retries=settings.retries)
                ended = sitting.run(client, budget, progress=progress, stop=stop)
                return await _result(sitting, ended, exam, date=date, left_out=left_out)

            return await asyncio.gather(*map(run, opened))
    finally:
        for sitting in sittings:
            sitting.journal.close()


def _open(
    participant: Participant,
    exam: AptitudeTest,
    questions: Sequence[Question],
    settings: ExamSettings,
    planner: Planner,
    folder: Path,
    *,
    resume: bool,
) -> Sitting | ExamResult:
    endpoint = participant.endpoint
    header = {
        "candidate": participant.candidate.name,
        "exam": exam.name,
        "exam_hash": exam.hash,
        "model": endpoint.model,
        "api": endpoint.api,
        "style": settings.style,
        "max_tokens": settings.prompts.max_tokens,
        "params": dict(endpoint.params),
    }
    path = journal_path(folder, participant.candidate.name)
    try:
        journal = Journal(path, header, resume=resume)
    except ModelSatError as error:
        return ExamResult(participant=participant, journal=path, error=str(error))
    return Sitting(
        participant=participant, questions=questions, settings=settings, planner=planner, journal=journal
    )


async def _result(
    sitting: Sitting, ended: Awaitable[ExamOutcome], exam: AptitudeTest, *, date: str, left_out: int
) -> ExamResult:
    result = ExamResult(
        participant=sitting.participant, journal=sitting.journal.path, resumed=sitting.journal.resumed
    )
    try:
        outcome = await ended
        if outcome.reason == "stopped":
            return replace(result, outcome=outcome)
        if outcome.reason and not sitting.grades:
            raise EndpointError(f"{outcome.reason} before any answer, so there is no card.")
        profile = make_profile(sitting, exam, date=date)
    except ModelSatError as error:
        return replace(result, error=str(error))
    return replace(result, outcome=outcome, profile=profile, run=make_run(sitting, left_out=left_out))
