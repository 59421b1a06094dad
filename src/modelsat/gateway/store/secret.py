"""Random secrets that belong to a store: the same for every process that opens it."""

import secrets

import sqlalchemy as sa

from modelsat.gateway.store import schema
from modelsat.gateway.store.database import writing
from modelsat.gateway.store.rows import upsert

SECRET_BYTES = 32


def store_secret(engine: sa.Engine, name: str) -> bytes:
    """The store's secret of this name, 32 random bytes; made when it is first asked for.

    Args:
        engine: An open store.
        name: What it is for.
    """
    row = {"name": name, "value": secrets.token_hex(SECRET_BYTES)}
    kept = sa.select(schema.secrets.c.value).where(schema.secrets.c.name == name)
    with writing(engine) as connection:
        connection.execute(upsert(connection, schema.secrets), row)
        return bytes.fromhex(connection.execute(kept).scalar_one())
