"""How many requests are worked on at once, and how many may wait for that."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from modelsat.gateway.errors import GatewayError

RETRY_AFTER_S = 1.0


class Admission:
    """A bounded number of places with a bounded queue before them; first come, first served.

    Args:
        places: Requests worked on at once.
        queue: Requests that may wait.
        timeout_s: How long one waits.
    """

    def __init__(self, *, places: int, queue: int, timeout_s: float) -> None:
        self._free = places
        self._places = places
        self._queue = queue
        self._timeout_s = timeout_s
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def working(self) -> int:
        """Requests that have a place."""
        return self._places - self._free

    @property
    def waiting(self) -> int:
        """Requests that wait for one."""
        return len(self._waiting)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold a place.

        Raises:
            GatewayError: 429 where the queue is full, or the wait was too long.
        """
        await self._enter()
        try:
            yield
        finally:
            self._leave()

    async def _enter(self) -> None:
        if self._free:
            self._free -= 1
            return
        if len(self._waiting) >= self._queue:
            raise _busy("The gateway's queue is full")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._timeout_s):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                # The place came in the same moment: it goes to the next one.
                self._leave()
            else:
                # One that was given up may have been taken out already.
                with suppress(ValueError):
                    self._waiting.remove(turn)
            if isinstance(error, TimeoutError):
                raise _busy(f"The gateway is busy: no place within {self._timeout_s:g} s") from None
            raise

    def _leave(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


def _busy(what: str) -> GatewayError:
    return GatewayError(f"{what}; try again.", status=429, code="gateway_busy", retry_after=RETRY_AFTER_S)
