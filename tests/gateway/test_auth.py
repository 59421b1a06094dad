"""Who may come in, how often, and for how much money."""

import asyncio
import math
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelsat.gateway.auth import KeyAuthenticator
from modelsat.gateway.errors import GatewayError
from modelsat.gateway.keys import create_key, revoke_key, spent_this_month
from modelsat.gateway.records import Authenticator, Caller
from modelsat.gateway.store import schema
from modelsat.gateway.store.database import writing

NOW = 1_700_000_000.0
DAY_S = 86_400.0


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def doors(engine: sa.Engine, clock: Clock) -> Callable[..., KeyAuthenticator]:
    """Doors on one store, as several processes would have them."""

    def make(*, open_without_keys: bool = False) -> KeyAuthenticator:
        return KeyAuthenticator(engine, open_without_keys=open_without_keys, clock=clock)

    return make


def enter(door: Authenticator, authorization: str | None, now: float = NOW) -> Caller | tuple[int, str]:
    try:
        return asyncio.run(door.admit(authorization, now))
    except GatewayError as error:
        return error.status, error.code


def test_a_good_key_is_let_in_with_its_candidates(
    engine: sa.Engine, doors: Callable[..., KeyAuthenticator]
) -> None:
    free, any_key = create_key(engine, name="free", now=NOW)
    bound, some_key = create_key(engine, name="bound", now=NOW, candidates=["a", "b"], monthly_budget=1.0)
    door = doors()
    assert enter(door, f"Bearer {any_key}") == Caller(key_id=free.id)
    assert enter(door, f"bearer  {some_key} ") == Caller(
        key_id=bound.id, allowed_candidates=frozenset({"a", "b"}), priced_only=True
    )


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (None, "missing_api_key"),
        ("", "missing_api_key"),
        ("Bearer", "missing_api_key"),
        ("Bearer ", "missing_api_key"),
        ("Basic dXNlcjpwYXNz", "missing_api_key"),
        ("Bearer sk-live-of-another-service", "invalid_api_key"),
        ("Bearer msat-0000000000-" + "A" * 43, "invalid_api_key"),
        ("Bearer é\ud800", "invalid_api_key"),
        ("Bearer " + "A" * 100_000, "invalid_api_key"),
    ],
)
def test_without_a_good_key_nobody_comes_in(
    engine: sa.Engine, doors: Callable[..., KeyAuthenticator], authorization: str | None, code: str
) -> None:
    create_key(engine, name="app", now=NOW)
    door = doors()
    assert enter(door, authorization) == (401, code)


def test_an_id_with_another_keys_secret_is_refused_and_nothing_sent_is_repeated(
    engine: sa.Engine, doors: Callable[..., KeyAuthenticator]
) -> None:
    made, key = create_key(engine, name="app", now=NOW)
    _, other = create_key(engine, name="other", now=NOW)
    secret = other[-43:]
    with pytest.raises(GatewayError) as caught:
        asyncio.run(doors().admit(f"Bearer msat-{made.id}-{secret}", NOW))
    assert caught.value.status == 401
    assert secret not in str(caught.value.body())
    assert key not in str(caught.value.body())


def test_keys_come_and_go_while_the_door_is_in_use(
    engine: sa.Engine, doors: Callable[..., KeyAuthenticator]
) -> None:
    door = doors()
    _, key = create_key(engine, name="app", now=NOW)
    assert enter(door, f"Bearer {key}") == (401, "invalid_api_key")
    door.sync()
    assert isinstance(enter(door, f"Bearer {key}"), Caller)
    revoke_key(engine, "app", now=NOW)
    door.sync()
    assert enter(door, f"Bearer {key}") == (403, "key_revoked")


def test_without_keys_the_door_is_open_only_where_that_is_allowed(
    engine: sa.Engine, doors: Callable[..., KeyAuthenticator]
) -> None:
    shut, open_ = doors(), doors(open_without_keys=True)
    assert enter(shut, None) == (401, "missing_api_key")
    assert enter(open_, None) == Caller()
    open_.charge(Caller(), 5.0)
    create_key(engine, name="app", now=NOW)
    open_.sync()
    assert enter(open_, None) == (401, "missing_api_key")
    # A door that once knew a key stays shut, whatever becomes of the store.
    revoke_key(engine, "app", now=NOW)
    open_.sync()
    assert enter(open_, None) == (401, "missing_api_key")
    with writing(engine) as connection:
        connection.execute(schema.keys.delete())
    open_.sync()
    assert enter(open_, None) == (401, "missing_api_key")
    assert enter(doors(open_without_keys=True), None) == Caller()


def test_each_key_has_its_own_rate_and_is_told_when_to_come_back(
    engine: sa.Engine, doors: Callable[..., KeyAuthenticator]
) -> None:
    _, slow = create_key(engine, name="slow", now=NOW, requests_per_minute=2)
    _, other = create_key(engine, name="other", now=NOW, requests_per_minute=2)
    door = doors()
    for _ in range(2):
        assert isinstance(enter(door, f"Bearer {slow}"), Caller)
    with pytest.raises(GatewayError) as caught:
        asyncio.run(door.admit(f"Bearer {slow}", NOW + 15))
    assert (caught.value.status, caught.value.headers()) == (429, {"retry-after": "45"})
    assert isinstance(enter(door, f"Bearer {other}", NOW + 15), Caller)
    assert isinstance(enter(door, f"Bearer {slow}", NOW + 60), Caller)


def test_what_a_request_brings_along_counts_against_the_rate_too(
    engine: sa.Engine, doors: Callable[..., KeyAuthenticator]
) -> None:
    _, key = create_key(engine, name="app", now=NOW, requests_per_minute=4)
    door = doors()
    caller = enter(door, f"Bearer {key}")
    assert isinstance(caller, Caller)
    door.count(caller, 2, NOW)
    with pytest.raises(GatewayError) as caught:
        door.count(caller, 2, NOW + 15)
    assert (caught.value.status, caught.value.headers()) == (429, {"retry-after": "45"})
    with pytest.raises(GatewayError, match="5 requests at once are more than") as caught:
        door.count(caller, 4, NOW + 600)
    assert (caught.value.status, caught.value.code) == (400, "batch_too_large")
    # What was refused was not counted.
    assert isinstance(enter(door, f"Bearer {key}"), Caller)
    assert enter(door, f"Bearer {key}") == (429, "rate_limit_exceeded")


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    budget=st.floats(0, 10),
    costs=st.lists(st.floats(0, 3), min_size=1, max_size=20),
    which=st.lists(st.integers(0, 1), min_size=20, max_size=20),
)
def test_a_key_overspends_by_no_more_than_one_answer_even_through_two_doors_and_restarts(
    engine: sa.Engine, clock: Clock, budget: float, costs: list[float], which: list[int]
) -> None:
    with writing(engine) as connection:
        connection.execute(schema.keys.delete())
        connection.execute(schema.spending.delete())
    made, key = create_key(engine, name="app", now=NOW, monthly_budget=budget)
    doors = [KeyAuthenticator(engine, open_without_keys=False, clock=clock) for _ in range(2)]
    paid = 0.0
    for turn, cost in enumerate(costs):
        door = doors[which[turn]]
        caller = enter(door, f"Bearer {key}")
        if paid >= budget + 1e-9:
            assert caller == (403, "budget_exceeded")
        if isinstance(caller, Caller):
            door.charge(caller, cost)
            paid += cost
        for each in doors * 2:
            each.sync()
        if turn == 9:
            doors[0] = KeyAuthenticator(engine, open_without_keys=False, clock=clock)
    assert paid <= budget + max(costs) + 1e-9
    assert spent_this_month(engine, NOW).get(made.id, 0.0) == pytest.approx(paid)


def test_a_budget_begins_anew_with_the_month(
    engine: sa.Engine, clock: Clock, doors: Callable[..., KeyAuthenticator]
) -> None:
    _, key = create_key(engine, name="app", now=NOW, monthly_budget=1.0)
    door = doors()
    caller = enter(door, f"Bearer {key}")
    assert isinstance(caller, Caller)
    for odd in (math.nan, math.inf, -5.0):
        door.charge(caller, odd)
    assert isinstance(enter(door, f"Bearer {key}"), Caller)
    door.charge(caller, 1.5)
    assert enter(door, f"Bearer {key}") == (403, "budget_exceeded")
    clock.now = NOW + 31 * DAY_S
    assert isinstance(enter(door, f"Bearer {key}", clock.now), Caller)
    door.sync()
    assert isinstance(enter(door, f"Bearer {key}", clock.now), Caller)


def test_what_was_spent_survives_a_clean_end_and_a_store_out_of_reach(
    engine: sa.Engine, clock: Clock, doors: Callable[..., KeyAuthenticator], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, key = create_key(engine, name="app", now=NOW, monthly_budget=1.0)
    door = doors()
    caller = enter(door, f"Bearer {key}")
    assert isinstance(caller, Caller)
    door.charge(caller, 0.75)

    def fail(*_: object, **__: object) -> None:
        raise sa.exc.OperationalError("", None, Exception("out of reach"))

    with monkeypatch.context() as broken:
        broken.setattr("modelsat.gateway.auth.writing", fail)
        with pytest.raises(sa.exc.OperationalError):
            door.sync()
        assert isinstance(enter(door, f"Bearer {key}"), Caller)
        door.charge(caller, 0.5)
        assert enter(door, f"Bearer {key}") == (403, "budget_exceeded")
    door.start()
    door.close()
    assert spent_this_month(engine, NOW) == {made.id: 1.25}
    assert enter(doors(), f"Bearer {key}") == (403, "budget_exceeded")
