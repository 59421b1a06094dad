"""The process's environment, which libraries read when they are loaded: no telemetry, and threads within its cores."""

import os
from collections.abc import MutableMapping
from pathlib import Path

# ONNX Runtime, the hub's client (and hf_xet below it), and transformers, which asks the hub to convert what it loads.
_QUIET = {
    "ORT_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DISABLE_SAFETENSORS_CONVERSION": "1",
}
CONTROL_GROUPS = Path("/sys/fs/cgroup")
# Waiting threads sleep at once. Spinning ones take the cores from whoever works, in this process and beside it.
_SLEEP = {
    "GOMP_SPINCOUNT": "0",
    "OMP_WAIT_POLICY": "PASSIVE",
    "KMP_BLOCKTIME": "0",
    "OPENBLAS_THREAD_TIMEOUT": "4",
}
_COUNTS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")


def disable_telemetry() -> None:
    """Keep dependencies from sending anything home, whatever is set; call it before each is imported."""
    os.environ.update(_QUIET)


def settle_threads(environment: MutableMapping[str, str] = os.environ, *, cores: int | None = None) -> None:
    """Configure the thread pools of OpenMP, OpenBLAS, MKL and tokenizers: asleep while there is no work.

    Call it before numpy, scipy or torch is imported. Variables that are set already stay.

    Args:
        environment: Changed in place.
        cores: Threads of each pool; `usable_cores()` by default.
    """
    for name, value in _SLEEP.items():
        environment.setdefault(name, value)
    for name in _COUNTS:
        environment.setdefault(name, str(cores or usable_cores()))


def usable_cores(groups: Path = CONTROL_GROUPS) -> int:
    """Cores that this process may use: its affinity, and the limits of the control groups that containers set.

    Args:
        groups: Root of the control groups' file system.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, _limit(groups) or cores))


def _limit(groups: Path) -> int | None:
    """Whole cores that the process's group may use; None where there is no limit."""
    try:
        if (groups / "cpu.max").exists():
            quota, period = (groups / "cpu.max").read_text("utf-8").split()
        else:
            # The first version of control groups.
            quota, period = (
                (groups / "cpu" / f"cpu.cfs_{name}_us").read_text("utf-8").strip()
                for name in ("quota", "period")
            )
        return max(1, int(quota) // int(period)) if int(quota) > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        # No control groups, or "max".
        return None
