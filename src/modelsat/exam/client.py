"""Asking an endpoint, and asking again: bounded in time and size, with a count of the attempts that may be charged."""

import asyncio
import random
import time
from collections.abc import Mapping
from typing import Any

from modelsat.endpoints.client import EndpointClient, TooLargeError, TransportError
from modelsat.errors import EndpointError
from modelsat.exam.endpoint import Endpoint, Fault, Reply, RetryPolicy, read_response


class NoAnswerError(EndpointError):
    """One question got no answer.

    Attributes:
        fault: Fault of the last attempt.
        billed_attempts: Attempts whose work may be charged.
    """

    def __init__(self, message: str, *, fault: Fault, billed_attempts: int) -> None:
        super().__init__(message)
        self.fault = fault
        self.billed_attempts = billed_attempts


class ExamClient:
    """Asks one endpoint.

    async with EndpointClient() as connections:
        client = ExamClient(Endpoint(base_url="http://localhost:8000/v1", model="our-model"), connections)
        reply = await client.ask({"messages": [{"role": "user", "content": "2 + 2?"}]})
    """

    def __init__(
        self,
        endpoint: Endpoint,
        connections: EndpointClient,
        *,
        retries: RetryPolicy | None = None,
        rng: random.Random | None = None,
    ) -> None:
        """Prepare; nothing is sent before the first question.

        Args:
            endpoint: The endpoint.
            connections: Sends the requests; may be shared by several endpoints.
            retries: Time limits and repetitions.
            rng: Varies the waits.
        """
        self.endpoint = endpoint
        self.retries = retries or RetryPolicy()
        self._connections = connections
        self._url, self._headers = endpoint.url, endpoint.headers()
        self._rng = rng or random.Random()
        # Nothing is sent before this time of the loop's clock: the endpoint asked one of the questions to wait.
        self._not_before = 0.0

    async def ask(self, body: Mapping[str, Any]) -> Reply:
        """Ask a question, again where that may help.

        Args:
            body: Fields of the request, without the model's name.

        Raises:
            NoAnswerError: The last attempt failed too, or this question is refused.
            EndpointError: The endpoint refuses every question, or asks for a long wait.
        """
        content = self.endpoint.request(body)
        failed = busy = billed = 0
        while True:
            # Once more after each wait: meanwhile another question may have been asked to wait longer.
            while (wait := self._not_before - asyncio.get_running_loop().time()) > 0:
                await asyncio.sleep(wait)
            answer = await self._attempt(content, number=1 + failed + busy)
            if isinstance(answer, Reply):
                return answer
            busy += answer.busy
            failed += not answer.busy
            billed += answer.billed
            message = f"{self._url} {answer.reason}."
            if answer.final and not answer.about_question:
                raise EndpointError(message)
            spent = failed >= self.retries.attempts or busy >= self.retries.busy_attempts
            if answer.final or spent:
                raise NoAnswerError(message, fault=answer, billed_attempts=billed)
            await self._wait(answer, failed + busy)

    async def _attempt(self, content: bytes, *, number: int) -> Reply | Fault:
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self.retries.timeout_s):
                response = await self._connections.request("POST", self._url, self._headers, content)
                try:
                    body = await response.read(largest=self.retries.largest_answer)
                finally:
                    response.close()
        except TimeoutError:
            return Fault(reason=f"did not answer within {self.retries.timeout_s:g} s", billed=True)
        except TooLargeError as error:
            return Fault(reason=str(error), billed=True)
        except TransportError as error:
            return Fault(reason=f"failed: {error}", billed=error.sent)
        latency_s = time.perf_counter() - started
        return read_response(response.status, response.headers, body, latency_s=latency_s, attempts=number)

    async def _wait(self, fault: Fault, attempt: int) -> None:
        if fault.wait_s is None:
            await asyncio.sleep(self.retries.wait_s(attempt, self._rng))
        elif fault.wait_s <= self.retries.longest_wait_s:
            self._not_before = max(self._not_before, asyncio.get_running_loop().time() + fault.wait_s)
        else:
            raise EndpointError(
                f"{self._url} {fault.reason} and asks to wait {fault.wait_s:,.0f} s; resume later."
            )
