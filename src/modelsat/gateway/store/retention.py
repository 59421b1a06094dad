"""Forgetting: what is old enough goes, a slice at a time, so that a running gateway can write in between."""

import sqlalchemy as sa

from modelsat.gateway.store.database import writing
from modelsat.gateway.store.schema import decisions, feedback, usage
from modelsat.progress import Progress, no_progress

SLICE = 5_000
_PRUNED = (decisions, usage, feedback)


def count_before(engine: sa.Engine, before: float) -> dict[str, int]:
    """What `prune` would delete: rows by table."""
    with engine.connect() as connection:
        return {
            table.name: connection.execute(sa.select(sa.func.count()).where(table.c.at < before)).scalar_one()
            for table in _PRUNED
        }


def prune(engine: sa.Engine, *, before: float, progress: Progress = no_progress) -> dict[str, int]:
    """Delete decisions, usage and feedback from before a moment; keys and spending stay.

    Args:
        engine: An open store.
        before: Seconds since 1970 (UTC).
        progress: Called with (rows deleted, rows to delete).

    Returns:
        Rows deleted, by table.
    """
    total = sum(count_before(engine, before).values())
    deleted = dict.fromkeys((table.name for table in _PRUNED), 0)
    for table in _PRUNED:
        (name,) = table.primary_key
        some = sa.select(name).where(table.c.at < before).limit(SLICE)
        while True:
            with writing(engine) as connection:
                gone = connection.execute(table.delete().where(name.in_(some))).rowcount
            deleted[table.name] += gone
            progress("deleting", min(sum(deleted.values()), total), total)
            if gone < SLICE:
                break
    return deleted
