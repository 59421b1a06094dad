import asyncio
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelsat.capability.aptitude import AptitudeTest
from modelsat.capability.irt import ItemBank, answer_matrix
from modelsat.errors import DataError
from modelsat.exam.answers import Grade
from modelsat.exam.budget import Budget, cost, cost_at_most
from modelsat.exam.plan import (
    FEWEST_SHOTS,
    AdaptivePlan,
    CirclePlan,
    FullPlan,
    Plan,
    Prompt,
    hard_items,
    item_scores,
)
from modelsat.exam.questions import Question, find_questions, reduced
from modelsat.exam.replay import replay
from modelsat.types import Candidate, Instruction
from tests.exam.conftest import OPTIONS, SHOTS, TASKS, cards, exam_of, instructions

RIGHT, WRONG = Grade(score=1.0, parsed=True), Grade(score=0.0, parsed=True)


def play(plan: Plan, solves: Callable[[Prompt], bool]) -> dict[tuple[str, int], Grade]:
    """Answer whatever a plan asks, one after the other."""
    grades = {}
    while (ask := plan.take()) is not None:
        assert ask.key not in grades, "asked twice"
        grades[ask.key] = RIGHT if solves(ask) else WRONG
        plan.record(ask, grades[ask.key])
    return grades


def test_the_full_plan_asks_every_question_once_task_after_task_in_turns(questions: list[Question]) -> None:
    plan = FullPlan(questions)
    plan.record(Prompt(question=questions[3]), RIGHT)
    asked = play(plan, lambda ask: True)
    assert list(asked) == [(q.item.id, 0) for at, q in enumerate(questions) if at != 3]
    assert [q.task for q in questions[:TASKS]] == [f"task {at}" for at in range(TASKS)]
    assert plan.expected() == len(questions)


def test_hard_items_are_asked_in_every_rotation_until_one_is_wrong(questions: list[Question]) -> None:
    hard = frozenset({questions[0].item.id, questions[1].item.id})
    steady = play(CirclePlan(questions, hard), lambda ask: True)
    assert len(steady) == len(questions) + 2 * (OPTIONS - 1)
    assert item_scores(questions, steady, hard)[questions[0].item.id] == 1.0

    # One that always says "A" is right in one rotation of each.
    plan = CirclePlan(questions, hard)
    lucky = play(plan, lambda ask: ask.question.answer(ask.rotation) == "A")
    scores = item_scores(questions, lucky, hard)
    assert scores[questions[0].item.id] == 0.0
    assert plan.expected() == len(lucky)
    assert sum(scores.values()) == sum(q.answer() == "A" for q in questions if q.item.id not in hard)


def test_a_hard_item_that_was_right_so_far_only_is_open(questions: list[Question]) -> None:
    item = questions[0].item.id
    assert item_scores(questions[:1], {(item, 0): RIGHT}, frozenset({item})) == {}
    assert item_scores(questions[:1], {(item, 0): RIGHT}) == {item: 1.0}


def test_hard_items_are_those_that_few_candidates_solve(exam: AptitudeTest) -> None:
    answers = np.ones((4, TASKS * SHOTS))
    answers[1:, 0] = 0.0
    answers[:2, 1] = 0.0
    profiles = cards(exam, answers)
    assert hard_items(exam, profiles, below=0.3) == {exam.items[0].id}
    assert hard_items(exam, profiles, below=0.6) == {exam.items[0].id, exam.items[1].id}
    np.testing.assert_array_equal(answer_matrix(exam, profiles), answers)
    other = [replace(profile, exam_hash="0" * 16) for profile in profiles]
    with pytest.raises(DataError, match="no card of it has results per item"):
        hard_items(exam, other, below=0.3)


@pytest.fixture(scope="module")
def world() -> tuple[AptitudeTest, np.ndarray]:
    """An exam of 8 tasks x 12, and 14 candidates that answer by the Rasch model with advantages."""
    rng = np.random.default_rng(5)
    exam = exam_of(instructions(8, 12))
    difficulty = rng.normal(size=96)
    ability = rng.normal(size=(14, 1)) + 0.7 * rng.normal(size=(14, 8))
    odds = np.repeat(ability, 12, axis=1) - difficulty
    return exam, (rng.random((14, 96)) < 1 / (1 + np.exp(-odds))).astype(np.float32)


def test_the_adaptive_exam_saves_calls_at_a_small_error(world: tuple[AptitudeTest, np.ndarray]) -> None:
    exam, answers = world
    wide, narrow, full = replay(exam, cards(exam, answers), [0.2, 0.1, 0.0], rng=np.random.default_rng(0))
    assert wide.saved > narrow.saved > full.saved == pytest.approx(0.0)
    assert wide.saved > 0.3
    assert full.task_error == pytest.approx(0.0, abs=1e-9)
    assert wide.task_error < wide.random_error
    assert wide.level_error < 0.07
    assert wide.coverage > 0.88 and narrow.coverage > 0.88
    assert narrow.task_error < wide.task_error


def test_the_adaptive_plan_asks_what_tells_most_and_no_item_twice(
    world: tuple[AptitudeTest, np.ndarray],
) -> None:
    exam, answers = world
    questions = find_questions(exam, exam.tasks, instructions(8, 12), where="the texts")
    bank = ItemBank.fit(exam, answers[1:])
    at = bank.index
    plan = AdaptivePlan(questions, bank, width=0.15)
    grades = play(plan, lambda ask: bool(answers[0, at[ask.question.item.id]]))
    assert 8 * FEWEST_SHOTS <= len(grades) < len(questions)
    for task, (accuracy, (low, high)) in plan.estimates().items():
        assert 0.0 <= low <= accuracy <= high <= 1.0, task
        assert high - low <= 0.3 + 1e-6
    assert plan.expected() == len(grades)

    # Answers of an earlier run count, whoever chose them.
    again = AdaptivePlan(questions, bank, width=0.15)
    by_id = {question.item.id: question for question in questions}
    for (item, _), grade in grades.items():
        again.record(Prompt(question=by_id[item]), grade)
    assert again.take() is None


def test_several_questions_under_way_are_of_different_tasks(world: tuple[AptitudeTest, np.ndarray]) -> None:
    exam, answers = world
    questions = find_questions(exam, exam.tasks, instructions(8, 12), where="the texts")
    plan = AdaptivePlan(questions, ItemBank.fit(exam, answers), width=0.1)
    under_way = [plan.take() for _ in range(9)]
    assert under_way[8] is None
    tasks = {ask.question.task for ask in under_way[:8] if ask is not None}
    assert len(tasks) == 8


def test_too_few_candidates_are_no_bank(world: tuple[AptitudeTest, np.ndarray]) -> None:
    exam, answers = world
    with pytest.raises(DataError, match="needs at least 5"):
        ItemBank.fit(exam, answers[:4])


def test_the_first_items_of_the_first_tasks_are_the_reduced_exam(
    exam: AptitudeTest, texts: list[Instruction]
) -> None:
    tasks = reduced(exam, tasks=2, shots=3)
    questions = find_questions(exam, tasks, texts, where="texts")
    assert [q.item for q in questions[:3]] == [
        exam.tasks[0].items[0],
        exam.tasks[1].items[0],
        exam.tasks[0].items[1],
    ]
    assert len(questions) == 6


def test_texts_are_found_by_their_content_and_checked(exam: AptitudeTest, texts: list[Instruction]) -> None:
    renamed = [replace(text, id=f"copy/{at}", text=text.text.upper()) for at, text in enumerate(texts)]
    # Copies may differ in case and ids, not in what they ask.
    found = find_questions(
        exam, exam.tasks, [replace(t, text=t.text.replace("A. ", "A. ")) for t in renamed], where="x"
    )
    assert len(found) == len(texts)
    changed = [replace(texts[0], text="What is 1 plus 1?\nA. 0"), *texts[1:]]
    for bad, fault in [
        (changed, "is not the question that the exam"),
        (texts[1:], "is not there"),
        ([replace(texts[0], answer=None), *texts[1:]], "has no reference answer"),
        ([replace(texts[0], answer="E"), *texts[1:]], "expected a letter from A to D"),
    ]:
        with pytest.raises(DataError, match=fault):
            find_questions(exam, exam.tasks, bad, where="texts.jsonl")


@settings(max_examples=40)
@given(
    limit=st.floats(0.0, 10.0),
    costs=st.lists(st.floats(0.0, 1.0), max_size=40),
    workers=st.integers(1, 5),
)
def test_a_budget_is_never_broken_however_many_ask(limit: float, costs: list[float], workers: int) -> None:
    async def spend() -> float:
        budget = Budget(max_cost=limit)
        left = list(costs)

        async def work() -> None:
            while left:
                actual = left.pop()
                if not await budget.reserve(1.0):
                    return
                await asyncio.sleep(0)
                await budget.settle(1.0, actual, answered=True)

        await asyncio.gather(*(work() for _ in range(workers)))
        return budget.spent

    spent = asyncio.run(spend())
    assert spent <= limit + 1e-6
    if limit >= len(costs):
        assert spent == pytest.approx(sum(costs))


def test_an_answer_that_did_not_come_is_no_item() -> None:
    async def spend() -> Budget:
        budget = Budget(max_calls=2)
        for answered in (False, True, False, True):
            assert await budget.reserve(0.0)
            await budget.settle(0.0, 0.0, answered=answered)
        assert not await budget.reserve(0.0)
        return budget

    assert asyncio.run(spend()).exhausted == "max_items=2 is reached"


@given(st.text(max_size=200), st.integers(0, 500))
def test_the_most_a_request_can_cost_is_more_than_it_costs(text: str, tokens: int) -> None:
    priced = Candidate(name="c", input_price=3.0, output_price=5.0)
    worst = cost_at_most(priced, text, 500)
    assert worst >= cost(priced, len(text.encode(errors="replace")), tokens)
