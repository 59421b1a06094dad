"""Where the store is, and how it is opened: SQLite by default, PostgreSQL by `DATABASE_URL`.

Knows nothing of what is stored.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import platformdirs
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from modelsat.errors import DataError, MissingExtraError

BUSY_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 10
WAL_LIMIT_BYTES = 64 * 2**20
_WAL_RETRY_S = 0.01

_MIGRATIONS = Path(__file__).parent / "migrations"
_MIGRATION_LOCK = 0x6D6F64656C736174
_DRIVERS = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg"}
_WRITES = "modelsat_writes"


def store_url(chosen: str | None = None, environment: Mapping[str, str] | None = None) -> sa.URL:
    """Where the store is.

    Args:
        chosen: A database URL or the path of an SQLite file, where the user gave one.
        environment: Read for `DATABASE_URL`; the process's own by default.

    Returns:
        What was chosen, else `DATABASE_URL`, else `gateway.db` in the user's data folder.

    Raises:
        DataError: It is not a URL of SQLite or PostgreSQL.
    """
    given = chosen or (os.environ if environment is None else environment).get("DATABASE_URL")
    if not given:
        given = str(Path(platformdirs.user_data_dir("modelsat")) / "gateway.db")
    if "://" not in given:
        return sa.URL.create("sqlite", database=given)
    try:
        url = sa.make_url(given)
    except (sa.exc.ArgumentError, ValueError):
        # The text is not repeated: it may hold a password.
        raise DataError(
            "the database URL is malformed; write sqlite:///path/gateway.db or "
            "postgresql://user:password@host/database."
        ) from None
    url = url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
    if url.drivername not in ("sqlite", "postgresql+psycopg"):
        raise DataError(f"the database URL begins with {url.drivername!r}; use sqlite or postgresql.")
    if url.drivername == "sqlite" and url.database in (None, "", ":memory:"):
        raise DataError("an SQLite database in memory forgets everything; write sqlite:///path/gateway.db.")
    return url


def shown(url: sa.URL) -> str:
    """A URL as it may be shown: no password."""
    if url.drivername == "sqlite":
        return url.database or ""
    # A password may be in the query, too.
    return url.set(query={}).render_as_string(hide_password=True)


def open_store(url: sa.URL) -> sa.Engine:
    """Open a store; it is made, or brought up to date, if need be.

    Raises:
        DataError: The database cannot be reached, or a newer version of the package has changed it.
        MissingExtraError: The driver of PostgreSQL is not installed.
    """
    engine = make_engine(url)
    try:
        upgrade(engine)
    except sa.exc.DBAPIError as error:
        engine.dispose()
        raise _unusable(url, error) from None
    except DataError:
        engine.dispose()
        raise
    return engine


@contextmanager
def using_store(url: sa.URL, *, must_exist: bool = False) -> Iterator[sa.Engine]:
    """An open store for the length of a command; what goes wrong with the database becomes one sentence.

    Args:
        url: Where it is.
        must_exist: Refuse an SQLite file that is not there, instead of making it.

    Raises:
        DataError: As `open_store`, or the database failed later, or its file is not there.
        MissingExtraError: As `open_store`.
    """
    if must_exist and url.drivername == "sqlite" and not Path(url.database or "").exists():
        raise DataError(
            f"{shown(url)}: there is no such store; name the gateway's with --store or DATABASE_URL."
        )
    engine = open_store(url)
    try:
        yield engine
    except sa.exc.DBAPIError as error:
        raise _unusable(url, error) from None
    finally:
        engine.dispose()


def make_engine(url: sa.URL) -> sa.Engine:
    """An engine that reaches the database as the store needs it; tables are left as they are.

    Raises:
        DataError: The file of an SQLite database cannot be made.
        MissingExtraError: The driver of PostgreSQL is not installed.
    """
    # Parameters hold prompts and hashes of keys: they stay out of errors and logs.
    if url.drivername != "sqlite":
        try:
            return sa.create_engine(
                url,
                hide_parameters=True,
                pool_pre_ping=True,
                connect_args={"connect_timeout": CONNECT_TIMEOUT_S},
            )
        except ModuleNotFoundError as error:
            raise MissingExtraError("postgres", "a store in PostgreSQL") from error
    _make_private_file(Path(url.database or ""))
    engine = sa.create_engine(url, hide_parameters=True, connect_args={"timeout": BUSY_TIMEOUT_S})
    sa.event.listen(engine, "connect", _prepare_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that will write; it is committed at the end, or rolled back as a whole."""
    with engine.execution_options(**{_WRITES: True}).begin() as connection:
        yield connection


def upgrade(engine: sa.Engine, revision: str = "head") -> None:
    """Bring the tables to a revision; processes that start together wait for each other.

    Raises:
        DataError: The tables are of a newer version of the package.
    """
    with engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    if current != ScriptDirectory(str(_MIGRATIONS)).get_current_head() or revision != "head":
        _migrate(engine, command.upgrade, revision)


def downgrade(engine: sa.Engine, revision: str) -> None:
    """Take the tables back to an earlier revision; `base` removes them.

    Raises:
        DataError: The tables are of a newer version of the package.
    """
    _migrate(engine, command.downgrade, revision)


def _unusable(url: sa.URL, error: sa.exc.DBAPIError) -> DataError:
    reason = str(error.orig).strip().partition("\n")[0]
    return DataError(f"{shown(url)}: the store cannot be used ({reason}); check the database.")


def _migrate(engine: sa.Engine, move: Callable[[Config, str], None], revision: str) -> None:
    config = Config()
    # Alembic reads a percent sign as the start of a placeholder.
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
        config.attributes["connection"] = connection
        try:
            move(config, revision)
        except CommandError as error:
            raise DataError(
                f"{shown(engine.url)}: {error} It was written by another version of modelsat; "
                "install that version, or a newer one."
            ) from None


def _make_private_file(path: Path) -> None:
    # SQLite would make it readable for everyone on the machine.
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise DataError(
            f"{path}: the store cannot be made ({error.strerror}); choose another file."
        ) from None


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # SQLAlchemy, not the driver, begins transactions: the driver would leave DDL outside of them.
    connection.isolation_level = None
    # WAL: readers and the writer don't wait for each other. NORMAL: a killed process loses nothing that was
    # committed, and a power cut may lose the last commits but not the file.
    _switch_to_wal(connection)
    connection.execute("PRAGMA synchronous = NORMAL")
    # What is deleted is overwritten: prompts must not stay in the file's free pages.
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}")


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """The first switch of a new file takes it for itself, and SQLite does not wait for whoever is opening it too."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_WAL_RETRY_S)


def _begin_sqlite(connection: sa.Connection) -> None:
    # A transaction that begins by reading cannot always become a writing one; one that asks first waits its turn.
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
