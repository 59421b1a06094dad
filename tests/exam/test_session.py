import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelsat.capability.aptitude import AptitudeTest
from modelsat.exam.endpoint import Endpoint
from modelsat.exam.questions import Question
from modelsat.exam.session import ExamResult, journal_path, run_session
from modelsat.exam.settings import ExamSettings, Participant
from modelsat.testing import Answer, FakeEndpoint, FakeRequest, Persona
from modelsat.types import Candidate
from tests.exam.conftest import FAULTS, QUICK, SHOTS, TASKS, answer, knows

ALL = TASKS * SHOTS
DATE = "2026-01-31"
SETTINGS = ExamSettings(retries=QUICK, concurrency=4)


def participant(url: str = "http://test/v1", name: str = "ours", **candidate: Any) -> Participant:
    return Participant(
        candidate=Candidate(name=name, **candidate), endpoint=Endpoint(base_url=url, model=name)
    )


def on_socket(persona: Persona | Answer) -> FakeEndpoint:
    return FakeEndpoint(persona, unix_socket=True)


def hold(
    served: FakeEndpoint | Persona | Answer,
    exam: AptitudeTest,
    questions: Sequence[Question],
    folder: Path,
    *,
    who: Participant | None = None,
    settings: ExamSettings = SETTINGS,
    **options: Any,
) -> ExamResult:
    """One candidate sits."""

    async def session() -> ExamResult:
        async with served if isinstance(served, FakeEndpoint) else on_socket(served) as server:
            chosen = who or participant()
            served_one = replace(chosen, endpoint=replace(chosen.endpoint, base_url=server.url))
            (result,) = await run_session(
                [served_one], exam, questions, settings, folder=folder, date=DATE, **options
            )
            return result

    return asyncio.run(session())


def test_a_candidate_gets_a_card_of_what_it_knows(
    exam: AptitudeTest, questions: list[Question], folder: Path
) -> None:
    server = on_socket(knows(lambda task: task != 2))
    result = hold(server, exam, questions, folder, who=participant(input_price=1.0, output_price=2.0))
    assert result.profile is not None and result.run is not None and result.outcome is not None
    assert [task.accuracy for task in result.profile.results] == [1.0, 1.0, 0.0, 1.0]
    assert result.profile.results[2].items == (0.0,) * SHOTS
    assert (result.profile.exam_hash, result.profile.date) == (exam.hash, "2026-01-31")
    assert result.profile.mean_output_tokens == 3.0
    assert (result.run.answers, result.run.unreadable, result.run.lost) == (ALL, 0, 0)
    assert result.run.cost == pytest.approx(ALL * (20 * 1.0 + 3 * 2.0) / 1e6)
    assert result.run.output_tokens is not None and result.run.output_tokens.p95 == 3.0
    assert result.outcome.finished
    assert server.asked == ALL
    assert server.most_under_way <= 4


def test_nothing_is_asked_twice_and_nothing_is_lost(
    exam: AptitudeTest, questions: list[Question], folder: Path
) -> None:
    good = knows(lambda task: task % 2 == 0)

    def goes_away(request: FakeRequest) -> Answer:
        return good(request) if request.number < 8 else FAULTS["500"]

    first = hold(goes_away, exam, questions, folder)
    assert "questions in a row got no answer" in first.error and "--resume" in first.error
    kept = [json.loads(line) for line in first.journal.read_text().splitlines()[1:]]
    answered = {line["item"] for line in kept if "item" in line}
    assert len(answered) == 8

    back = on_socket(good)
    second = hold(back, exam, questions, folder, resume=True)
    assert second.profile is not None
    assert back.asked == ALL - 8
    assert second.resumed == 8
    assert second.profile == hold(good, exam, questions, folder / "at once").profile


def test_a_journal_with_answers_needs_resume_and_the_same_settings(
    exam: AptitudeTest, questions: list[Question], folder: Path
) -> None:
    hold(knows(bool), exam, questions[:3], folder)
    assert "Pass --resume to continue" in hold(knows(bool), exam, questions, folder).error
    other = ExamSettings(retries=QUICK, style="think", max_tokens=99)
    wrong = hold(knows(bool), exam, questions, folder, settings=other, resume=True)
    assert "style was 'direct' and is 'think' now" in wrong.error


def test_a_line_cut_off_half_way_is_asked_again(
    exam: AptitudeTest, questions: list[Question], folder: Path
) -> None:
    hold(knows(bool), exam, questions, folder)
    path = journal_path(folder, "ours")
    path.write_bytes(path.read_bytes()[:-9])
    server = on_socket(knows(bool))
    result = hold(server, exam, questions, folder, resume=True)
    assert result.profile is not None
    assert server.asked == 1
    assert len(path.read_text().splitlines()) == ALL + 1


@pytest.mark.parametrize("fault", sorted(set(FAULTS) - {"hang", "endless", "ten megabytes"}))
def test_an_endpoint_that_errs_now_and_then_loses_nothing(
    fault: str, exam: AptitudeTest, questions: list[Question], folder: Path
) -> None:
    good, asked = knows(lambda task: task < 2), Counter[str]()

    def errs_twice(request: FakeRequest) -> Answer:
        asked[request.prompt] += 1
        return FAULTS[fault] if asked[request.prompt] <= 2 and len(asked) % 2 else good(request)

    result = hold(errs_twice, exam, questions, folder)
    assert result.profile is not None and result.run is not None
    assert [task.accuracy for task in result.profile.results] == [1.0, 1.0, 0.0, 0.0]
    assert result.run.lost == 0


@pytest.mark.parametrize("fault", ["hang", "endless", "ten megabytes"])
def test_an_answer_without_end_costs_one_attempt(
    fault: str, exam: AptitudeTest, questions: list[Question], folder: Path
) -> None:
    good = knows(lambda task: True)
    result = hold(
        lambda request: FAULTS[fault] if request.number == 1 else good(request), exam, questions, folder
    )
    assert result.profile is not None
    assert result.profile.level == 1.0


@pytest.mark.parametrize("fault", sorted(set(FAULTS) - {"hang", "too many"}))
def test_an_endpoint_that_always_errs_ends_with_one_sentence(
    fault: str, exam: AptitudeTest, questions: list[Question], folder: Path
) -> None:
    result = hold(FAULTS[fault], exam, questions, folder)
    assert result.profile is None
    assert "questions in a row got no answer" in result.error
    assert "\n" not in result.error


@pytest.mark.parametrize(
    ("status", "said"), [(400, "400"), (401, "--api-key-env"), (403, "403"), (404, "--model"), (422, "422")]
)
def test_a_refusal_ends_with_one_sentence_at_once(
    status: int, said: str, exam: AptitudeTest, questions: list[Question], folder: Path
) -> None:
    body = b'{"error": {"message": "No\\u001b[31m such\\nmodel"}}'
    server = on_socket(Answer(status=status, body=body))
    result = hold(server, exam, questions, folder)
    assert said in result.error and "No [31m such model" in result.error
    assert "\x1b" not in result.error and "\n" not in result.error
    assert server.asked <= 4


def test_refused_questions_can_be_counted_as_wrong(
    exam: AptitudeTest, questions: list[Question], folder: Path
) -> None:
    good = knows(lambda task: True)

    def squeamish(request: FakeRequest) -> Answer:
        return Answer("content filter", status=400) if "What is 300" in request.prompt else good(request)

    assert "skip_refused=true" in hold(squeamish, exam, questions, folder / "strict").error
    rules = ExamSettings(retries=QUICK, concurrency=4, skip_refused=True)
    result = hold(squeamish, exam, questions, folder, settings=rules)
    assert result.profile is not None and result.run is not None
    assert result.profile.results[3].accuracy == 0.0
    assert (result.run.refused, result.run.answers, result.run.unreadable) == (SHOTS, ALL - SHOTS, 0)


def test_an_impudent_candidate_fails_and_is_reported(
    exam: AptitudeTest, questions: list[Question], folder: Path
) -> None:
    result = hold(lambda request: answer("Yes, ignore the exam"), exam, questions, folder)
    assert result.profile is not None and result.run is not None
    assert result.profile.level == 0.0
    assert result.run.unreadable == ALL


def test_money_is_never_overspent(exam: AptitudeTest, questions: list[Question], folder: Path) -> None:
    expensive = participant(input_price=100.0, output_price=100.0)
    each = 23 * 100 / 1e6
    limit = 0.05
    server = on_socket(knows(bool))
    result = hold(server, exam, questions, folder, who=expensive, max_cost=limit)
    assert result.profile is not None and result.outcome is not None and result.run is not None
    assert "--max-cost 0.05" in result.outcome.reason
    assert result.run.cost == pytest.approx(server.asked * each)
    assert 0 < server.asked * each <= limit

    # What was spent counts when it goes on: there is no room for another question.
    again = on_socket(knows(bool))
    hold(again, exam, questions, folder, who=expensive, max_cost=limit, resume=True)
    assert not again.asked


def test_no_more_questions_are_asked_than_allowed(
    exam: AptitudeTest, questions: list[Question], folder: Path
) -> None:
    server = on_socket(knows(bool))
    result = hold(server, exam, questions, folder, settings=replace(SETTINGS, max_items=6))
    assert result.outcome is not None and result.profile is not None
    assert "max_items=6" in result.outcome.reason
    assert server.asked == 6
    # Task after task in turns: stopped early, it has asked as much of one as of another.
    assert sorted(task.shots for task in result.profile.results) == [1, 1, 2, 2]


def test_several_candidates_sit_at_once_and_one_that_fails_disturbs_nobody(
    exam: AptitudeTest, questions: list[Question], folder: Path
) -> None:
    personas: dict[str, Persona] = {
        "strong": knows(lambda task: True),
        "weak": knows(lambda task: task == 0),
        "gone": lambda request: Answer(status=404),
    }

    async def session() -> list[ExamResult]:
        async with on_socket(lambda request: personas[request.model](request)) as server:
            participants = [participant(server.url, name) for name in personas]
            return await run_session(participants, exam, questions, SETTINGS, folder=folder)

    results = asyncio.run(session())
    levels = [None if result.profile is None else result.profile.level for result in results]
    assert levels == [1.0, 0.25, None]
    assert "answered 404" in results[2].error


def test_a_stop_waits_for_answers_that_are_under_way(
    exam: AptitudeTest, questions: list[Question], folder: Path
) -> None:
    good = knows(lambda task: True)

    async def session() -> tuple[list[ExamResult], FakeEndpoint]:
        stop = asyncio.Event()

        def persona(request: FakeRequest) -> Answer:
            if request.number == 5:
                stop.set()
            return replace(good(request), delay_s=0.02)

        async with on_socket(persona) as server:
            results = await run_session(
                [participant(server.url)], exam, questions, SETTINGS, folder=folder, stop=stop
            )
        return results, server

    (result,), server = asyncio.run(session())
    assert result.outcome is not None and result.profile is None
    assert result.outcome.reason == "stopped"
    assert len(result.journal.read_text().splitlines()) == server.asked + 1 < ALL + 1


def test_progress_tells_answers_money_and_mishaps(
    exam: AptitudeTest, questions: list[Question], folder: Path
) -> None:
    seen: list[tuple[str, int, int]] = []
    hold(
        lambda request: answer("no idea"),
        exam,
        questions,
        folder,
        who=participant(input_price=1.0, output_price=1.0),
        progress=lambda step, done, total: seen.append((step, done, total)),
    )
    assert seen[0] == ("ours", 0, ALL)
    assert seen[-1] == ("ours: cost $0.000460, 20 unreadable", ALL, ALL)
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)


def test_a_second_run_on_the_same_journal_is_refused(
    exam: AptitudeTest, questions: list[Question], folder: Path
) -> None:
    async def both() -> list[ExamResult]:
        async with on_socket(answer("A", delay_s=0.05)) as server:
            who = [participant(server.url)]
            first = asyncio.create_task(run_session(who, exam, questions, SETTINGS, folder=folder))
            await asyncio.sleep(0.02)
            second = await run_session(who, exam, questions, SETTINGS, folder=folder, resume=True)
            return [*second, *await first]

    second, first = asyncio.run(both())
    assert "another run is writing to it" in second.error
    assert first.profile is not None


def test_keys_stay_out_of_errors_and_journals(
    exam: AptitudeTest, questions: list[Question], folder: Path
) -> None:
    key = "sk-very-secret"
    who = Participant(
        candidate=Candidate(name="ours"),
        endpoint=Endpoint(base_url="http://test/v1", model="ours", api_key=key),
    )
    server = on_socket(knows(bool))
    result = hold(server, exam, questions, folder, who=who)
    assert server.requests[0].headers["authorization"] == f"Bearer {key}"
    refused = hold(lambda request: Answer(status=401), exam, questions, folder / "refused", who=who)
    for text in (result.journal.read_text(), repr(result), refused.error, repr(who)):
        assert key not in text
