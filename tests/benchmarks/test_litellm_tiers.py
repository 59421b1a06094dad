"""LiteLLM's heuristic router: its process's output is read, and a failing process is one sentence."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks.litellm_tiers import classify
from modelsat.errors import DataError


def interpreter(folder: Path, body: str) -> Path:
    """A program in the place of an interpreter: it is given `-c PROGRAM` and texts on standard input."""
    path = folder / "python"
    path.write_text(f"#!{sys.executable}\n{body}", "utf-8")
    path.chmod(0o755)
    return path


def test_what_the_process_says_is_read_whatever_it_prints_before(tmp_path: Path) -> None:
    answer = {"version": "1.0", "tiers": ["SIMPLE", "COMPLEX"], "seconds": [0.1, 0.2]}
    python = interpreter(
        tmp_path,
        f"import json, sys\nassert json.load(sys.stdin) == ['a', 'b']\nprint('hello')\nprint({json.dumps(answer)!r})",
    )
    found = classify(python, ["a", "b"])
    assert (found.version, found.tiers, found.seconds) == ("1.0", ("SIMPLE", "COMPLEX"), (0.1, 0.2))


def test_an_environment_without_litellm_is_one_sentence(tmp_path: Path) -> None:
    python = interpreter(tmp_path, "raise ModuleNotFoundError(\"No module named 'litellm'\")")
    with pytest.raises(DataError, match="failed: ModuleNotFoundError: No module named 'litellm'"):
        classify(python, ["a"])


def test_a_missing_interpreter_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not run"):
        classify(tmp_path / "nowhere", ["a"])
