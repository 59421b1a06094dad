"""Expected costs."""

import re
from decimal import Decimal
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.routing.policy import RoutingPolicy
from modelsat.routing.pricing import (
    DEFAULT_OUTPUT_TOKENS,
    expected_cost,
    expected_output_tokens,
    format_money,
    instruction_tokens,
    price_matrix,
    price_warnings,
    rounded_cost,
)
from modelsat.types import Candidate, Instruction, InstructionKind

PRICED = Candidate(name="priced", input_price=1.0, output_price=4.0)


@given(st.floats(1e-12, 1e6))
def test_a_cost_is_rounded_to_four_digits(cost: float) -> None:
    shown = rounded_cost(cost)
    assert shown == pytest.approx(cost, rel=5e-4)
    assert len(f"{Decimal(repr(shown)).normalize():e}".partition("e")[0].replace(".", "")) <= 4
    assert rounded_cost(None) is None


def test_price_is_input_and_mean_output() -> None:
    assert expected_cost(PRICED, 1_000, 500) == pytest.approx(1.0 * 1e-3 + 4.0 * 5e-4)


@pytest.mark.parametrize(
    ("candidate", "price"),
    [
        (Candidate(name="no prices"), None),
        (Candidate(name="half", input_price=1.0), None),
        (Candidate(name="free", input_price=0.0, output_price=0.0), 0.0),
    ],
)
def test_an_unknown_price_is_none_and_free_is_free(candidate: Candidate, price: float | None) -> None:
    assert expected_cost(candidate, 100, 10.0) == price


@given(
    st.none() | st.floats(0, 1e4),
    st.sampled_from(sorted(DEFAULT_OUTPUT_TOKENS)),
    st.none() | st.integers(0, 500),
)
def test_a_length_is_the_measured_one_else_the_kinds_and_never_over_the_limit(
    mean: float | None, kind: InstructionKind, limit: int | None
) -> None:
    expected = expected_output_tokens(mean, kind, limit)
    assert expected <= (DEFAULT_OUTPUT_TOKENS[kind] if mean is None else mean)
    assert limit is None or expected <= limit
    assert expected_output_tokens(mean, kind, 10**9) == (
        DEFAULT_OUTPUT_TOKENS[kind] if mean is None else mean
    )


def test_every_kind_has_a_default_which_the_docs_state() -> None:
    assert set(DEFAULT_OUTPUT_TOKENS) == set(get_args(InstructionKind))
    docs = (Path(__file__).parents[2] / "docs" / "policies.md").read_text("utf-8")
    for kind, tokens in DEFAULT_OUTPUT_TOKENS.items():
        assert re.search(rf"^\| {kind.replace('_', ' ')}[^|]*\| {tokens} \|", docs, re.MULTILINE), kind


def test_warnings_name_what_a_policy_lacks() -> None:
    candidates = [
        PRICED,
        Candidate(name="unpriced"),
        Candidate(name="known", input_price=1.0, output_price=1.0),
    ]
    policy = RoutingPolicy.parse("value=0.01")
    prices, lengths = price_warnings(candidates, [None, None, 10.0], policy)
    assert "never chooses unpriced" in prices
    assert "unknown for priced:" in lengths
    assert "multiple_choice 90" in lengths
    assert price_warnings(candidates, [None, None, 10.0], RoutingPolicy()) == []
    assert price_warnings([PRICED], [10.0], policy) == []


def test_tokens_grow_with_the_text_and_are_never_none() -> None:
    assert instruction_tokens("") == 1
    assert instruction_tokens("a" * 400) == 100
    assert instruction_tokens("日" * 400) == 300
    assert instruction_tokens("\ud800") >= 1


def test_matrix_has_nan_where_a_price_is_unknown() -> None:
    instructions = [Instruction(id="short", text="a" * 4), Instruction(id="long", text="a" * 4_000)]
    matrix = price_matrix(instructions, [PRICED, Candidate(name="unknown")], [0.0, None])
    np.testing.assert_allclose(matrix, [[1e-6, np.nan], [1e-3, np.nan]])


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (0.0, "USD", "$0"),
        (0.00001136, "USD", "$0.0000114"),
        (0.075, "USD", "$0.0750"),
        (0.9999, "EUR", "€1.00"),
        (1234.5, "USD", "$1,234.50"),
        (-0.02, "USD", "-$0.0200"),
        (3.0, "CHF", "CHF 3.00"),
        (3.0, "", "3.00"),
    ],
)
def test_money_has_its_currency_and_one_notation(amount: float, currency: str, text: str) -> None:
    assert format_money(amount, currency) == text


@given(st.floats(1e-12, 1e12))
def test_money_is_written_to_three_digits_without_an_exponent(amount: float) -> None:
    text = format_money(amount)
    assert "e" not in text
    assert float(text.removeprefix("$").replace(",", "")) == pytest.approx(amount, rel=5.01e-3)
