"""What an answer will probably cost, before anyone is asked."""

from collections.abc import Mapping, Sequence
from math import ceil

import numpy as np
from numpy.typing import NDArray

from modelsat.routing.policy import RoutingPolicy
from modelsat.types import Candidate, Instruction, InstructionKind
from modelsat.types.candidates import CURRENCY

BYTES_PER_TOKEN = 4
PER_MILLION = 1e-6
# Tokens of an answer where a candidate's own mean is unknown: the mean over public data sets of each kind of the median
# candidate, which `experiments/answer-length` prints.
DEFAULT_OUTPUT_TOKENS: Mapping[InstructionKind, int] = {
    "multiple_choice": 90,
    "numeric": 240,
    "code": 140,
    "open": 260,
}
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


def rounded_cost(cost: float | None) -> float | None:
    """An expected cost as JSON has it: four significant digits, for an estimate has no more; None where unknown."""
    return None if cost is None else float(f"{cost:.4g}")


def instruction_tokens(text: str) -> int:
    """Estimate how many tokens a candidate will read.

    Every candidate has its own tokenizer, so this is an estimate that needs none of them: one token per four
    bytes of UTF-8. That is close for English, and right in kind for scripts of three bytes per character,
    which tokenize worse.
    """
    return max(1, ceil(len(text.encode("utf-8", errors="replace")) / BYTES_PER_TOKEN))


def expected_output_tokens(mean: float | None, kind: InstructionKind, limit: int | None = None) -> float:
    """Expected length of one answer.

    Args:
        mean: The candidate's mean tokens per answer; None where unknown, which takes the kind's default.
        kind: Kind of task.
        limit: Most tokens that may be written; None for any number.
    """
    expected = DEFAULT_OUTPUT_TOKENS[kind] if mean is None else mean
    return expected if limit is None else min(expected, limit)


def expected_cost(candidate: Candidate, instruction_tokens: float, output_tokens: float) -> float | None:
    """Expected money for one answer.

    Args:
        candidate: Whose prices, in money per million tokens.
        instruction_tokens: Tokens of the instruction.
        output_tokens: Expected tokens of the answer.

    Returns:
        Price of input and output together, in the currency of the candidate's prices; None where a price is unknown.
    """
    if candidate.input_price is None or candidate.output_price is None:
        return None
    return (candidate.input_price * instruction_tokens + candidate.output_price * output_tokens) * PER_MILLION


def price_matrix(
    instructions: Sequence[Instruction],
    candidates: Sequence[Candidate],
    mean_output_tokens: Sequence[float | None],
) -> NDArray[np.float64]:
    """Expected cost of every candidate on every instruction.

    Args:
        instructions: The rows.
        candidates: The columns.
        mean_output_tokens: Per candidate, mean tokens per answer; None where unknown.

    Returns:
        [instruction, candidate]; NaN where a price is unknown.
    """
    rows = []
    for instruction in instructions:
        tokens = instruction_tokens(instruction.text)
        row = [
            expected_cost(candidate, tokens, expected_output_tokens(mean, instruction.kind))
            for candidate, mean in zip(candidates, mean_output_tokens, strict=True)
        ]
        rows.append([np.nan if price is None else price for price in row])
    return np.array(rows, dtype=np.float64).reshape(len(instructions), len(candidates))


def price_warnings(
    candidates: Sequence[Candidate], mean_output_tokens: Sequence[float | None], policy: RoutingPolicy
) -> list[str]:
    """What a policy that needs prices lacks, in sentences; none where it lacks nothing.

    Args:
        candidates: Those that can be chosen.
        mean_output_tokens: Per candidate, mean tokens per answer; None where unknown.
        policy: What is preferred.
    """
    if not policy.needs_prices:
        return []
    lengths = list(zip(candidates, mean_output_tokens, strict=True))
    unpriced = [one.name for one, _ in lengths if expected_cost(one, 1, 1) is None]
    unmeasured = [one.name for one, mean in lengths if mean is None and one.name not in unpriced]
    warnings = []
    if unpriced:
        warnings.append(
            f"policy {policy} never chooses {', '.join(unpriced)}: without prices; give them with "
            "`modelsat zoo set NAME input_price=... output_price=...`."
        )
    if unmeasured:
        defaults = ", ".join(f"{kind} {tokens}" for kind, tokens in DEFAULT_OUTPUT_TOKENS.items())
        warnings.append(
            f"the length of answers is unknown for {', '.join(unmeasured)}: policy {policy} expects a default "
            f"number of tokens ({defaults}); give their own with `modelsat zoo set NAME output_tokens=...`."
        )
    return warnings
