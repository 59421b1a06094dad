"""What the README shows runs as shown."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def test_its_commands_exist() -> None:
    commands = set(re.findall(r"^ +modelsat ([a-z]+)", README, flags=re.MULTILINE))
    listed = subprocess.run(
        [sys.executable, "-m", "modelsat", "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert commands
    for command in commands:
        assert re.search(rf"\b{command}\b", listed), command


def test_its_make_targets_exist() -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"^ +make ([a-z-]+)", README, flags=re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_its_numbers_are_those_of_the_released_result() -> None:
    stale = subprocess.run([sys.executable, REPOSITORY / "scripts" / "results", "--check"], check=False)
    assert stale.returncode == 0, "run scripts/results"


@pytest.mark.slow
def test_its_python_runs(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})
    assert capsys.readouterr().out.strip()
