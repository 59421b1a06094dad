"""Cost of fresh processes: the command line's help, a first route, and a gateway until it routes."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.gateway_process import cost_of, gateway_process
from benchmarks.http_load import HttpClient
from benchmarks.measure import Measure
from benchmarks.texts import TEXTS, text_of

# A user's first route: a fresh interpreter, all imports, its graphs from the cache.
_FIRST_ROUTE = """
from pathlib import Path
from modelsat import Router
Router.load().route("Which vitamin does sunlight give?")
status = Path("/proc/self/status")
if status.exists():
    # Of this process alone; getrusage may report its parent's.
    print(next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM")))
else:
    import resource, sys
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(peak // 1024 if sys.platform == "darwin" else peak)
"""
_HELP = "from modelsat.cli.main import app; app()"
# Requests before memory is read; long ones, in batches, so that all buffers have grown.
_ROUTED = 16
# Bars by the router of a gateway.
_MEMORY_MB = {"accurate": 600.0, "fast": 350.0}


def measure_processes(repeats: int) -> list[Measure]:
    """Times and memory of fresh processes.

    Args:
        repeats: Runs of each; at most three of the long ones.
    """
    # The first one fills the disk's cache, and builds the graphs on a new machine.
    _run(_FIRST_ROUTE)
    first = [_run(_FIRST_ROUTE) for _ in range(min(repeats, 3))]
    helped = [_run(_HELP, "--help") for _ in range(repeats)]
    peak = max(int(run.output.split()[-1]) for run in first) / 2**20
    return [
        Measure(
            name="modelsat --help",
            value=median(run.seconds for run in helped),
            unit="s",
            bar=0.5,
            note=f"fresh process, {median(run.cpu_s for run in helped):.2f} s of CPU",
        ),
        Measure(
            name="first route",
            value=median(run.seconds for run in first),
            unit="s",
            bar=6.0,
            note=f"fresh process, graphs in the cache, {median(run.cpu_s for run in first):.1f} s of CPU",
        ),
        Measure(name="peak memory", value=peak, unit="GB", bar=1.5, note="of that process"),
        *(
            measure
            for router, bar in _MEMORY_MB.items()
            for measure in _serving(router, bar, min(repeats, 3))
        ),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """A process that has ended; CPU seconds, of all its threads, are about the same on a busy machine."""

    seconds: float
    cpu_s: float
    output: str


def _run(code: str, *arguments: str) -> _Run:
    before, start = os.times(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    seconds, after = time.perf_counter() - start, os.times()
    cpu = (after.children_user + after.children_system) - (before.children_user + before.children_system)
    return _Run(seconds=seconds, cpu_s=cpu, output=done.stdout)


def _serving(router: str, bar: float, repeats: int) -> list[Measure]:
    """A gateway from its start until it is ready to route, and its memory once it has routed."""
    settings = {"router": router, "route_timeout_ms": 60_000}
    seconds, cpu, memory, torch = [], [], [], False
    for _ in range(repeats):
        with tempfile.TemporaryDirectory(prefix="modelsat-gateway-") as folder:
            start = time.perf_counter()
            # Nobody listens there: the requests are for decisions only.
            with gateway_process(Path(folder), "http://127.0.0.1:9/v1", settings) as (url, pid):
                seconds.append(time.perf_counter() - start)
                ready = cost_of(pid)
                asyncio.run(_route_some(url))
                used = cost_of(pid)
                if ready is not None and used is not None:
                    cpu.append(ready.cpu_s)
                    memory.append(used.memory)
                    torch |= "libtorch" in (Path("/proc") / str(pid) / "maps").read_text()
    spent = f", {median(cpu):.1f} s of CPU" if cpu else ""
    measures = [
        Measure(
            name=f"gateway's cold start, router {router}",
            value=median(seconds),
            unit="s",
            bar=3.0,
            note=f"fresh process until it can route, graphs in the cache{spent}",
        )
    ]
    if memory:
        note = f"after {_ROUTED} long requests, {'with torch' if torch else 'no torch'} in the process"
        measures.append(
            Measure(
                name=f"gateway's resident memory, router {router}",
                value=max(memory) / 1e6,
                unit="MB",
                bar=bar,
                note=note,
            )
        )
    return measures


async def _route_some(url: str) -> None:
    texts = [*TEXTS, *(text_of(500, number=number) for number in range(_ROUTED))]
    async with HttpClient(url) as client:
        await asyncio.gather(*(client.post("/route", json.dumps({"text": text}).encode()) for text in texts))
