"""Threads follow the limits that the process is under."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from modelsat.threads import settle_threads, usable_cores


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)


@pytest.mark.parametrize(
    ("written", "cores"),
    [
        ("max 100000", 8),
        ("250000 100000", 2),
        ("50000 100000", 1),
        ("1600000 100000", 8),
        ("nonsense", 8),
        ("1 0", 8),
    ],
)
def test_a_container_is_kept_to(tmp_path: Path, written: str, cores: int) -> None:
    (tmp_path / "cpu.max").write_text(written + "\n")
    assert usable_cores(tmp_path) == cores


@pytest.mark.parametrize(("quota", "cores"), [("-1", 8), ("300000", 3)])
def test_an_older_container_is_kept_to(tmp_path: Path, quota: str, cores: int) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota + "\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert usable_cores(tmp_path) == cores


def test_without_control_groups_all_cores_are_used(tmp_path: Path) -> None:
    assert usable_cores(tmp_path) == 8


def test_waiting_threads_sleep_and_what_is_set_stays() -> None:
    environment = {"OMP_NUM_THREADS": "1", "GOMP_SPINCOUNT": "7"}
    settle_threads(environment, cores=3)
    assert environment["GOMP_SPINCOUNT"] == "7"
    assert environment["OMP_WAIT_POLICY"] == "PASSIVE"
    assert (environment["OMP_NUM_THREADS"], environment["OPENBLAS_NUM_THREADS"]) == ("1", "3")


def test_the_command_line_settles_threads_before_it_computes() -> None:
    code = (
        "import sys, os; import modelsat.cli.main; "
        "assert os.environ['GOMP_SPINCOUNT'] == '0'; assert not {'numpy', 'torch'} & set(sys.modules)"
    )
    environment = {"PATH": "", "PYTHONPATH": ":".join(sys.path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
