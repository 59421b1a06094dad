"""Nothing leaves the machine: no telemetry files, no names looked up, no connection but those asked for."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("socket_enabled")]

ZOO = """format = "modelsat-zoo/1"

[[candidate]]
name = "ours"
endpoint = "http://127.0.0.1:9/v1"
"""
# A connection to another machine, or a name server being asked: port 53, or a socket of a resolver.
_CONNECTION = re.compile(
    r"(?:connect|sendto|sendmsg|sendmmsg)\(.*?(sin_addr=inet_addr\(\"([^\"]+)\"\)|sin6_addr|nscd)"
)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A new user's: nothing set that switches telemetry off by itself, such as CI."""
    off = ("CI", "ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "XDG_CACHE_HOME", "HF_HUB_OFFLINE")
    kept = {name: value for name, value in os.environ.items() if name not in off}
    return {**kept, "HOME": str(tmp_path / "home"), "PYTHONPATH": ":".join(sys.path), "PYTHONUNBUFFERED": "1"}


def traced(command: list[str], log: Path) -> list[str]:
    """The command under strace; as it is where there is none."""
    strace = shutil.which("strace")
    return (
        command if strace is None else [strace, "-f", "-qq", "-e", "trace=network", "-o", str(log), *command]
    )


def outside(log: Path) -> list[str]:
    """Connections that left the machine."""
    if not log.exists():
        return []
    found = [(line, _CONNECTION.search(line)) for line in log.read_text("utf-8", "replace").splitlines()]
    return [line for line, match in found if match and not (match[2] or "").startswith("127.")]


def foreign_files(home: Path) -> list[str]:
    """Files that are not this project's own."""
    files = [path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()]
    return [name for name in files if "modelsat" not in name]


def test_routing_sends_nothing_and_leaves_no_foreign_file(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    (tmp_path / "home").mkdir()
    command = [sys.executable, "-m", "modelsat", "route", "Who wrote Faust?", "--router", "fast", "--json"]
    ran = subprocess.run(
        traced(command, tmp_path / "trace"), env=environment, capture_output=True, text=True, timeout=300
    )
    assert ran.returncode == 0, ran.stderr
    assert foreign_files(tmp_path / "home") == []
    assert outside(tmp_path / "trace") == []


def test_serving_sends_nothing_and_leaves_no_foreign_file(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    (tmp_path / "home").mkdir()
    card = Path(__file__).parent.parent / "src" / "modelsat" / "assets" / "cards" / "gemma-7b.json"
    (tmp_path / "zoo.toml").write_text(ZOO.replace('"ours"', '"gemma-7b"') + f'card = "{card}"\n', "utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "modelsat",
        "serve",
        "--zoo",
        "zoo.toml",
        "--store",
        "sqlite:///store.db",
    ]
    command += ["--port", str(port), "--router", "fast"]
    process = subprocess.Popen(
        traced(command, tmp_path / "trace"), env=environment, cwd=tmp_path, start_new_session=True
    )
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and _routed(port) != 200:
            assert process.poll() is None
            time.sleep(0.2)
        assert _routed(port) == 200
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)
    assert foreign_files(tmp_path / "home") == []
    assert outside(tmp_path / "trace") == []


def _routed(port: int) -> int | None:
    """Status of a decision; None while nobody listens."""
    body = b'{"text": "Who wrote Faust?"}'
    head = "POST /v1/route HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(head.encode() + body)
            return int(connection.recv(100).split()[1])
    except (OSError, IndexError):
        return None


def test_the_trace_tells_outside_from_inside(tmp_path: Path) -> None:
    """The two tests above can fail: what telemetry does is found in a trace."""
    log = tmp_path / "trace"
    here, resolver, server = "127.0.0.1", "10.0.0.2", "8.8.8.8"
    address = '{{sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("{}")}}, 16)'
    log.write_text(
        f"1 connect(3, {address.format(here)} = 0\n1 connect(3, {address.format(resolver)} = 0\n"
        f'1 sendto(3, "x", 1, 0, {address.format(server)} = 1\n'
    )
    assert len(outside(log)) == 2
