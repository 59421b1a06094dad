"""Forgetting: what is old enough goes, a slice at a time, so that a running gateway can write in between."""

from collections.abc import Callable

import sqlalchemy as sa

from modelsat.gateway.store.database import writing
from modelsat.gateway.store.schema import decisions, feedback, usage

SLICE = 5_000


def prune(
    engine: sa.Engine, *, before: float, progress: Callable[[int, int], None] | None = None
) -> dict[str, int]:
    """Delete decisions, usage and feedback from before a moment; keys and spending stay.

    Args:
        engine: An open store.
        before: Seconds since 1970 (UTC).
        progress: Called with (rows deleted, rows to delete).

    Returns:
        Rows deleted, by table.
    """
    deleted = dict.fromkeys((table.name for table in (decisions, usage, feedback)), 0)
    with engine.connect() as connection:
        total = sum(
            connection.execute(sa.select(sa.func.count()).where(table.c.at < before)).scalar_one()
            for table in (decisions, usage, feedback)
        )
    for table in (decisions, usage, feedback):
        (name,) = table.primary_key
        some = sa.select(name).where(table.c.at < before).limit(SLICE)
        while True:
            with writing(engine) as connection:
                gone = connection.execute(table.delete().where(name.in_(some))).rowcount
            deleted[table.name] += gone
            if progress is not None:
                progress(min(sum(deleted.values()), total), total)
            if gone < SLICE:
                break
    return deleted
