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


# Python's own connections and look-ups, also where there is no strace.
GUARD = """
import os, sys

def note(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname"):
        where = arguments[0] if event.startswith("socket.get") else arguments[1]
        host = where[0] if isinstance(where, tuple) else where
        if host not in ("127.0.0.1", "localhost", "::1", None):
            with open(os.environ["GUARD_LOG"], "a") as log:
                log.write(f"{event} {where}\\n")

sys.addaudithook(note)
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A new user's, with an empty home: nothing set that switches telemetry off by itself, such as CI."""
    for name in ("home", "guard"):
        (tmp_path / name).mkdir()
    (tmp_path / "guard" / "sitecustomize.py").write_text(GUARD, "utf-8")
    path = ":".join([str(tmp_path / "guard"), *sys.path])
    log = str(tmp_path / "guard.log")
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home"), "PYTHONPATH": path, "GUARD_LOG": log}


def traced(command: list[str], folder: Path) -> list[str]:
    """The command under strace; as it is where there is none."""
    strace = shutil.which("strace")
    options = ["-f", "-qq", "-e", "trace=network", "-o", str(folder / "trace.log")]
    return command if strace is None else [strace, *options, *command]


def outside(folder: Path) -> list[str]:
    """Connections that left the machine, and names looked up."""
    logs = [folder / name for name in ("trace.log", "guard.log")]
    trace, guard = (log.read_text("utf-8", "replace") if log.exists() else "" for log in logs)
    found = [(line, _CONNECTION.search(line)) for line in trace.splitlines()]
    left = [line for line, match in found if match and not (match[2] or "").startswith("127.")]
    return left + guard.splitlines()


def foreign_files(home: Path) -> list[str]:
    """Files that are not this project's own."""
    files = [path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()]
    return [name for name in files if "modelsat" not in name]


def test_routing_sends_nothing_and_leaves_no_foreign_file(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    command = [sys.executable, "-m", "modelsat", "route", "Who wrote Faust?", "--router", "fast", "--json"]
    ran = subprocess.run(
        traced(command, tmp_path),
        env=environment,
        cwd=tmp_path / "home",
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    assert foreign_files(tmp_path / "home") == []
    assert outside(tmp_path) == []


def test_serving_sends_nothing_and_leaves_no_foreign_file(
    tmp_path: Path, environment: dict[str, str]
) -> None:
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
        traced(command, tmp_path), env=environment, cwd=tmp_path, start_new_session=True
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
    assert outside(tmp_path) == []


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


def test_what_telemetry_does_is_found(tmp_path: Path, environment: dict[str, str]) -> None:
    """The two tests above can fail."""
    address = '{{sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("{}")}}, 16)'
    (tmp_path / "trace.log").write_text(
        f"1 connect(3, {address.format('127.0.0.1')} = 0\n1 connect(3, {address.format('10.0.0.2')} = 0\n"
        f'1 sendto(3, "x", 1, 0, {address.format("8.8.8.8")} = 1\n'
    )
    code = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('192.0.2.1', 53))"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    (tmp_path / "home" / "deviceid").touch()
    assert len(outside(tmp_path)) == 3
    assert foreign_files(tmp_path / "home") == ["deviceid"]
