"""How many cores this process may use: its affinity, and the limits of the control groups that containers set."""

import os
from pathlib import Path

CONTROL_GROUPS = Path("/sys/fs/cgroup")


def usable_cores(groups: Path = CONTROL_GROUPS) -> int:
    """Cores to compute with; more threads than these would only take turns.

    Args:
        groups: Where control groups are told of.
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
