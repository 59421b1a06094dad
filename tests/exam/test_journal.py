import errno
import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelsat.errors import DataError
from modelsat.exam.journal import Entry, Journal

HEADER = {"candidate": "ours", "exam_hash": "f" * 16}

# Replies may hold halves of surrogate pairs: JSON escapes can say what UTF-8 cannot.
replies = st.text(st.characters(exclude_categories=()), max_size=40)
counts = st.none() | st.integers(0, 10**6)
entries = st.lists(
    st.builds(
        Entry,
        item=st.text(min_size=1, max_size=5).map(lambda text: f"i/{text}"),
        rotation=st.integers(0, 3),
        text=replies,
        input_tokens=counts,
        output_tokens=counts,
        cut_short=st.booleans(),
        latency_s=st.floats(0, 100),
        cost=st.floats(0, 1),
    ),
    max_size=6,
    unique_by=lambda entry: entry.key,
)
FAST = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def write(path: Path, given_entries: list[Entry]) -> None:
    path.unlink(missing_ok=True)
    with Journal(path, HEADER, resume=False) as journal:
        for entry in given_entries:
            journal.add(entry)


@FAST
@given(entries)
def test_what_is_written_is_read_back(tmp_path: Path, made: list[Entry]) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, made)
    with Journal(path, HEADER, resume=True) as journal:
        assert list(journal.entries.values()) == made
        assert journal.resumed == len(made)
        assert journal.cost == pytest.approx(sum(entry.cost for entry in made))


@FAST
@given(entries, st.data())
def test_cut_off_anywhere_it_keeps_all_whole_lines_and_goes_on(
    tmp_path: Path, made: list[Entry], data: st.DataObject
) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, made)
    content = path.read_bytes()
    kept = data.draw(st.integers(0, len(content)))
    path.write_bytes(content[:kept])
    whole = max(0, content[:kept].count(b"\n") - 1)
    more = Entry(item="more", text="B")
    with Journal(path, HEADER, resume=True) as journal:
        assert list(journal.entries.values()) == made[:whole]
        journal.add(more)
    with Journal(path, HEADER, resume=True) as journal:
        assert list(journal.entries.values()) == [*made[:whole], more]
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_attempts_without_an_answer_cost_money_but_are_no_answers(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path, HEADER, resume=False) as journal:
        journal.add_loss(("i/1", 0), reason="did not answer within 3 s", cost=0.25)
        journal.add(Entry(item="i/2", cost=0.5))
    with Journal(path, HEADER, resume=True) as journal:
        assert journal.cost == 0.75
        assert list(journal.entries) == [("i/2", 0)]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("not JSON", ":3: not JSON"),
        ('{"item": "x", "cost": -1}', ":3: field 'cost' is -1"),
        ('{"item": "x", "txt": "A"}', ":3: unknown field 'txt'"),
        ("[1]", ":3: "),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: str, fault: str) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, [Entry(item="i/1", text="A")])
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(DataError) as error:
        Journal(path, HEADER, resume=True)
    assert fault in str(error.value)


def test_a_file_that_is_no_journal_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.jsonl"
    path.write_text('{"mine": true}\n')
    with pytest.raises(DataError, match="not the journal of an exam"):
        Journal(path, HEADER, resume=True)
    assert path.read_text() == '{"mine": true}\n'


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path, HEADER, resume=False) as journal:

        def full(descriptor: int, data: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(os, "write", full)
            with pytest.raises(DataError, match="No space left on device"):
                journal.add(Entry(item="i/1"))
        assert not journal.entries


def test_lines_reach_the_disk_when_it_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    with Journal(tmp_path / "journal.jsonl", HEADER, resume=False) as journal:
        journal.sync()
        journal.sync()
        assert len(synced) == 1
        journal.add(Entry(item="i/1"))
    assert len(synced) == 2
