"""Tables at every width: words stay whole, and nothing is lost."""

import io
from contextlib import redirect_stdout

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelsat.cli.output import print_table, print_text, share_out

NAMES = ("Meta-Llama-3.1-70B-Instruct", "Mixtral-8x7B-Instruct-v0.1", "[draft] small")
ROWS = [
    (name, "0.767", "1000", "$0.0750", "$0.300", "1,049k", "2026-11-24 stale", "open-weights, 236B, chat")
    for name in NAMES
]
COLUMNS = ("candidate", "level", "shots", "in", "out", "context", "card", "tags")
NUMERIC = ("level", "shots", "in", "out", "context")


@pytest.mark.parametrize("width", [40, 60, 72, 80, 100, 200])
def test_no_row_is_over_the_width_and_no_word_is_broken(
    width: int, capsys: pytest.CaptureFixture[str]
) -> None:
    print_table(COLUMNS, ROWS, title="A zoo of three candidates", numeric=NUMERIC, width=width)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    shown = " ".join(lines).split()
    for row in ROWS:
        for cell in row:
            assert all(any(word in part for part in shown) for word in cell.split()), cell


@settings(max_examples=50)
@given(
    st.integers(20, 120),
    st.lists(
        st.lists(st.from_regex(r"[a-z]{1,12}( [a-z]{1,12}){0,6}", fullmatch=True), min_size=3, max_size=3),
        max_size=4,
    ),
)
def test_every_word_of_a_cell_is_printed_whole(width: int, rows: list[list[str]]) -> None:
    with redirect_stdout(io.StringIO()) as out:
        print_table(("a", "b", "c"), rows, width=width)
    lines = out.getvalue().splitlines()
    assert max(map(len, lines), default=0) <= width
    printed = out.getvalue().replace(";", " ").split()
    assert all(word in printed for row in rows for cell in row for word in cell.split())


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 60)), min_size=1, max_size=6), st.integers(0, 300)
)
def test_room_is_shared_out_up_to_what_each_wants(sizes: list[tuple[int, int]], room: int) -> None:
    least, most = [low for low, _ in sizes], [low + more for low, more in sizes]
    widths = share_out(room, least, most)
    assert all(low <= width <= high for low, width, high in zip(least, widths, most, strict=True))
    assert sum(widths) == max(sum(least), min(room, sum(most)))


def test_control_characters_in_a_cell_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["candidate"], [["a\x1b[31mb\rc\x9b"]])
    assert capsys.readouterr().out.splitlines()[2].rstrip() == r"a\x1b[31mb\rc\x9b"


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_sentences_break_between_words_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    sentence = (
        "- Highest expected value, $0.00812: P(right) 0.85; next Meta-Llama-3.1-70B-Instruct, $0.00802."
    )
    with redirect_stdout(Terminal()) as terminal:
        print_text(f"{sentence}\n{sentence}")
    lines = terminal.getvalue().splitlines()
    assert max(map(len, lines)) <= 40
    assert " ".join(lines) == f"{sentence} {sentence}"
    with redirect_stdout(io.StringIO()) as pipe:
        print_text(sentence)
    assert pipe.getvalue() == f"{sentence}\n"
