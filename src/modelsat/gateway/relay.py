"""Down a ranking until a candidate answers, and its answer to the client as it comes.

A candidate is passed over when it cannot be reached, is late, or answers with a status that another candidate may do
better than; never after a byte of its answer was relayed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from modelsat.gateway.asgi import Reply
from modelsat.gateway.breaker import Breaker
from modelsat.gateway.context import RequestContext
from modelsat.gateway.errors import GatewayError
from modelsat.gateway.headers import Headers, first
from modelsat.gateway.meter import Meter
from modelsat.gateway.request import ClientRequest
from modelsat.gateway.serving_state import ServingState
from modelsat.gateway.upstream import AttemptError, Upstream, UpstreamAnswer
from modelsat.redaction import ByteMask, redact
from modelsat.types import Candidate

# The endpoint, not the request, is at fault: its key, its address, its load or itself.
PASSED_OVER = frozenset({401, 402, 403, 404, 408, 425, 429})
# An endpoint that refuses the gateway's key may repeat it: that answer is never shown.
HIDDEN = frozenset({401, 403})
TOO_MANY = 429
EVENT_STREAM = "text/event-stream"


class BrokenAnswerError(Exception):
    """An answer ended before its end; the client's connection must be cut, so that it notices."""


@dataclass(frozen=True, slots=True)
class _Failure:
    candidate: str
    reason: str
    late: bool = False
    status: int | None = None
    retry_after: float | None = None


class Relay:
    """Carries out decisions.

    Args:
        upstream: Calls endpoints.
        breaker: Of a candidate.
        clock: Seconds that never go back.
        max_fallbacks: Candidates tried after the first one failed.
    """

    def __init__(
        self,
        upstream: Upstream,
        *,
        breaker: Callable[[Candidate], Breaker],
        clock: Callable[[], float],
        max_fallbacks: int,
    ) -> None:
        self._upstream = upstream
        self._breaker = breaker
        self._clock = clock
        self._max_fallbacks = max_fallbacks

    async def forward(
        self,
        context: RequestContext,
        request: ClientRequest,
        order: tuple[str, ...],
        *,
        state: ServingState,
        headers: Headers,
        reply: Reply,
    ) -> None:
        """Get one of the candidates to answer.

        Args:
            context: What happens is noted there.
            request: What was asked.
            order: Names of the candidates, in the order of preference.
            state: Where they are.
            headers: The client's.
            reply: Where the answer goes.

        Raises:
            GatewayError: Nobody answered.
            BrokenAnswerError: An answer broke off after it had begun.
        """
        failures: list[_Failure] = []
        waits: dict[str, float] = {}
        only = len(order) == 1
        for name in order:
            if len(failures) > self._max_fallbacks:
                break
            breaker = self._breaker(state.zoo[name])
            if not breaker.allow():
                waits[name] = breaker.retry_after
                continue
            context.candidate, context.asked = name, self._clock()
            answer = await self._ask(name, request, state, headers, breaker)
            if isinstance(answer, UpstreamAnswer):
                key = state.credentials.key(name)
                failure = _refusal(name, answer, only=only, keyed=key is not None)
                if failure is None:
                    await self._pass_on(answer, context, breaker, reply, ByteMask(key))
                    return
                await answer.close()
                answer = failure
            failures.append(answer)
            context.failures.append((name, answer.reason))
        raise _nobody(failures, waits)

    async def _ask(
        self, name: str, request: ClientRequest, state: ServingState, headers: Headers, breaker: Breaker
    ) -> UpstreamAnswer | _Failure:
        candidate = state.zoo[name]
        body = request.body.with_model(candidate.model or name)
        try:
            answer = await self._upstream.ask(
                candidate, request.kind, body, key=state.credentials.key(name), headers=headers
            )
        except AttemptError as error:
            breaker.failed()
            return _Failure(name, str(error), late=error.late)
        except BaseException:
            breaker.left()
            raise
        if answer.status == TOO_MANY:
            breaker.told_to_wait(answer.retry_after)
        elif _passed_over(answer.status):
            breaker.failed()
        else:
            breaker.succeeded()
        return answer

    async def _pass_on(
        self, answer: UpstreamAnswer, context: RequestContext, breaker: Breaker, reply: Reply, mask: ByteMask
    ) -> None:
        context.status = context.answer_status = answer.status
        context.first_byte = self._clock()
        stream = (first(answer.headers, b"content-type") or "").startswith(EVENT_STREAM)
        context.meter = Meter(encoding=answer.encoding, stream=stream)
        try:
            await reply.start(answer.status, _masked(answer.headers) + context.headers())
            async for piece in answer.pieces():
                context.meter.feed(piece)
                await reply.piece(mask.feed(piece))
        except AttemptError as error:
            breaker.failed()
            context.failures.append((context.candidate, str(error)))
            context.status = 504 if error.late else 502
            raise BrokenAnswerError from None
        finally:
            await answer.close()
        await reply.end(mask.end())
        context.complete = True


def _masked(headers: Headers) -> Headers:
    return [(name, redact(value.decode("latin-1")).encode("latin-1")) for name, value in headers]


def _passed_over(status: int) -> bool:
    return status in PASSED_OVER or 300 <= status < 400 or status >= 500


def _refusal(name: str, answer: UpstreamAnswer, *, only: bool, keyed: bool) -> _Failure | None:
    """Why an answer is not passed on; None where it is."""
    status = answer.status
    if status in HIDDEN:
        return _Failure(name, f"refused the gateway's credentials (HTTP {status})", status=status)
    if 300 <= status < 400:
        # Followed by the client, it would lead past the gateway.
        return _Failure(name, f"sent elsewhere (HTTP {status}), which is not followed", status=status)
    # Compressed against the gateway's wish, an error cannot be searched for the key.
    hidden = keyed and status >= 400 and answer.encoding not in ("", "identity")
    # With nobody else to ask, the candidate's own words say most.
    if not hidden and (only or not _passed_over(status)):
        return None
    return _Failure(name, f"HTTP {status}", status=status, retry_after=answer.retry_after)


def _nobody(failures: list[_Failure], waits: Mapping[str, float]) -> GatewayError:
    told = [f"{failure.candidate}: {failure.reason}" for failure in failures]
    told += [
        f"{name}: circuit open after repeated failures; retry in {wait:.0f} s" for name, wait in waits.items()
    ]
    message = f"No candidate answered. {'; '.join(told)}."
    if not failures:
        wait = min(waits.values(), default=1.0)
        return GatewayError(message, status=503, code="candidates_unavailable", retry_after=wait)
    if all(failure.status == TOO_MANY for failure in failures):
        asked = [failure.retry_after or 1.0 for failure in failures] + list(waits.values())
        return GatewayError(message, status=429, code="candidates_busy", retry_after=min(asked))
    if all(failure.late for failure in failures):
        return GatewayError(message, status=504, code="candidates_late")
    return GatewayError(message, status=502, code="candidates_failed")
