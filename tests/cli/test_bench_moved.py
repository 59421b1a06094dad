"""Commands that have moved out of the package say where they are."""

import pytest
from typer.testing import CliRunner

from modelsat.cli.main import app


@pytest.mark.parametrize(
    ("arguments", "module"),
    [
        (["speed", "--part", "engine", "-o", "speed.json"], "benchmarks.speed"),
        (["engine", "--outcomes", "data"], "benchmarks.onnx_quality"),
        (["exam"], "benchmarks.exam"),
        (["gateway", "--part", "relay"], "benchmarks.gateway"),
        (["students", "--help"], "benchmarks.students"),
    ],
)
def test_a_moved_command_names_its_new_place(arguments: list[str], module: str) -> None:
    result = CliRunner().invoke(app, ["bench", *arguments])
    assert result.exit_code == 1
    assert f"python -m {module}` (same options)" in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_moved_commands_are_not_in_the_help() -> None:
    shown = CliRunner().invoke(app, ["bench", "--help"]).output
    assert "report" in shown
    assert "students" not in shown
