"""Long work shows that it goes on: bars on a terminal, a line elsewhere, nothing for what takes a moment."""

import os
import pty
import subprocess
import sys

import pytest

from modelsat.cli import output

WORK = """
import time
from modelsat.cli import output

output.MOMENT_S = 0.01
with output.progress_bars(lines={lines}) as advance:
    for done in range(1, 6):
        advance("Building: part %d" % done, done, 5)
        time.sleep(0.02)
"""


def test_on_a_pipe_a_long_step_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "MOMENT_S", -1.0)
    with output.progress_bars() as advance:
        for step in ("Reading", "Building: more", "Building: less", "Reading"):
            advance(step, 1, 2)
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "Reading ...\nBuilding ...\n")


def test_on_a_pipe_a_short_step_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with output.progress_bars() as advance:
        advance("Reading", 1, 2)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("lines", [False, True])
def test_on_a_terminal_there_are_bars_unless_lines_are_wanted(lines: bool) -> None:
    ours, theirs = pty.openpty()
    subprocess.run([sys.executable, "-c", WORK.format(lines=lines)], stderr=theirs, check=True)
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 4096):
            shown += part
    except OSError:
        # What the terminal says at its end.
        pass
    os.close(ours)
    assert (b"5/5" in shown) is not lines
    assert (b"Building ..." in shown) is lines
