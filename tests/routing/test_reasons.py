"""Explanations: parts that add up, with what favours the chosen candidate first."""

import re
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelsat.routing.policy import RoutingPolicy, choose
from modelsat.routing.reasons import (
    NONE_SIMILAR,
    STANDS_OUT,
    closest_rival,
    compare,
    explain_why_not,
    explained,
)
from modelsat.routing.router import Router
from modelsat.types import Instruction, RoutingDecision, ScoreMatrix
from tests.evidence import KnownEvidence, known_parts, scores_of

TASKS = tuple(f"topic {letter}" for letter in "abcdefghijklmnopqrst")
NAMES = ("ann", "bob", "cyd", "dee")
POLICIES = (
    "best",
    "cheapest-above=0.3",
    "cheapest-above=0.6",
    "cheapest-above=0.95",
    "value=0.01",
    "value=0",
)
REQUESTS = (
    "Plan a weekend trip to Lisbon with two small kids.",
    "Write a Python function that returns the n-th Fibonacci number.",
    "What is the derivative of x^3 * sin(x)?",
    "A train leaves at 9:40 and arrives at 13:05. How long is the ride?",
    "Balance the equation: C3H8 + O2 -> CO2 + H2O",
    "My knee hurts after running; what could it be?",
    "What happens to bond prices if interest rates rise?",
    "A 2 kg block slides down a frictionless incline of 30 degrees. What is its acceleration?",
    "Compute the NPV of 100, 120 and 150 paid over three years at 8%.",
    "Write a polite mail declining a job offer.",
    "Welche Hauptstadt hat Australien?",
    "hi",
)
SUM = re.compile(r"^(\S+) (leads|trails) (\S+) by (less than )?([\d.]+) points: (.*)\.$")
PART = re.compile(r"(?:^|, )([^,]+?) ([+-]\d+\.\d)(?: \((.*?)\))?(?=,|$)")


@dataclass
class Sum:
    """What a sentence says that a difference adds up from: numbers in points, in the sentence's order."""

    candidate: str
    leads: bool
    other: str
    total: float
    parts: list[tuple[str, float, str]]


def sums(reasons: tuple[str, ...]) -> list[Sum]:
    found = [match for reason in reasons if (match := SUM.match(reason))]
    return [
        Sum(
            candidate=match[1],
            leads=match[2] == "leads",
            other=match[3],
            total=0.0 if match[4] else float(match[5]),
            parts=[(name, float(value), fact) for name, value, fact in PART.findall(match[6])],
        )
        for match in found
    ]


def convinces(said: Sum) -> None:
    """What is named first makes the lead, or the distance; facts point the way of their part; all adds up."""
    sign = 1 if said.leads else -1
    values = [sign * value for _, value, _ in said.parts]
    assert values == sorted(values, reverse=True)
    assert values[0] >= 0
    # Every number is rounded to a tenth, and what rounds to nothing is left out.
    assert sum(values) == pytest.approx(said.total, abs=0.06 * (len(values) + 3))
    for _, value, fact in said.parts:
        numbers = [int(number) for number in re.findall(r"(\d+)(?:%| above| below|$)", fact)]
        if "exam" in fact:
            assert (numbers[0] - numbers[1]) * value >= 0
        elif fact and "stands out" not in fact:
            own, other = fact.split(" against ")
            below = "below" in own, "below" in other or ("above" not in other and "below" in own)
            signed = [-number if under else number for number, under in zip(numbers, below, strict=True)]
            assert (signed[0] - signed[1]) * value > 0


@st.composite
def worlds(draw: st.DrawFn) -> tuple[ScoreMatrix, np.ndarray, RoutingPolicy]:
    """One instruction's scores over a few candidates, their prices, and a policy."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(1, len(NAMES)))
    attention = rng.dirichlet(np.full(len(TASKS), draw(st.sampled_from([0.1, 1.0, 50.0]))))
    residuals = rng.normal(0, draw(st.sampled_from([0.0, 0.1, 1.0])), (count, len(TASKS)))
    parts = known_parts(
        tasks=TASKS,
        attention=attention.astype(np.float32),
        levels=rng.normal(0, draw(st.sampled_from([0.0, 0.01, 1.0])), count).tolist(),
        residuals=residuals.astype(np.float32),
        difficulty=float(rng.normal()),
        similar=draw(st.booleans()),
    )
    scores = scores_of([KnownEvidence(parts)], [Instruction(id="x", text="x")], NAMES[:count])
    prices = draw(st.lists(st.sampled_from([0.0, 1e-6, 5e-5, 5e-5, 1e-3]), min_size=count, max_size=count))
    return scores, np.array([prices]), RoutingPolicy.parse(draw(st.sampled_from(POLICIES)))


@settings(deadline=None, max_examples=400)
@given(worlds())
def test_what_is_named_first_favours_the_chosen(
    world: tuple[ScoreMatrix, np.ndarray, RoutingPolicy],
) -> None:
    scores, prices, policy = world
    decision = explained(choose(scores, policy, prices=prices)[0], scores, 0, policy, text="x")
    rival = closest_rival(decision.ranking, policy)
    for said in sums(decision.reasons):
        assert (said.candidate, said.leads) == (decision.candidate, True)
        assert rival is not None
        assert said.other == rival.candidate
        convinces(said)
    assert_tasks_are_named_only_where_they_stand_out(decision, scores)


@settings(deadline=None, max_examples=300)
@given(worlds())
def test_why_not_names_first_what_speaks_against(
    world: tuple[ScoreMatrix, np.ndarray, RoutingPolicy],
) -> None:
    scores, prices, policy = world
    decision = choose(scores, policy, prices=prices)[0]
    for name in scores.candidates:
        comparison = compare(scores, 0, name, decision.candidate)
        reasons = explain_why_not(decision, comparison, name, policy)
        assert reasons[0].startswith(name)
        for said in sums(reasons):
            assert (said.candidate, said.leads, said.other) == (name, False, decision.candidate)
            convinces(said)


@settings(deadline=None, max_examples=200)
@given(worlds())
def test_a_comparison_adds_up_and_turns_round(
    world: tuple[ScoreMatrix, np.ndarray, RoutingPolicy],
) -> None:
    scores, _, _ = world
    first, last = scores.candidates[0], scores.candidates[-1]
    found, turned = compare(scores, 0, first, last), compare(scores, 0, last, first)
    assert found is not None
    assert turned is not None
    named = sum(task.difference for task in found.tasks)
    assert found.level + named + found.rest == pytest.approx(found.difference, abs=1e-4)
    assert found.difference == pytest.approx(float(scores.probabilities[0, 0] - scores.probabilities[0, -1]))
    assert turned.level == pytest.approx(-found.level, abs=1e-5)
    assert turned.rest == pytest.approx(-found.rest, abs=1e-5)


def assert_tasks_are_named_only_where_they_stand_out(decision: RoutingDecision, scores: ScoreMatrix) -> None:
    known = scores.evidence[0].parts([scores.candidates.index(decision.candidate)])
    shares = dict(zip(known.tasks, known.attention[0].tolist(), strict=True))
    assert all(share >= STANDS_OUT - 1e-6 for _, share in decision.tasks)
    assert [share for _, share in decision.tasks] == sorted(
        (share for _, share in decision.tasks), reverse=True
    )
    for task in TASKS:
        told = any(task in reason for reason in decision.reasons)
        assert not told or shares[task] >= STANDS_OUT - 1e-6
    if any(NONE_SIMILAR in reason for reason in decision.reasons):
        assert not known.contributions.any()
        assert decision.tasks == ()


def test_equal_candidates_are_told_apart_by_what_told_them_apart() -> None:
    parts = known_parts(
        tasks=TASKS[:1],
        attention=np.ones(1, dtype=np.float32),
        levels=[0.5, 0.5],
        residuals=np.zeros((2, 1), dtype=np.float32),
    )
    scores = scores_of([KnownEvidence(parts)], [Instruction(id="x", text="x")], NAMES[:2])
    policy = RoutingPolicy()
    for prices, words in (((2.0, 1.0), "lower price"), ((1.0, 1.0), "name, in alphabetical order")):
        decision = choose(scores, policy, prices=np.array([prices]))[0]
        reasons = explained(decision, scores, 0, policy, text="x").reasons
        other = decision.ranking[1].candidate
        assert reasons[0] == f"Highest P(right): 0.62, as {other}; chosen by {words}."


@pytest.mark.parametrize("task", ["level", "price", "sets {1, 2}", "100% {}", "<b>"])
def test_a_task_may_be_called_anything(task: str) -> None:
    parts = known_parts(
        tasks=(task, "rare"),
        attention=np.array([0.95, 0.05], dtype=np.float32),
        levels=[0.0, 1.0],
        residuals=np.array([[0.9, 0.0], [-0.9, 0.1]], dtype=np.float32),
    )
    scores = scores_of([KnownEvidence(parts)], [Instruction(id="x", text="x")], NAMES[:2])
    policy = RoutingPolicy()
    decision = choose(scores, policy, prices=np.array([[1.0, 1.0]]))[0]
    reasons = explained(decision, scores, 0, policy, text="x").reasons
    assert reasons[1] == (
        f"ann leads bob by 16.4 points: {task} +39.8 (90 above its level against 90 below), other tasks -0.1, "
        "level -23.3 (50% of the exam against 73%)."
    )


def test_a_bar_is_reached_in_the_precision_of_the_scores() -> None:
    """As a Python number, the float32 nearest 0.7 is less than 0.7."""
    scores = ScoreMatrix(
        instruction_ids=("x",),
        candidates=NAMES[:2],
        logits=np.array([[0.8, 0.9]], dtype=np.float32),
        probabilities=np.array([[0.7, 0.71]], dtype=np.float32),
    )
    policy = RoutingPolicy.parse("cheapest-above=0.7")
    decision = choose(scores, policy, prices=np.array([[1.0, 2.0]]))[0]
    first, second = explained(decision, scores, 0, policy, text="x").reasons
    assert (
        first
        == "Cheapest of 2 candidates with P(right) of at least 0.7: 0.70 at the price $1.00; next bob, $2.00."
    )
    assert second == "The likeliest, bob, has P(right) 0.71 at the price $2.00."


@pytest.mark.parametrize(
    ("policy", "first", "against"),
    [
        (
            "cheapest-above=0.6",
            "Cheapest of 2 candidates with P(right) of at least 0.6: 0.70 at the price €0.0000291; "
            "next bob, €0.00120.",
            "bob reaches P(right) 0.6 too, but is no cheaper: €0.00120 against €0.0000291 of ann.",
        ),
        (
            "value=0.01",
            "Highest expected value, €0.00697: P(right) 0.70 x €0.0100 less the price €0.0000291; "
            "next bob, €0.00590.",
            "bob has a lower expected value, €0.00590 against €0.00697: P(right) 0.71 against 0.70 of ann.",
        ),
        (
            "value=0",
            "Highest expected value, -€0.0000291: P(right) 0.70 x €0 less the price €0.0000291; "
            "next bob, -€0.00120.",
            "bob is no cheaper: €0.00120 against €0.0000291 of ann.",
        ),
    ],
)
def test_money_is_written_as_in_the_tables(policy: str, first: str, against: str) -> None:
    scores = ScoreMatrix(
        instruction_ids=("x",),
        candidates=NAMES[:2],
        logits=np.array([[0.8, 0.9]], dtype=np.float32),
        probabilities=np.array([[0.7, 0.71]], dtype=np.float32),
    )
    preferred = RoutingPolicy.parse(policy)
    decision = choose(scores, preferred, prices=np.array([[0.0000291, 0.0012]]))[0]
    reasons = explained(decision, scores, 0, preferred, text="x", currency="EUR").reasons
    assert reasons[0] == first
    assert explain_why_not(decision, None, "bob", preferred, currency="EUR")[0] == against


def test_why_not_needs_no_prices() -> None:
    scores = ScoreMatrix(
        instruction_ids=("x",),
        candidates=NAMES[:2],
        logits=np.array([[0.8, 0.9]], dtype=np.float32),
        probabilities=np.array([[0.7, 0.71]], dtype=np.float32),
    )
    decision = choose(scores, RoutingPolicy())[0]
    assert explain_why_not(decision, None, "ann", RoutingPolicy()) == (
        "ann is number 2 of 2: P(right) 0.70 against 0.71 of bob.",
    )


@pytest.mark.slow
def test_the_shipped_router_explains_real_requests_convincingly() -> None:
    router = Router.load(runtime="onnx-fp32")
    explained_by_tasks = 0
    for policy in POLICIES:
        for request, decision in zip(REQUESTS, router.route_many(REQUESTS, policy=policy), strict=True):
            for said in sums(decision.reasons):
                assert said.candidate == decision.candidate
                convinces(said)
                explained_by_tasks += any(":" in name or "(" in name for name, _, _ in said.parts)
            for name in ("gemma-7b", "gemini-1.5-pro-002", "Phi-3-mini-4k-instruct"):
                for said in sums(router.why_not(request, name, policy=policy)):
                    convinces(said)
    assert explained_by_tasks > len(POLICIES)
