"""What the processes of one store share."""

import sqlalchemy as sa

from modelsat.gateway.store.database import make_engine
from modelsat.gateway.store.secret import store_secret


def test_a_secret_is_made_once_and_shared(engine: sa.Engine) -> None:
    first = store_secret(engine, "conversations")
    other = make_engine(engine.url)
    assert store_secret(other, "conversations") == first
    other.dispose()
    assert len(first) == 32
    assert store_secret(engine, "else") != first
