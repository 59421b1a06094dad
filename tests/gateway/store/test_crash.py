"""Killed at any moment, the gateway loses at most its last second, and its store is whole."""

import multiprocessing
import os
import time
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa

from modelsat.gateway.auth import KeyAuthenticator
from modelsat.gateway.keys import create_key, spent_this_month
from modelsat.gateway.records import Caller
from modelsat.gateway.store import schema
from modelsat.gateway.store.database import make_engine, open_store
from modelsat.gateway.store.journal import StoreJournal
from tests.gateway.store.samples import decision, usage

pytestmark = pytest.mark.slow
# PostgreSQL's own files are not at stake when a client dies.
ROUNDS = {"sqlite": 50, "postgresql": 10}
LONGEST_LOSS_S = 1.0
COST = 0.01


def write_until_killed(url: sa.URL, key_id: str, run: int, diary: Path) -> None:
    """Record and charge; what was taken, and when, goes to a file that outlives this process."""
    engine = open_store(url)
    journal = StoreJournal(engine)
    door = KeyAuthenticator(engine, open_without_keys=False)
    door.start()
    file = os.open(diary, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    for number in range(1_000_000):
        name = f"{run}-{number}"
        records = decision(name, prompt="x" * (number % 3_000)), usage(name)
        if all(journal.record(record) for record in records):
            door.charge(Caller(key_id=key_id), COST)
            os.write(file, f"{name} {time.monotonic()}\n".encode())
        time.sleep(0.002)


def started(target: Any, *arguments: Any) -> ForkServerProcess:
    # Each process is forked from one that has the imports behind it, and no threads.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=target, args=arguments)
    process.start()
    return process


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def assert_whole(engine: sa.Engine) -> None:
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


def test_at_most_the_last_second_is_lost(url: sa.URL, tmp_path: Path) -> None:
    rng = Random(0)
    engine = open_store(url)
    key, _ = create_key(engine, name="app", now=0)
    ages: dict[str, float] = {}
    rounds = ROUNDS[engine.dialect.name]
    for run in range(rounds):
        diary = tmp_path / f"diary-{run}"
        process = started(write_until_killed, url, key.id, run, diary)
        wait_for(diary)
        time.sleep(rng.uniform(0, 1.8))
        process.kill()
        killed = time.monotonic()
        process.join()
        assert_whole(engine)
        # The last line may be half written.
        for line in diary.read_text().splitlines()[:-1]:
            name, moment = line.split()
            ages[name] = killed - float(moment)
    assert len(ages) > 20 * rounds
    for column in (schema.decisions.c.id, schema.usage.c.decision_id):
        with engine.connect() as connection:
            written = set(connection.scalars(sa.select(column)))
        lost = {name: age for name, age in ages.items() if name not in written}
        assert max(lost.values(), default=0.0) <= LONGEST_LOSS_S
    settled = sum(age > LONGEST_LOSS_S for age in ages.values())
    assert settled > 0
    spent = spent_this_month(engine, time.time())[key.id]
    assert COST * (settled - 0.5) < spent < COST * (len(ages) + 2 * rounds)
    engine.dispose()


def test_killed_while_its_tables_are_made_it_opens_the_next_time(tmp_path: Path) -> None:
    rng = Random(1)
    for run in range(20):
        url = sa.URL.create("sqlite", database=str(tmp_path / f"{run}.db"))
        process = started(open_store, url)
        wait_for(Path(url.database or ""))
        time.sleep(rng.uniform(0, 0.2))
        process.kill()
        process.join()
        bare = make_engine(url)
        assert_whole(bare)
        bare.dispose()
        engine = open_store(url)
        assert set(schema.metadata.tables) < set(sa.inspect(engine).get_table_names())
        engine.dispose()
