"""A gateway, or LiteLLM's proxy, as a process of its own, and what it costs: CPU seconds and memory."""

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

import tomlkit

from benchmarks.http_load import HttpClient
from benchmarks.litellm_tiers import OFFLINE
from modelsat.capability.zoo import ModelZoo
from modelsat.errors import DataError

CANDIDATES = 3
_START_S = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessCost:
    """CPU time and memory of a process.

    Attributes:
        cpu_s: CPU seconds of all its threads.
        memory: Resident bytes now.
    """

    cpu_s: float
    memory: int


def cost_of(pid: int) -> ProcessCost | None:
    """Usage of a process so far; None without /proc (it is Linux's)."""
    folder = Path("/proc") / str(pid)
    try:
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        pages = int((folder / "statm").read_text().split()[1])
    except OSError:
        return None
    ticks = int(fields[11]) + int(fields[12])
    return ProcessCost(cpu_s=ticks / os.sysconf("SC_CLK_TCK"), memory=pages * os.sysconf("SC_PAGE_SIZE"))


@contextmanager
def gateway_process(folder: Path, upstream: str, settings: Mapping[str, object]) -> Iterator[tuple[str, int]]:
    """`modelsat serve` in front of an endpoint, with shipped cards, a store of its own and no keys.

    Args:
        folder: For its files.
        upstream: Base URL of the endpoint.
        settings: Settings that differ from the defaults.

    Yields:
        Its base URL and the process's id.

    Raises:
        DataError: It does not start.
    """
    shipped = ModelZoo.shipped()
    # Strong and weak, expensive and cheap.
    names = shipped.names[:: max(1, len(shipped) // CANDIDATES)][:CANDIDATES]
    ModelZoo((replace(shipped[name], endpoint=upstream), shipped.profile(name)) for name in names).save(
        folder / "zoo.toml"
    )
    port = free_port()
    values = {"zoo": "zoo.toml", "port": port, "store": str(folder / "gateway.db"), **settings}
    config = folder / "gateway.toml"
    config.write_text(tomlkit.dumps({"format": "modelsat-gateway/1", **values}), encoding="utf-8")
    command = [sys.executable, "-m", "modelsat", "serve", "--config", str(config)]
    with _process(command, log=folder / "log") as process:
        if not asyncio.run(_answers(f"http://127.0.0.1:{port}/readyz", process)):
            last = (folder / "log").read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
            raise DataError(f"the gateway did not start: {' '.join(last) or 'no message'}")
        yield f"http://127.0.0.1:{port}/v1", process.pid


@contextmanager
def litellm_process(folder: Path, program: Path, upstream: str) -> Iterator[tuple[str, int]]:
    """LiteLLM's proxy in front of an endpoint, with one worker.

    Args:
        folder: For its files.
        program: Path of `litellm`, in an environment of its own.
        upstream: Base URL of the endpoint.

    Yields:
        Its base URL and the process's id.

    Raises:
        DataError: It does not start.
    """
    port = free_port()
    model = {"model": "openai/scripted", "api_base": upstream, "api_key": "none"}
    config = folder / "litellm.yaml"
    # JSON is YAML.
    config.write_text(
        json.dumps({"model_list": [{"model_name": "scripted", "litellm_params": model}]}), encoding="utf-8"
    )
    command = [str(program), "--config", str(config), "--port", str(port), "--num_workers", "1"]
    # Without a key, like the gateway; both listen on this machine only.
    keyless = {"LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true"}
    with _process(command, log=folder / "litellm.log", environment={**OFFLINE, **keyless}) as process:
        if not asyncio.run(_answers(f"http://127.0.0.1:{port}/health/liveliness", process)):
            raise DataError(f"{program}: LiteLLM's proxy did not start; try it by hand.")
        yield f"http://127.0.0.1:{port}/v1", process.pid


async def _answers(url: str, process: "subprocess.Popen[bytes]") -> bool:
    """Wait until a URL answers 200; False if it never does, or the process ends."""
    async with HttpClient(url, timeout_s=5.0) as client:
        for _ in range(int(_START_S / 0.2)):
            if (await client.get("")).status == 200:
                return True
            if process.poll() is not None:
                return False
            await asyncio.sleep(0.2)
    return False


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _process(
    command: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=file, env={**os.environ, **(environment or {})}
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
