"""Timing in turns, which a machine of changing speed distorts little, and a description of the machine."""

import os
import platform
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

from modelsat.environment import usable_cores


def interleaved(calls: Sequence[Callable[[], object]], *, repeats: int) -> list[float]:
    """Median seconds of each call, run in turns so that a machine that slows down slows all of them.

    Args:
        calls: Functions to time; each is run once before, untimed.
        repeats: Timed runs of each.
    """
    for call in calls:
        call()
    seconds: list[list[float]] = [[] for _ in calls]
    for _ in range(repeats):
        for taken, call in zip(seconds, calls, strict=True):
            start = time.perf_counter()
            call()
            taken.append(time.perf_counter() - start)
    return [median(taken) for taken in seconds]


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Versions of Python and of some packages; one that is not installed is left out."""
    found = {"python": platform.python_version()}
    for package in packages:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def machine() -> dict[str, str]:
    """Description of this machine, with its load."""
    cpuinfo = Path("/proc/cpuinfo")
    names = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    model = next((line.split(":", 1)[1].strip() for line in names if line.startswith("model name")), "")
    return {
        "processor": model or platform.processor() or platform.machine(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": str(os.cpu_count()),
        "threads": str(usable_cores()),
        "load": f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown",
    }
