"""The examples run as they are, and print what they promise."""

import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY

pytestmark = pytest.mark.slow


def run(name: str) -> str:
    script = REPOSITORY / "examples" / name
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_text_is_routed_by_quality_and_by_price() -> None:
    lines = run("route_text.py").splitlines()
    chosen = [line for line in lines if not line.startswith("  - ")]
    assert [line.split(":")[0] for line in chosen] == ["best", "cheapest-above=0.6"]
    assert len(lines) > len(chosen)


def test_a_candidate_from_a_csv_is_routed_to_at_once() -> None:
    lines = run("add_candidate.py").splitlines()
    assert [line.split(" (")[0] for line in lines[:3]] == [
        "refunds: 88% of 8",
        "sql: 25% of 8",
        "writing: 75% of 8",
    ]
    assert all("our-model" in line for line in lines[3:])


def test_an_exam_of_our_own_decides_where_it_speaks() -> None:
    keywords, *requests = run("own_exam/route.py").split("\n\n")
    assert len(keywords.splitlines()) == 4
    first = [request.splitlines()[1].split(" ")[0] for request in requests]
    assert first[0] == "our-sql-7b"
    assert first[2] == "Meta-Llama-3.1-70B-Instruct"
    # What was asked is matched with the task that it is about.
    assert "shop-sql: our schema" in requests[0].splitlines()[2]
    assert "shop-sql" not in requests[2]
