"""Who may come in, how often, and for how much money: the authenticator of a gateway with keys.

Requests are judged by what is in memory. A thread keeps that in step with the store, at least every second: keys made
or revoked elsewhere come in, money spent goes out. While the store is out of reach, the last known keys stay good.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

import sqlalchemy as sa

from modelsat.gateway.errors import GatewayError
from modelsat.gateway.keys import ApiKey, count_keys, hashed_keys, key_id, matches, spending
from modelsat.gateway.limits import Ledger, RequestWindow, month_of, seconds_to_next_month
from modelsat.gateway.records import Caller
from modelsat.gateway.store import schema
from modelsat.gateway.store.database import writing
from modelsat.gateway.store.rows import upsert

SYNC_S = 0.5

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    key: ApiKey
    secret_hash: str
    caller: Caller


class KeyAuthenticator:
    """Lets in who has a good key; a `Authenticator`."""

    def __init__(
        self,
        engine: sa.Engine,
        *,
        open_without_keys: bool,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Read the keys.

        Args:
            engine: An open store.
            open_without_keys: Whether everyone is let in while no key was ever made; for loopback only.
            clock: Seconds since 1970, for money.

        Raises:
            sqlalchemy.exc.DBAPIError: The store is out of reach; a door that knows no keys must not open.
        """
        self._engine = engine
        self._open_without_keys = open_without_keys
        self._clock = clock
        self._writer = uuid4().hex
        self._ledger = Ledger()
        self._windows: dict[str, RequestWindow] = {}
        self._known: dict[str, _Known] = {}
        self._counts = (0, 0)
        self._saved: dict[tuple[str, str], float] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.sync()

    @property
    def open(self) -> bool:
        """Whether everyone is let in: no key was ever made, and that is allowed here."""
        return self._open_without_keys

    def start(self) -> None:
        """Keep in step with the store, in the background."""
        self._thread = threading.Thread(target=self._run, name="modelsat-keys", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop, and write down what was spent."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._sync_or_warn()

    async def admit(self, authorization: str | None, now: float) -> Caller:
        """Let a request in, and count it against its key's rate.

        Raises:
            GatewayError: 401 without a key, or with an unknown one; 403 for one that was revoked or has spent its
                budget; 429 above its rate.
        """
        if self.open:
            return Caller()
        known = self._recognise(authorization)
        key = known.key
        if key.revoked_at is not None:
            raise GatewayError(
                f"API key {key.id} was revoked; ask for a new one.", status=403, code="key_revoked"
            )
        if key.monthly_budget is not None and self._ledger.spent(key.id, now) >= key.monthly_budget:
            days = seconds_to_next_month(now) / 86_400
            raise GatewayError(
                f"API key {key.id} has spent its budget of {key.monthly_budget:g} for this month; it begins anew in "
                f"{days:.1f} days (first of the month, UTC), or ask for a key with more.",
                status=403,
                code="budget_exceeded",
            )
        self._count(key, now)
        return known.caller

    def count(self, caller: Caller, more: int, now: float) -> None:
        """Count the requests that one brought along; see `Authenticator`."""
        known = None if caller.key_id is None else self._known.get(caller.key_id)
        if known is None or not more:
            return
        limit = known.key.requests_per_minute
        if limit is not None and more >= limit:
            raise GatewayError(
                f"{more + 1} requests at once are more than API key {known.key.id} may send in a minute ({limit}); "
                "send fewer.",
                status=400,
                code="batch_too_large",
            )
        self._count(known.key, now, more)

    def charge(self, caller: Caller, cost: float) -> None:
        """Count an answer's cost against the caller's budget."""
        if caller.key_id is not None:
            self._ledger.charge(caller.key_id, cost, self._clock())

    def sync(self) -> None:
        """Write down what was spent, and read keys and what others spent.

        Raises:
            sqlalchemy.exc.DBAPIError: The store is out of reach; what was spent stays in memory.
        """
        month = month_of(self._clock())
        own = self._ledger.own()
        changed = [
            {"key_id": account[0], "month": account[1], "writer": self._writer, "amount": amount}
            for account, amount in own.items()
            if self._saved.get(account) != amount
        ]
        if changed:
            with writing(self._engine) as connection:
                connection.execute(upsert(connection, schema.spending, "amount"), changed)
            self._saved = own
        others = spending(self._engine, month, without_writer=self._writer)
        self._ledger.learn({(key, month): amount for key, amount in others.items()})
        # Counted before they are read: a key that is made in between is read again.
        counts = count_keys(self._engine)
        if counts != self._counts:
            self._known = {key.id: _known(key, secret_hash) for key, secret_hash in hashed_keys(self._engine)}
            self._counts = counts
        if self._known:
            # For good: a store that is emptied must not open the door again.
            self._open_without_keys = False

    def _recognise(self, authorization: str | None) -> _Known:
        scheme, _, key = (authorization or "").strip().partition(" ")
        key = key.strip()
        if scheme.lower() != "bearer" or not key:
            raise GatewayError(
                "no API key; send the header  Authorization: Bearer msat-...",
                status=401,
                code="missing_api_key",
            )
        identity = key_id(key)
        known = None if identity is None else self._known.get(identity)
        # What was sent is not repeated: it may be a good key of another service.
        if known is None or not matches(key, known.secret_hash):
            raise GatewayError(
                "the API key is not known here; check it, or ask for one (modelsat keys create).",
                status=401,
                code="invalid_api_key",
            )
        return known

    def _count(self, key: ApiKey, now: float, requests: int = 1) -> None:
        if key.requests_per_minute is None:
            return
        window = self._windows.get(key.id)
        if window is None:
            window = self._windows[key.id] = RequestWindow(key.requests_per_minute)
        wait = window.admit(now, requests)
        if wait > 0:
            raise GatewayError(
                f"API key {key.id} may send {key.requests_per_minute} requests a minute; try again in {wait:.0f} s.",
                status=429,
                code="rate_limit_exceeded",
                retry_after=wait,
            )

    def _run(self) -> None:
        while not self._stop.wait(SYNC_S):
            self._sync_or_warn()

    def _sync_or_warn(self) -> None:
        try:
            self.sync()
        except Exception as error:
            # Whatever it is: without this thread a revoked key would stay good for ever.
            _log.warning("keys and spending are not in step with the store (%s)", type(error).__name__)


def _known(key: ApiKey, secret_hash: str) -> _Known:
    allowed = None if key.candidates is None else frozenset(key.candidates)
    caller = Caller(
        key_id=key.id,
        allowed_candidates=allowed,
        priced_only=key.monthly_budget is not None,
        metrics=key.metrics,
    )
    return _Known(key=key, secret_hash=secret_hash, caller=caller)
