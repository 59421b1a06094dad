"""What the gateway remembers: decisions, usage, feedback, keys and spending, in SQLite or PostgreSQL."""

from importlib.util import find_spec

from modelsat.errors import MissingExtraError

if find_spec("sqlalchemy") is None or find_spec("alembic") is None:
    raise MissingExtraError("serve", "the gateway's store")
