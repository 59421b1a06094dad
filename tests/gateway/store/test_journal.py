"""What is taken is written, soon, whatever it holds; what cannot be is counted."""

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelsat.gateway.errors import GatewayError
from modelsat.gateway.records import Journal, Record
from modelsat.gateway.store import schema
from modelsat.gateway.store.database import downgrade, writing
from modelsat.gateway.store.journal import StoreJournal
from modelsat.gateway.store.rows import save_records
from modelsat.gateway.store.writer import BatchWriter
from tests.gateway.store.samples import decision, feedback, usage


@pytest.fixture
def journal(engine: sa.Engine) -> Iterator[StoreJournal]:
    journal = StoreJournal(engine)
    yield journal
    asyncio.run(journal.close())


def rows(engine: sa.Engine, table: sa.Table) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(sa.select(table)).mappings()]


def test_records_come_back_as_they_were(engine: sa.Engine, journal: StoreJournal) -> None:
    kept: Journal = journal
    records: list[Record] = [
        decision("a", prompt="Über 日本", conversation="c", key_id="k", shadow=True, origin="conversation"),
        usage("a", cost=None, first_byte_ms=None, output_tokens=None, status=499, fallbacks=2),
        feedback("a", 0.25),
    ]
    assert all(kept.record(record) for record in records)
    assert journal.flush()
    expected = [asdict(record) for record in records]
    expected[0]["ranking"] = [list(line) for line in records[0].ranking]  # type: ignore[union-attr]
    assert rows(engine, schema.decisions) == [expected[0]]
    assert rows(engine, schema.usage) == [expected[1]]
    assert rows(engine, schema.feedback) == [expected[2]]
    assert (journal.dropped, journal.backlog) == (0, 0)


def test_a_record_is_written_within_half_a_second_without_being_asked(
    engine: sa.Engine, journal: StoreJournal
) -> None:
    for place in range(3):
        journal.record(decision(str(place)))
        deadline = time.monotonic() + 5
        while journal.backlog and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(rows(engine, schema.decisions)) == place + 1


def test_the_last_feedback_counts_and_writing_twice_changes_nothing(engine: sa.Engine) -> None:
    records: list[Record] = [decision("a"), usage("a"), feedback("a", 0.0), feedback("a", 1.0, at=300.0)]
    for _ in range(2):
        with writing(engine) as connection:
            save_records(connection, records)
    assert len(rows(engine, schema.decisions)) == len(rows(engine, schema.usage)) == 1
    assert rows(engine, schema.feedback) == [{"decision_id": "a", "at": 300.0, "score": 1.0}]


def test_a_decision_is_known_at_once_to_its_own_key_only(journal: StoreJournal) -> None:
    async def ask() -> list[bool]:
        journal.record(decision("keyed", key_id="k1"))
        journal.record(decision("open"))
        asked = [
            ("keyed", "k1"),
            ("keyed", "k2"),
            ("keyed", None),
            ("open", None),
            ("open", "k1"),
            ("no", None),
        ]
        asked.append(("\x00' OR 1=1 --\ud800", None))
        return [await journal.known_decision(*question) for question in asked]

    assert asyncio.run(ask()) == [True, False, False, True, False, False, False]


def test_a_store_out_of_reach_is_told_in_the_clients_words(engine: sa.Engine, journal: StoreJournal) -> None:
    downgrade(engine, "base")
    with pytest.raises(GatewayError) as caught:
        asyncio.run(journal.known_decision("a", None))
    assert (caught.value.status, caught.value.code) == (503, "store_unavailable")


texts = st.text(max_size=20)
numbers = st.floats() | st.none()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    prompts=st.lists(texts | st.none(), max_size=4),
    surrogates=st.text(st.characters(categories=["Cs", "Cc"]), max_size=3),
    score=numbers,
    tokens=st.integers() | st.none(),
    cost=numbers,
)
def test_whatever_a_record_holds_it_is_written_or_counted_and_its_neighbours_are_written(
    engine: sa.Engine,
    prompts: list[str | None],
    surrogates: str,
    score: float | None,
    tokens: int | None,
    cost: float | None,
) -> None:
    journal = StoreJournal(engine, interval_s=0.001)
    with writing(engine) as connection:
        for table in (schema.decisions, schema.usage):
            connection.execute(table.delete())
    odd: list[Record] = [
        decision(f"odd{place}", prompt=prompt, conversation=surrogates, score=score)
        for place, prompt in enumerate(prompts)
    ]
    odd.append(usage("odd", input_tokens=tokens, cost=cost))
    records = [decision("before"), *odd, usage("after")]
    assert all(journal.record(record) for record in records)
    asyncio.run(journal.close())
    written = {row["id"] for row in rows(engine, schema.decisions)}
    written |= {row["decision_id"] for row in rows(engine, schema.usage)}
    assert {"before", "after"} <= written
    assert len(written) + journal.dropped == len(records)


class Flaky:
    """A database that can be out of reach."""

    def __init__(self) -> None:
        self.reachable = threading.Event()
        self.saved: list[int] = []

    def save(self, connection: sa.Connection, batch: Sequence[int]) -> None:
        if not self.reachable.is_set():
            raise sa.exc.OperationalError("", None, Exception("out of reach"))
        if 13 in batch:
            raise ValueError("13 cannot be stored")
        self.saved += batch


def test_an_outage_drops_only_what_finds_no_room(engine: sa.Engine) -> None:
    flaky = Flaky()
    writer = BatchWriter(engine, flaky.save, capacity=50, interval_s=0.01)
    taken = [writer.submit(number) for number in range(100, 200)]
    assert taken == [True] * 50 + [False] * 50
    assert not writer.flush(0.05)
    assert (writer.dropped, writer.backlog) == (50, 50)
    flaky.reachable.set()
    assert writer.flush(5)
    assert writer.submit(200)
    assert writer.close(5)
    assert flaky.saved == [*range(100, 150), 200]
    assert (writer.dropped, writer.backlog) == (50, 0)
    assert not writer.submit(201)


def test_what_is_left_when_closing_in_an_outage_is_counted(engine: sa.Engine) -> None:
    flaky = Flaky()
    writer = BatchWriter(engine, flaky.save, interval_s=0.01)
    for number in range(7):
        writer.submit(number)
    assert not writer.close(0.1)
    assert (writer.dropped, writer.backlog, flaky.saved) == (7, 0, [])


def test_a_refused_record_is_dropped_alone(engine: sa.Engine) -> None:
    flaky = Flaky()
    flaky.reachable.set()
    writer = BatchWriter(engine, flaky.save, interval_s=0.01)
    for number in range(30):
        writer.submit(number)
    assert writer.close(5)
    assert sorted(flaky.saved) == [number for number in range(30) if number != 13]
    assert writer.dropped == 1


def test_handing_over_never_waits_for_the_database(engine: sa.Engine, journal: StoreJournal) -> None:
    with writing(engine) as connection:
        # Holds what writers wait for.
        connection.execute(schema.decisions.insert(), {"id": "x"} | _filler())
        slowest = 0.0
        for place in range(2_000):
            began = time.perf_counter()
            journal.record(decision(str(place)))
            slowest = max(slowest, time.perf_counter() - began)
    assert slowest < 0.5
    assert journal.flush(10)
    assert len(rows(engine, schema.decisions)) == 2_001


def _filler() -> dict[str, Any]:
    return {
        "at": 0.0,
        "origin": "router",
        "policy": "best",
        "candidate": "x",
        "ranking": [],
        "route_ms": 0.0,
        "shadow": False,
    }
