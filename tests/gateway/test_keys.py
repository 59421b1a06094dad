"""Keys are shown once, kept as hashes, and checked before they are made."""

import math
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from modelsat.errors import DataError
from modelsat.gateway.keys import create_key, hash_key, hashed_keys, key_id, list_keys, matches, revoke_key
from modelsat.gateway.store import schema


def test_a_key_is_listed_as_it_was_made_and_kept_nowhere(engine: sa.Engine) -> None:
    made, key = create_key(
        engine,
        name="Søren's app",
        now=5.0,
        requests_per_minute=60,
        monthly_budget=20,
        candidates=["b", "a", "b"],
    )
    assert made.candidates == ("b", "a")
    assert list_keys(engine) == (made,)
    assert key_id(key) == made.id
    with engine.connect() as connection:
        stored = str(connection.execute(sa.select(schema.keys)).all())
    assert key not in stored
    assert key.removeprefix(f"msat-{made.id}-") not in stored


def test_a_key_for_metrics_asks_no_candidate(engine: sa.Engine) -> None:
    made, _ = create_key(engine, name="prometheus", now=1, metrics=True)
    assert [key.metrics for key in list_keys(engine)] == [made.metrics] == [True]


def test_a_key_is_recognised_by_its_hash_only(engine: sa.Engine) -> None:
    _, first = create_key(engine, name="first", now=1)
    _, second = create_key(engine, name="second", now=2)
    hashes = [secret_hash for _, secret_hash in hashed_keys(engine)]
    assert [[matches(key, kept) for kept in hashes] for key in (first, second)] == [
        [True, False],
        [False, True],
    ]
    assert not matches(first[:-1], hashes[0])


def test_a_revoked_key_stays_listed_and_frees_its_name(engine: sa.Engine) -> None:
    first, _ = create_key(engine, name="app", now=1)
    with pytest.raises(DataError, match="named 'app' already"):
        create_key(engine, name="app", now=2)
    assert revoke_key(engine, "app", now=3).id == first.id
    second, _ = create_key(engine, name="app", now=4)
    assert [key.revoked_at for key in list_keys(engine)] == [3, None]
    assert revoke_key(engine, second.id, now=5).revoked_at == 5
    for missing in ("app", first.id, "nobody", "\x00\ud800"):
        with pytest.raises(DataError, match="keys list"):
            revoke_key(engine, missing, now=6)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": " "}, "at least one letter"),
        ({"name": "a\nb"}, "control characters"),
        ({"requests_per_minute": 0}, "requests per minute is 0"),
        ({"requests_per_minute": 10**9}, "100,000"),
        ({"monthly_budget": -1.0}, "monthly budget is -1"),
        ({"monthly_budget": math.nan}, "monthly budget is nan"),
        ({"monthly_budget": math.inf}, "monthly budget is inf"),
        ({"candidates": []}, "at least one"),
        ({"metrics": True, "monthly_budget": 1.0}, "asks no candidate"),
        ({"metrics": True, "candidates": ["a"]}, "asks no candidate"),
        ({"candidates": ["a", ""]}, "'' is no name"),
        ({"candidates": ["a\x00"]}, "is no name"),
    ],
)
def test_a_key_that_makes_no_sense_is_not_made(
    engine: sa.Engine, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        create_key(engine, **{"name": "app", "now": 1.0, **values})
    assert list_keys(engine) == ()


@given(st.text())
def test_no_other_text_is_taken_for_a_key(text: str) -> None:
    assert key_id(text) is None
    assert key_id(f"msat-0123456789-{text}") is None or len(text) == 43


def test_hashes_tell_keys_apart() -> None:
    assert hash_key("a") != hash_key("b")
    assert len(hash_key("a")) == 64
