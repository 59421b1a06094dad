"""What an answer will probably cost, before anyone is asked."""

from collections.abc import Sequence
from math import ceil

import numpy as np
from numpy.typing import NDArray

from modelsat.types import Candidate, Instruction
from modelsat.types.candidates import CURRENCY

BYTES_PER_TOKEN = 4
PER_MILLION = 1e-6
_SIGNS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}


def format_money(amount: float, currency: str = CURRENCY) -> str:
    """Write an amount of money: two decimals from 1 on, three significant digits below, never an exponent.

    Args:
        amount: In the currency.
        currency: ISO 4217 code; empty where it is not known.
    """
    if amount < 0:
        return f"-{format_money(-amount, currency)}"
    exponent = int(f"{amount:.2e}".partition("e")[2])
    digits = f"{amount:,.2f}" if exponent >= 0 else f"{amount:.{2 - exponent}f}"
    return f"{_SIGNS.get(currency, f'{currency} '.lstrip())}{digits if amount else '0'}"


def instruction_tokens(text: str) -> int:
    """Estimate how many tokens a candidate will read.

    Every candidate has its own tokenizer, so this is an estimate that needs none of them: one token per four
    bytes of UTF-8. That is close for English, and right in kind for scripts of three bytes per character,
    which tokenize worse.
    """
    return max(1, ceil(len(text.encode("utf-8", errors="replace")) / BYTES_PER_TOKEN))


def expected_price(
    candidate: Candidate, instruction_tokens: float, mean_output_tokens: float | None
) -> float | None:
    """Expected money for one answer.

    Args:
        candidate: Whose prices, in money per million tokens.
        instruction_tokens: Tokens of the instruction.
        mean_output_tokens: The candidate's mean tokens per answer, from its profile; None where unknown.

    Returns:
        Price of input and output together, in the unit of the candidate's prices; None where a price is
        unknown, or where the answers' length is unknown and output is not free.
    """
    if candidate.input_price is None or candidate.output_price is None:
        return None
    if candidate.output_price == 0:
        return candidate.input_price * instruction_tokens * PER_MILLION
    if mean_output_tokens is None:
        return None
    tokens_cost = candidate.input_price * instruction_tokens + candidate.output_price * mean_output_tokens
    return tokens_cost * PER_MILLION


def price_matrix(
    instructions: Sequence[Instruction],
    candidates: Sequence[Candidate],
    mean_output_tokens: Sequence[float | None],
) -> NDArray[np.float64]:
    """Expected price of every candidate on every instruction.

    Args:
        instructions: The rows.
        candidates: The columns.
        mean_output_tokens: Per candidate, mean tokens per answer; None where unknown.

    Returns:
        [instruction, candidate]; NaN where unknown.
    """
    rows = []
    for instruction in instructions:
        tokens = instruction_tokens(instruction.text)
        row = [
            expected_price(candidate, tokens, output)
            for candidate, output in zip(candidates, mean_output_tokens, strict=True)
        ]
        rows.append([np.nan if price is None else price for price in row])
    return np.array(rows, dtype=np.float64).reshape(len(instructions), len(candidates))
