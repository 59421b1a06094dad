"""Choosing: policies, ties, prices, constraints."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.errors import PolicyError
from modelsat.routing.policy import PriceArray, RoutingPolicy, choose, rank
from modelsat.types import ScoreMatrix

# Few, coarse values make ties common, and keep sums exact in binary.
PROBABILITIES = st.sampled_from([0.125, 0.25, 0.5, 0.625, 0.75])
PRICES = st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0])
ZOOS = st.lists(st.tuples(PROBABILITIES, PRICES), min_size=1, max_size=8)
POLICIES = st.one_of(
    st.just(RoutingPolicy()),
    st.floats(0, 1).map(lambda amount: RoutingPolicy(kind="cheapest-above", amount=amount)),
    st.floats(0, 1e9).map(lambda amount: RoutingPolicy(kind="value", amount=amount)),
)


def scores_of(*probabilities: float, names: str = "abcdefgh") -> ScoreMatrix:
    row = np.array([probabilities], dtype=np.float32)
    logits = np.log(row / (1 - row)).astype(np.float32)
    return ScoreMatrix(
        instruction_ids=("x",),
        candidates=tuple(names[: len(probabilities)]),
        logits=logits,
        probabilities=row,
    )


def prices_of(*prices: float) -> PriceArray:
    return np.array([prices], dtype=np.float64)


def chosen(policy: str, probabilities: tuple[float, ...], prices: tuple[float, ...] | None = None) -> str:
    matrix = None if prices is None else prices_of(*prices)
    return choose(scores_of(*probabilities), RoutingPolicy.parse(policy), prices=matrix)[0].candidate


def test_best_takes_the_highest_score() -> None:
    assert chosen("best", (0.3, 0.8, 0.5)) == "b"


def test_best_needs_no_prices() -> None:
    decision = choose(scores_of(0.3, 0.8), RoutingPolicy(), prices=prices_of(np.nan, 1.0))[0]
    assert [ranked.expected_cost for ranked in decision.ranking] == [1.0, None]


def test_cheapest_above_takes_the_cheapest_that_is_good_enough() -> None:
    assert chosen("cheapest-above=0.6", (0.9, 0.7, 0.6, 0.5), (5, 3, 2, 1)) == "c"


def test_cheapest_above_falls_back_to_the_best() -> None:
    assert chosen("cheapest-above=0.95", (0.9, 0.7), (5, 3)) == "a"


def test_value_weighs_probability_against_price() -> None:
    assert chosen("value=1", (0.9, 0.7), (0.5, 0.1)) == "b"
    assert chosen("value=10", (0.9, 0.7), (0.5, 0.1)) == "a"


def test_equal_scores_are_settled_by_price_then_name() -> None:
    assert chosen("best", (0.5, 0.5, 0.5), (2, 1, 1)) == "b"


def test_ranking_is_by_logits_where_probabilities_saturate() -> None:
    matrix = ScoreMatrix(
        instruction_ids=("x",),
        candidates=("a", "b"),
        logits=np.array([[20.0, 30.0]], dtype=np.float32),
        probabilities=np.ones((1, 2), dtype=np.float32),
    )
    assert choose(matrix, RoutingPolicy())[0].candidate == "b"


def test_a_candidate_that_is_not_eligible_comes_last() -> None:
    eligible = np.array([[False, True, True]])
    decision = choose(scores_of(0.9, 0.3, 0.5), RoutingPolicy(), eligible=eligible)[0]
    assert [ranked.candidate for ranked in decision.ranking] == ["c", "b", "a"]


def test_a_decision_says_policy_probability_and_price() -> None:
    decision = choose(scores_of(0.25, 0.75), RoutingPolicy.parse("value=2"), prices=prices_of(0.5, 0.25))[0]
    assert (decision.policy, decision.candidate, decision.probability) == ("value=2.0", "b", 0.75)
    assert decision.ranking[0].expected_cost == 0.25


@pytest.mark.parametrize("policy", ["cheapest-above=0.6", "value=1"])
def test_a_policy_with_prices_names_the_candidates_without(policy: str) -> None:
    with pytest.raises(PolicyError, match=r"input_price and output_price of b, c .*or leave them out"):
        chosen(policy, (0.5, 0.5, 0.5), (1.0, np.nan, np.nan))
    with pytest.raises(PolicyError, match="of a, b"):
        chosen(policy, (0.5, 0.5))


def test_an_empty_zoo_and_a_score_that_is_no_number_are_refused() -> None:
    with pytest.raises(PolicyError, match="no candidate to choose from"):
        choose(scores_of(), RoutingPolicy())
    with pytest.raises(PolicyError, match="score of b on instruction x is not a number"):
        choose(scores_of(0.5, float("nan")), RoutingPolicy())


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("bset", "unknown policy 'bset'"),
        ("", "unknown policy ''"),
        ("best=1", "best takes no number"),
        ("cheapest-above", "its number is missing"),
        ("cheapest-above=", "its number is missing"),
        ("value=much", "'much' is not a number"),
        ("cheapest-above=1.5", "expected a probability from 0 to 1"),
        ("cheapest-above=nan", "expected a probability from 0 to 1"),
        ("value=-1", "0 or more"),
        ("value=inf", "0 or more"),
    ],
)
def test_a_malformed_policy_is_one_sentence_with_the_mend(text: str, fault: str) -> None:
    with pytest.raises(PolicyError) as raised:
        RoutingPolicy.parse(text)
    message = str(raised.value)
    assert fault in message
    assert message.endswith(".")
    assert "\n" not in message


@given(POLICIES)
def test_a_policy_reads_back_as_it_was_written(policy: RoutingPolicy) -> None:
    assert RoutingPolicy.parse(str(policy)) == policy


@given(ZOOS, POLICIES, st.randoms(use_true_random=False))
def test_the_order_of_the_zoo_never_matters(
    zoo: list[tuple[float, float]], policy: RoutingPolicy, random: Random
) -> None:
    order = list(range(len(zoo)))
    random.shuffle(order)
    scores, prices = scores_of(*(p for p, _ in zoo)), prices_of(*(price for _, price in zoo))
    shuffled = ScoreMatrix(
        instruction_ids=scores.instruction_ids,
        candidates=tuple(scores.candidates[column] for column in order),
        logits=scores.logits[:, order],
        probabilities=scores.probabilities[:, order],
    )
    assert choose(scores, policy, prices=prices) == choose(shuffled, policy, prices=prices[:, order])


@given(ZOOS, st.floats(0, 1))
def test_cheapest_above_is_never_dearer_than_another_good_enough_candidate(
    zoo: list[tuple[float, float]], threshold: float
) -> None:
    policy = RoutingPolicy(kind="cheapest-above", amount=threshold)
    first = choose(scores_of(*(p for p, _ in zoo)), policy, prices=prices_of(*(c for _, c in zoo)))[
        0
    ].ranking[0]
    enough = [price for probability, price in zoo if probability >= np.float32(threshold)]
    if enough:
        assert first.expected_cost == min(enough)
    else:
        assert first.probability == max(probability for probability, _ in zoo)


@given(ZOOS, PRICES, PRICES)
def test_who_pays_more_for_a_solution_never_gets_a_worse_candidate(
    zoo: list[tuple[float, float]], one: float, other: float
) -> None:
    scores, prices = scores_of(*(p for p, _ in zoo)), prices_of(*(price for _, price in zoo))
    low, high = (
        choose(scores, RoutingPolicy(kind="value", amount=amount), prices=prices)[0].ranking[0]
        for amount in sorted((one, other))
    )
    assert low.probability <= high.probability
    assert (low.expected_cost or 0.0) <= (high.expected_cost or 0.0)


@given(ZOOS, POLICIES)
def test_a_ranking_holds_every_candidate_once(zoo: list[tuple[float, float]], policy: RoutingPolicy) -> None:
    order = rank(scores_of(*(p for p, _ in zoo)), policy, prices=prices_of(*(price for _, price in zoo)))
    assert sorted(order[0]) == list(range(len(zoo)))
