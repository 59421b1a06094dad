"""Where the store is, how it is opened, and how its tables come and go."""

import stat
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from modelsat.errors import DataError
from modelsat.gateway.store.database import (
    downgrade,
    make_engine,
    open_store,
    shown,
    store_url,
    upgrade,
    writing,
)
from modelsat.gateway.store.schema import metadata


def tables(engine: sa.Engine) -> set[str]:
    return set(sa.inspect(engine).get_table_names()) - {"alembic_version"}


def test_migrations_make_exactly_the_tables_of_the_schema(engine: sa.Engine) -> None:
    assert tables(engine) == set(metadata.tables)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_migrations_go_down_to_nothing_and_up_again(engine: sa.Engine) -> None:
    downgrade(engine, "base")
    assert tables(engine) == set()
    upgrade(engine)
    assert tables(engine) == set(metadata.tables)


def test_opening_again_keeps_what_is_there(url: sa.URL) -> None:
    for year in (1, 2):
        engine = open_store(url)
        with writing(engine) as connection:
            row = {"decision_id": str(year), "at": 0.0, "score": 1.0}
            connection.execute(metadata.tables["feedback"].insert(), row)
        engine.dispose()
    engine = open_store(url)
    with engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(metadata.tables["feedback"])) == 2
    engine.dispose()


def test_processes_that_start_together_make_the_tables_once(url: sa.URL) -> None:
    errors: list[BaseException] = []
    barrier = threading.Barrier(4)

    def start() -> None:
        engine = make_engine(url)
        barrier.wait()
        try:
            upgrade(engine)
        except Exception as error:
            errors.append(error)
        finally:
            engine.dispose()

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_migration_that_fails_leaves_nothing_behind(bare_engine: sa.Engine) -> None:
    with bare_engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE usage (x INTEGER)")
    with pytest.raises(sa.exc.DBAPIError):
        upgrade(bare_engine)
    assert tables(bare_engine) == {"usage"}


def test_tables_of_a_newer_version_are_left_alone(url: sa.URL, engine: sa.Engine) -> None:
    with writing(engine) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(DataError, match=r"9999.*install that version, or a newer one"):
        open_store(url)


@pytest.mark.parametrize(
    ("chosen", "environment", "expected"),
    [
        ("a/b.db", {"DATABASE_URL": "postgresql://h/d"}, "sqlite:///a/b.db"),
        (None, {"DATABASE_URL": "sqlite:////x/y.db"}, "sqlite:////x/y.db"),
        (None, {"DATABASE_URL": "postgres://u:pw@h/d"}, "postgresql+psycopg://u:pw@h/d"),
        (None, {"DATABASE_URL": "postgresql+psycopg://h/d"}, "postgresql+psycopg://h/d"),
    ],
)
def test_a_store_is_where_the_user_says(
    chosen: str | None, environment: dict[str, str], expected: str
) -> None:
    assert store_url(chosen, environment).render_as_string(hide_password=False) == expected


def test_by_default_a_store_is_in_the_users_data_folder() -> None:
    url = store_url(environment={})
    assert url.drivername == "sqlite"
    assert "modelsat" in (url.database or "")


@pytest.mark.parametrize(
    "url",
    [
        "mysql://user:hunter2@host/d",
        "sqlite://",
        "sqlite:///:memory:",
        "postgresql://user:hunter2@host:port/d",
        "://hunter2",
    ],
)
def test_a_url_that_will_not_do_is_refused_without_repeating_its_password(url: str) -> None:
    with pytest.raises(DataError) as caught:
        store_url(url)
    assert "hunter2" not in str(caught.value)


def test_a_url_is_shown_without_password() -> None:
    for url in ("postgresql://u:hunter2@h/d", "postgresql://u@h/d?password=hunter2"):
        assert "hunter2" not in shown(store_url(url))


def test_a_database_out_of_reach_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be used") as caught:
        open_store(store_url(f"postgresql://u:hunter2@/d?host={tmp_path}"))
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("dear diary, " * 100)
    with pytest.raises(DataError, match=r"notes\.txt"):
        open_store(store_url(str(path)))
    assert path.read_text().startswith("dear diary")
    with pytest.raises(DataError, match="cannot be made"):
        open_store(store_url(str(path / "under-a-file.db")))


def test_only_its_owner_may_read_an_sqlite_store(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "gateway.db"
    engine = open_store(store_url(str(path)))
    with writing(engine) as connection:
        connection.execute(
            metadata.tables["feedback"].insert(), {"decision_id": "1", "at": 0.0, "score": 1.0}
        )
        assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in path.parent.iterdir())
    engine.dispose()
