"""API keys: made, listed, revoked, recognised. The store holds a hash of each; the key is shown once, when it is made.

A key reads msat-<id>-<secret>. The id is no secret: it names the key in listings, logs and records.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import sqlalchemy as sa

from modelsat.errors import DataError
from modelsat.gateway.limits import MAX_REQUESTS_PER_MINUTE, month_of
from modelsat.gateway.store import schema
from modelsat.gateway.store.database import writing
from modelsat.gateway.store.rows import storable

SECRET_BYTES = 32
_ID_BYTES = 5
_KEY = re.compile(r"msat-([0-9a-f]{10})-[A-Za-z0-9_-]{43}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """What is known of a key, its secret aside.

    Attributes:
        id: Names it; no secret.
        name: What it is for, in the words of who made it; unique among the keys that are not revoked.
        created_at: Seconds since 1970 (UTC).
        revoked_at: When it was revoked; None while it is good.
        requests_per_minute: Most requests in any 60 seconds; None: any number.
        monthly_budget: Most money in a calendar month (UTC), in the unit of the zoo's prices; None: any amount.
        candidates: Names of the candidates that it may use; None: all.
        metrics: Whether it reads metrics, and does nothing else.
    """

    id: str
    name: str
    created_at: float
    revoked_at: float | None = None
    requests_per_minute: int | None = None
    monthly_budget: float | None = None
    candidates: tuple[str, ...] | None = None
    metrics: bool = False

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.name.isprintable():
            raise DataError(f"key name {self.name!r}: write at least one letter, and no control characters.")
        limits = (self.requests_per_minute, self.monthly_budget, self.candidates)
        if self.metrics and any(limit is not None for limit in limits):
            raise DataError(
                f"key {self.name}: one that reads metrics asks no candidate; leave rate, budget and candidates out."
            )
        limit = self.requests_per_minute
        if limit is not None and not 1 <= limit <= MAX_REQUESTS_PER_MINUTE:
            raise DataError(
                f"key {self.name}: requests per minute is {limit}; expected 1 to {MAX_REQUESTS_PER_MINUTE:,}."
            )
        budget = self.monthly_budget
        if budget is not None and not (isfinite(budget) and budget >= 0):
            raise DataError(f"key {self.name}: monthly budget is {budget}; expected an amount of at least 0.")
        if self.candidates is not None and not self.candidates:
            raise DataError(f"key {self.name}: it may use no candidate at all; name at least one.")
        for candidate in self.candidates or ():
            if not candidate.strip() or not candidate.isprintable():
                raise DataError(f"key {self.name}: {candidate!r} is no name of a candidate.")


def key_id(key: str) -> str | None:
    """The id within a key; None where the text does not look like a key."""
    matched = _KEY.fullmatch(key)
    return matched[1] if matched else None


def hash_key(key: str) -> str:
    """What the store holds of a key.

    One round of SHA-256 is enough: slow hashes protect words that people choose, and nobody tries 2^256 secrets.
    """
    return hashlib.sha256(key.encode()).hexdigest()


def matches(key: str, secret_hash: str) -> bool:
    """Whether a key is the one of this hash; takes as long either way."""
    return hmac.compare_digest(hash_key(key), secret_hash)


def create_key(
    engine: sa.Engine,
    *,
    name: str,
    now: float,
    requests_per_minute: int | None = None,
    monthly_budget: float | None = None,
    candidates: Sequence[str] | None = None,
    metrics: bool = False,
) -> tuple[ApiKey, str]:
    """Make a key.

    Args:
        engine: An open store.
        name: What it is for.
        now: The time, in seconds since 1970.
        requests_per_minute: See `ApiKey`.
        monthly_budget: See `ApiKey`.
        candidates: See `ApiKey`.
        metrics: See `ApiKey`.

    Returns:
        What is known of it, and the key itself, which is not kept anywhere.

    Raises:
        DataError: A value is out of range, or the name is taken.
    """
    made = ApiKey(
        id=secrets.token_hex(_ID_BYTES),
        name=name,
        created_at=now,
        requests_per_minute=requests_per_minute,
        monthly_budget=monthly_budget,
        candidates=None if candidates is None else tuple(dict.fromkeys(candidates)),
        metrics=metrics,
    )
    key = f"msat-{made.id}-{secrets.token_urlsafe(SECRET_BYTES)}"
    with writing(engine) as connection:
        taken = sa.select(schema.keys.c.id).where(
            schema.keys.c.name == made.name, schema.keys.c.revoked_at.is_(None)
        )
        if connection.execute(taken).first() is not None:
            raise DataError(f"there is a key named {name!r} already; revoke it, or use another name.")
        row = {field: getattr(made, field) for field in made.__dataclass_fields__}
        connection.execute(schema.keys.insert(), {**row, "secret_hash": hash_key(key)})
    return made, key


def list_keys(engine: sa.Engine) -> tuple[ApiKey, ...]:
    """All keys, revoked ones too, in the order in which they were made."""
    return tuple(key for key, _ in hashed_keys(engine))


def hashed_keys(engine: sa.Engine) -> tuple[tuple[ApiKey, str], ...]:
    """All keys with their hashes."""
    query = sa.select(schema.keys).order_by(schema.keys.c.created_at, schema.keys.c.id)
    with engine.connect() as connection:
        rows = [dict(row) for row in connection.execute(query).mappings()]
    return tuple((_key(row), row["secret_hash"]) for row in rows)


def count_keys(engine: sa.Engine) -> tuple[int, int]:
    """How many keys were made, and how many of them revoked: changes whenever any key does."""
    query = sa.select(sa.func.count(), sa.func.count(schema.keys.c.revoked_at)).select_from(schema.keys)
    with engine.connect() as connection:
        made, revoked = connection.execute(query).one()
    return made, revoked


def revoke_key(engine: sa.Engine, id_or_name: str, *, now: float) -> ApiKey:
    """Revoke a key for good.

    Args:
        engine: An open store.
        id_or_name: Which one; a name means the key that is good under it.
        now: The time, in seconds since 1970.

    Raises:
        DataError: There is no such key, or it was revoked before.
    """
    wanted = storable(id_or_name)
    with writing(engine) as connection:
        good = schema.keys.c.revoked_at.is_(None)
        named = sa.select(schema.keys).where(
            (schema.keys.c.id == wanted) | (schema.keys.c.name == wanted), good
        )
        rows = [dict(row) for row in connection.execute(named).mappings()]
        if not rows:
            raise DataError(f"no key {id_or_name!r} that is good; `modelsat keys list` shows them all.")
        row = next((row for row in rows if row["id"] == wanted), rows[0])
        revoked = schema.keys.update().where(schema.keys.c.id == row["id"]).values(revoked_at=now)
        connection.execute(revoked)
    return _key({**row, "revoked_at": now})


def spending(engine: sa.Engine, month: str, *, without_writer: str = "") -> dict[str, float]:
    """Money spent in a month, by key id.

    Args:
        engine: An open store.
        month: Such as "2026-03".
        without_writer: A process whose own charges are left out.
    """
    table = schema.spending
    query = (
        sa.select(table.c.key_id, sa.func.sum(table.c.amount))
        .where(table.c.month == month, table.c.writer != without_writer)
        .group_by(table.c.key_id)
    )
    with engine.connect() as connection:
        return {name: float(amount) for name, amount in connection.execute(query)}


def spent_this_month(engine: sa.Engine, now: float) -> dict[str, float]:
    """Money spent in the current month, by key id."""
    return spending(engine, month_of(now))


def _key(row: dict[str, object]) -> ApiKey:
    fields = {name: row[name] for name in ApiKey.__dataclass_fields__}
    if row["candidates"] is not None:
        fields["candidates"] = tuple(row["candidates"])  # type: ignore[arg-type]
    return ApiKey(**fields)  # type: ignore[arg-type]
