"""Limits on money and calls: no question is asked that could exceed them."""

import asyncio

from modelsat.routing.pricing import expected_cost, format_money, instruction_tokens
from modelsat.types import Candidate
from modelsat.types.candidates import CURRENCY

# Tokens that a chat template adds to a message.
_TEMPLATE_TOKENS = 64


def cost(candidate: Candidate, input_tokens: float, output_tokens: float) -> float:
    """Money for one request; 0 if a price is unknown."""
    return expected_cost(candidate, input_tokens, output_tokens) or 0.0


def cost_at_most(candidate: Candidate, prompt: str, max_tokens: int) -> float:
    """Upper bound of one request's cost, if the endpoint respects the token limit.

    No tokenizer makes more tokens of a text than it has bytes.
    """
    return cost(candidate, len(prompt.encode(errors="replace")) + _TEMPLATE_TOKENS, max_tokens)


def estimated_tokens(text: str) -> int:
    """Tokens of a text, if the endpoint does not report them; 0 if it is empty."""
    return instruction_tokens(text) if text else 0


class Budget:
    """Limits on money and calls, shared by all questions under way."""

    def __init__(
        self, *, max_cost: float | None = None, max_calls: int | None = None, currency: str = CURRENCY
    ) -> None:
        """Set the limits.

        Args:
            max_cost: Money; None for no limit.
            max_calls: Questions asked, each rotation counted; None for no limit.
            currency: Of the money (ISO 4217).
        """
        self.max_cost = max_cost
        self.max_calls = max_calls
        self.currency = currency
        self.spent = 0.0
        self.calls = 0
        self.exhausted = ""
        self._reserved = 0.0
        self._in_flight = 0
        self._settled = asyncio.Condition()

    def begin(self, *, spent: float, calls: int) -> None:
        """Add what an earlier run spent."""
        self.spent += spent
        self.calls += calls

    async def reserve(self, at_most: float) -> bool:
        """Reserve money for one question; wait while others might return some.

        Returns:
            False if a limit is reached; `exhausted` then names it.
        """
        if self.max_cost is None and self.max_calls is None:
            self._take(at_most)
            return True
        async with self._settled:
            while not self._fits(at_most):
                # Questions under way may cost less than was reserved for them.
                if not self._in_flight or self._out_of_calls():
                    self.exhausted = self._why()
                    return False
                await self._settled.wait()
            self._take(at_most)
            return True

    async def settle(self, at_most: float, actual: float, *, answered: bool) -> None:
        """Replace the reservation by the actual cost; a question without an answer is not counted as a call."""
        self._reserved -= at_most
        self._in_flight -= 1
        self.spent += actual
        self.calls -= not answered
        if self.max_cost is not None or self.max_calls is not None:
            async with self._settled:
                self._settled.notify_all()

    def _take(self, at_most: float) -> None:
        self._reserved += at_most
        self._in_flight += 1
        self.calls += 1

    def _out_of_calls(self) -> bool:
        return self.max_calls is not None and self.calls - self._in_flight >= self.max_calls

    def _fits(self, at_most: float) -> bool:
        if self.max_calls is not None and self.calls >= self.max_calls:
            return False
        # Sums of floats differ in the last places.
        return self.max_cost is None or self.spent + self._reserved + at_most <= self.max_cost * (1 + 1e-9)

    def _why(self) -> str:
        if self.max_calls is not None and self.calls >= self.max_calls:
            return f"max_items={self.max_calls} is reached"
        spent = format_money(self.spent, self.currency)
        return f"--max-cost {self.max_cost:g} leaves no room for another question ({spent} spent)"
