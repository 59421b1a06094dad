"""Threads follow the limits that the process is under, and dependencies send nothing home."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from modelsat.environment import settle_threads, usable_cores


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


@pytest.mark.slow
@pytest.mark.parametrize("router", ["accurate", "fast"])
def test_a_loaded_router_uses_no_processor_while_it_waits(router: str) -> None:
    code = (
        "import modelsat.cli.main, sys, time; from modelsat import Router; router = Router.load(sys.argv[1]); "
        "router.route('Who wrote Faust?'); before = time.process_time(); time.sleep(3); "
        "print(time.process_time() - before)"
    )
    ran = subprocess.run([sys.executable, "-c", code, router], capture_output=True, text=True, check=True)
    assert float(ran.stdout) < 0.1


WATCH = """
import importlib, os, sys
from importlib.abc import MetaPathFinder

VARIABLES = ("ORT_DISABLE_TELEMETRY", "HF_HUB_DISABLE_TELEMETRY", "DISABLE_SAFETENSORS_CONVERSION")

class Watch(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in ("onnxruntime", "huggingface_hub", "transformers"):
            print(name, *(os.environ[variable] for variable in VARIABLES))
            os._exit(sys.stdout.flush() or 0)

os.environ.update(dict.fromkeys(VARIABLES, "0"))
sys.meta_path.insert(0, Watch())
module, function, *arguments = sys.argv[1:]
getattr(importlib.import_module("modelsat." + module), function)(*arguments)
"""


@pytest.mark.parametrize(
    ("library", "call"),
    [
        ("onnxruntime", ["onnx.session", "_import_runtime"]),
        ("transformers", ["network.pretrained", "require_torch"]),
        ("huggingface_hub", ["exam.hub", "fetch_texts", "mmlu_pro"]),
    ],
)
def test_telemetry_is_off_before_a_library_is_loaded_whatever_is_set(library: str, call: list[str]) -> None:
    ran = subprocess.run([sys.executable, "-c", WATCH, *call], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == [library, "1", "1", "1"]
