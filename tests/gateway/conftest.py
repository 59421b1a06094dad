"""What all tests of the gateway need, and stores to test with: SQLite files, in slow tests PostgreSQL too."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from modelsat.gateway.store.database import make_engine, open_store


@pytest.fixture
def anyio_backend() -> str:
    """Asyncio only: the server's own loop."""
    return "asyncio"


def _postgres_program(name: str) -> str | None:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else shutil.which(name)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[sa.URL]:
    """A server on a Unix socket in a temporary folder, run by a user who is not root."""
    initdb, pg_ctl = _postgres_program("initdb"), _postgres_program("pg_ctl")
    if initdb is None or pg_ctl is None:
        pytest.skip("PostgreSQL is not installed; `make postgres` installs Debian's package")
    user = "postgres" if os.geteuid() == 0 else None
    # Not in pytest's own temporary folder: that one is closed to other users, and sockets need short paths.
    folder = Path(tempfile.mkdtemp(prefix="modelsat-pg-"))
    if user:
        shutil.chown(folder, user)

    def run(*command: str) -> None:
        subprocess.run(
            command, check=True, user=user, cwd=folder, capture_output=True, env={"PATH": os.environ["PATH"]}
        )

    data = str(folder / "data")
    options = f"-k {folder} -c listen_addresses='' -c fsync=off"
    run(initdb, "-D", data, "-U", "modelsat", "-A", "trust", "-E", "UTF8", "--no-sync")
    run(pg_ctl, "-D", data, "-l", str(folder / "log"), "-w", "-o", options, "start")
    try:
        yield sa.URL.create(
            "postgresql+psycopg", username="modelsat", database="postgres", query={"host": str(folder)}
        )
    finally:
        run(pg_ctl, "-D", data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> sa.URL:
    """An empty database."""
    if request.param == "sqlite":
        return sa.URL.create("sqlite", database=str(tmp_path / "gateway.db"))
    server: sa.URL = request.getfixturevalue("postgres_server")
    admin = sa.create_engine(server)
    with admin.begin() as connection:
        # Quicker than a database per test.
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    admin.dispose()
    return server


@pytest.fixture
def engine(url: sa.URL) -> Iterator[sa.Engine]:
    """An open store."""
    engine = open_store(url)
    yield engine
    engine.dispose()


@pytest.fixture
def bare_engine(url: sa.URL) -> Iterator[sa.Engine]:
    """A database without tables."""
    engine = make_engine(url)
    yield engine
    engine.dispose()
