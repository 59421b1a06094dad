"""A gateway and its endpoint as processes of their own, and what they cost: CPU seconds and memory."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from modelsat.bench.http_load import HttpClient
from modelsat.bench.litellm_tiers import OFFLINE
from modelsat.capability.zoo import ModelZoo
from modelsat.errors import DataError

_UPSTREAM = "from modelsat.bench.scripted_upstream import serve_forever; serve_forever({rate})"
_START_S = 180.0
CANDIDATES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a process has used.

    Attributes:
        cpu_s: CPU seconds, of all its threads.
        memory: Resident bytes now.
    """

    cpu_s: float
    memory: int


def cost_of(pid: int) -> Cost | None:
    """What a process has used so far; None where the system does not tell (only Linux does)."""
    folder = Path("/proc") / str(pid)
    try:
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        pages = int((folder / "statm").read_text().split()[1])
    except OSError:
        return None
    ticks = int(fields[11]) + int(fields[12])
    return Cost(cpu_s=ticks / os.sysconf("SC_CLK_TCK"), memory=pages * os.sysconf("SC_PAGE_SIZE"))


@contextmanager
def upstream_process(*, fault_rate: float = 0.0) -> Iterator[str]:
    """A scripted endpoint; gives its base URL."""
    code = _UPSTREAM.format(rate=fault_rate)
    with _process([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield process.stdout.readline().decode().strip()


@contextmanager
def gateway_process(folder: Path, upstream: str, settings: Mapping[str, object]) -> Iterator[tuple[str, int]]:
    """`modelsat serve` before an endpoint, with shipped cards, a store of its own and no keys.

    Args:
        folder: Where its files go.
        upstream: Base URL of the endpoint.
        settings: Beside the defaults.

    Yields:
        Its base URL, and the process's id.
    """
    shipped = ModelZoo.shipped()
    # Strong and weak, dear and cheap.
    names = shipped.names[:: max(1, len(shipped) // CANDIDATES)][:CANDIDATES]
    ModelZoo((replace(shipped[name], endpoint=upstream), shipped.profile(name)) for name in names).save(
        folder / "zoo.toml"
    )
    port = free_port()
    values = {
        "zoo": "zoo.toml",
        "port": port,
        "store": str(folder / "gateway.db"),
        **settings,
    }
    lines = [f"{name} = {_toml(value)}" for name, value in values.items()]
    (folder / "gateway.toml").write_text(
        "\n".join(['format = "modelsat-gateway/1"', *lines]), encoding="utf-8"
    )
    command = [sys.executable, "-m", "modelsat", "serve", "--config", str(folder / "gateway.toml")]
    with (folder / "log").open("wb") as log, _process(command, stderr=log) as process:
        url = f"http://127.0.0.1:{port}/v1"
        try:
            asyncio.run(wait_for(f"http://127.0.0.1:{port}", "/readyz", process))
        except TimeoutError:
            said = (folder / "log").read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
            raise DataError(f"the gateway did not start: {' '.join(said) or 'it said nothing'}") from None
        yield url, process.pid


@contextmanager
def litellm_process(folder: Path, program: Path, upstream: str) -> Iterator[tuple[str, int]]:
    """LiteLLM's proxy before an endpoint, with one worker.

    Args:
        folder: Where its files go.
        program: Path of `litellm`, in an environment of its own.
        upstream: Base URL of the endpoint.

    Yields:
        Its base URL, and the process's id.
    """
    port = free_port()
    model = {"model": "openai/scripted", "api_base": upstream, "api_key": "none"}
    # JSON is YAML.
    config = json.dumps({"model_list": [{"model_name": "scripted", "litellm_params": model}]})
    (folder / "litellm.yaml").write_text(config, encoding="utf-8")
    command = [
        str(program),
        "--config",
        str(folder / "litellm.yaml"),
        "--port",
        str(port),
        "--num_workers",
        "1",
    ]
    # Without a key, as the gateway is measured; both listen on this machine only.
    keyless = {"LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true"}
    with (
        (folder / "litellm.log").open("wb") as log,
        _process(
            command, stdout=log, stderr=log, environment={**os.environ, **OFFLINE, **keyless}
        ) as process,
    ):
        try:
            asyncio.run(wait_for(f"http://127.0.0.1:{port}", "/health/liveliness", process))
        except TimeoutError:
            raise DataError(f"{program}: LiteLLM's proxy did not start; try it by hand.") from None
        yield f"http://127.0.0.1:{port}/v1", process.pid


async def wait_for(url: str, path: str, process: "subprocess.Popen[bytes]") -> None:
    """Wait until a path answers 200.

    Raises:
        TimeoutError: It never did, or the process ended.
    """
    client = HttpClient(url, timeout_s=5.0)
    try:
        async with asyncio.timeout(_START_S):
            while (await client.get(path)).status != 200:
                if process.poll() is not None:
                    raise TimeoutError
                await asyncio.sleep(0.2)
    finally:
        await client.close()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _process(
    command: Sequence[str],
    *,
    stdout: object = None,
    stderr: object = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(command, stdout=stdout, stderr=stderr, env=environment)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
