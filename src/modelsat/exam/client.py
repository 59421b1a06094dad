"""Asking an endpoint: bounded, patient, and never twice at once for the same answer."""

import asyncio
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from modelsat.errors import EndpointError
from modelsat.exam.endpoint import Endpoint, Fault, Reply, read_response
from modelsat.exam.lines import Lines, TooLargeError

if TYPE_CHECKING:
    import httpx

MEBIBYTE = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long and how often an endpoint is asked.

    Attributes:
        timeout_s: Seconds for one attempt, from its first byte out to its last byte in.
        attempts: Attempts per question that may fail.
        busy_attempts: Further attempts per question that may be turned away as too many (429).
        first_wait_s: Wait before the second attempt; doubled before each further one, and varied at random, so that
            many questions that failed together do not come back together.
        longest_wait_s: The longest wait; an endpoint that asks for a longer one ends the exam.
        largest_answer: Bytes of an answer.
    """

    timeout_s: float = 120.0
    attempts: int = 6
    busy_attempts: int = 60
    first_wait_s: float = 0.5
    longest_wait_s: float = 60.0
    largest_answer: int = MEBIBYTE

    def wait_s(self, attempt: int, rng: random.Random) -> float:
        """Seconds to wait after the attempt of this number, from 1."""
        longest = min(self.longest_wait_s, self.first_wait_s * 2.0 ** min(attempt - 1, 30))
        return longest * rng.uniform(0.5, 1.0)


class NoAnswerError(EndpointError):
    """One question got no answer.

    Attributes:
        fault: Of the last attempt.
        billed_attempts: Attempts whose work may be charged.
    """

    def __init__(self, message: str, *, fault: Fault, billed_attempts: int) -> None:
        super().__init__(message)
        self.fault = fault
        self.billed_attempts = billed_attempts


class Client:
    """Asks one endpoint.

    Use as an async context manager.

        async with Client(Endpoint(base_url="http://localhost:8000/v1", model="our-model")) as client:
            reply = await client.ask({"messages": [{"role": "user", "content": "2 + 2?"}]})
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        patience: Patience | None = None,
        transport: "httpx.AsyncBaseTransport | None" = None,
        rng: random.Random | None = None,
    ) -> None:
        """Prepare; nothing is sent before the first question.

        Args:
            endpoint: Whom to ask.
            patience: How long to wait for it.
            transport: What carries the requests; the network by default.
            rng: Varies the waits.

        Raises:
            MissingExtraError: httpx is not installed.
        """
        self.endpoint = endpoint
        self.patience = patience or Patience()
        self._lines = Lines(endpoint.url, api_key=endpoint.api_key, transport=transport)
        self._rng = rng or random.Random()
        # Until this time of the loop's clock nobody asks: the endpoint said so to one of us.
        self._not_before = 0.0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._lines.close()

    async def ask(self, body: Mapping[str, Any]) -> Reply:
        """Ask once, and again where that may help.

        Args:
            body: The request's fields, all but the model's name.

        Raises:
            NoAnswerError: The last attempt failed too, or this question is refused.
            EndpointError: The endpoint refuses every question, or asks to come back much later.
        """
        content = self.endpoint.request(body)
        failed = busy = billed = 0
        while True:
            await self._until_allowed()
            started = time.perf_counter()
            answer = await self._attempt(content)
            if isinstance(answer, Reply):
                latency = time.perf_counter() - started
                return replace(answer, latency_s=latency, attempts=1 + failed + busy)
            busy += answer.busy
            failed += not answer.busy
            billed += answer.billed
            message = f"{self.endpoint.url} {answer.reason}."
            if answer.final and not answer.about_question:
                raise EndpointError(message)
            spent = failed >= self.patience.attempts or busy >= self.patience.busy_attempts
            if answer.final or spent:
                raise NoAnswerError(message, fault=answer, billed_attempts=billed)
            await self._wait(answer, failed + busy)

    async def _attempt(self, content: bytes) -> Reply | Fault:
        largest = self.patience.largest_answer
        try:
            async with asyncio.timeout(self.patience.timeout_s):
                return read_response(*await self._lines.post(content, largest=largest))
        except TimeoutError:
            return Fault(reason=f"did not answer within {self.patience.timeout_s:g} s", billed=True)
        except TooLargeError:
            return Fault(reason=f"answered with more than {largest:,} bytes", billed=True)
        except self._lines.errors as error:
            return Fault(reason=f"could not be asked ({_describe(error)})", billed=_was_sent(error))

    async def _until_allowed(self) -> None:
        # Once more after each wait: meanwhile another question may have been told to wait longer.
        while (wait := self._not_before - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(wait)

    async def _wait(self, fault: Fault, attempt: int) -> None:
        if fault.wait_s is None:
            await asyncio.sleep(self.patience.wait_s(attempt, self._rng))
            return
        if fault.wait_s > self.patience.longest_wait_s:
            raise EndpointError(
                f"{self.endpoint.url} {fault.reason} and asks to wait {fault.wait_s:,.0f} s; go on later."
            )
        self._not_before = max(self._not_before, asyncio.get_running_loop().time() + fault.wait_s)


def _describe(error: Exception) -> str:
    said = str(error).strip()
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _was_sent(error: Exception) -> bool:
    return not type(error).__name__.startswith(("Connect", "Pool", "Proxy", "Unsupported"))
