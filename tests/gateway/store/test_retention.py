from pathlib import Path

import pytest
import sqlalchemy as sa

from modelsat.gateway.store import retention, schema
from modelsat.gateway.store.database import open_store, store_url, writing
from modelsat.gateway.store.rows import save_records
from tests.gateway.store.samples import decision, feedback, usage


def test_what_is_old_goes_in_slices_and_the_rest_stays(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "SLICE", 3)
    with writing(engine) as connection:
        for number in range(10):
            name = str(number)
            save_records(
                connection,
                [decision(name, at=number), usage(name, at=number + 1), feedback(name, 1.0, at=number + 2)],
            )
    calls: list[tuple[str, int, int]] = []
    deleted = retention.prune(engine, before=7.0, progress=lambda *call: calls.append(call))
    assert deleted == {"decisions": 7, "usage": 6, "feedback": 5}
    assert calls[-1] == ("deleting", 18, 18)
    with engine.connect() as connection:
        left = connection.scalars(sa.select(schema.decisions.c.id).order_by(schema.decisions.c.id)).all()
    assert left == ["7", "8", "9"]
    assert sum(retention.prune(engine, before=7.0).values()) == 0


def test_a_deleted_prompt_is_not_left_in_the_file(tmp_path: Path) -> None:
    engine = open_store(store_url(str(tmp_path / "gateway.db")))
    with writing(engine) as connection:
        save_records(connection, [decision(str(n), prompt=f"my secret {n} " * 30) for n in range(50)])
    retention.prune(engine, before=1e9)
    engine.dispose()
    assert [file.name for file in tmp_path.iterdir()] == ["gateway.db"]
    assert b"my secret" not in (tmp_path / "gateway.db").read_bytes()
