"""Text files as people have them: with a byte order mark, compressed, in another encoding."""

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from modelsat.errors import DataError
from modelsat.records.files import load_json, packed_hint, read_lines, read_objects, read_text
from modelsat.records.importers import csv_rows, jsonl_rows
from modelsat.records.importers.helm import helm_rows
from modelsat.records.importers.inspect_logs import inspect_rows
from modelsat.records.importers.lm_eval import lm_eval_rows
from modelsat.records.store import OutcomeDirectory

BOM = b"\xef\xbb\xbf"


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(BOM + b"a,b\r\n1,2\r\n")
    assert read_text(path) == "a,b\n1,2\n"
    (row,) = csv_rows(path)
    assert row.values == {"a": "1", "b": "2"}
    path.write_bytes(BOM + b'{"a": 1}\r\n\r\n{"a": 2}\r\n')
    assert [value for _, value, _ in read_lines(path)] == [{"a": 1}, {"a": 2}]
    assert [row.values for row in jsonl_rows(path)] == [{"a": 1}, {"a": 2}]
    assert load_json("\ufeff[1]", "x") == [1]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (gzip.compress(b"a,b\n"), "is compressed with gzip; unpack it with gunzip"),
        (b"PK\x03\x04...", "is a zip archive or an Excel workbook; unpack it, or save the sheet as CSV"),
        (b"\x28\xb5\x2f\xfd...", "is compressed with zstd"),
        (b"\xfd7zXZ\x00...", "is compressed with xz"),
        (b"PAR1...", "is a parquet file"),
        ("a,b\n".encode("utf-16"), "is in UTF-16; save it as UTF-8"),
        ("\ufeffa,b\n".encode("utf-16-be"), "is in UTF-16; save it as UTF-8"),
    ],
)
def test_what_is_no_text_is_named_as_what_it_is(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "results"
    path.write_bytes(content)
    for read in (read_text, lambda path: list(csv_rows(path)), lambda path: list(jsonl_rows(path))):
        with pytest.raises(DataError) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path}: {words}")


@pytest.mark.parametrize(
    ("read", "name"),
    [
        (OutcomeDirectory.load, "instructions.jsonl.gz"),
        (lambda folder: list(lm_eval_rows(folder)), "models/samples_x_2026-01-01T00-00-00.jsonl.zst"),
        (lambda folder: list(helm_rows(folder)), "run/per_instance_stats.json.gz"),
        (lambda folder: list(inspect_rows(folder)), "2026-01-01T00-00-00_x.json.xz"),
    ],
)
def test_a_folder_whose_logs_are_compressed_says_so(
    read: Callable[[Path], object], name: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"")
    with pytest.raises(DataError, match=re.escape(f"({name} is compressed: unpack it)")):
        read(tmp_path)
    path.unlink()
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert "compressed" not in str(caught.value)


def test_objects_are_read_line_by_line_and_a_bad_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"text": "a\u2028b"}, ensure_ascii=False) + "\n\n[1]\n", encoding="utf-8")
    rows = read_objects(path)
    assert next(rows) == (f"{path}:1", {"text": "a\u2028b"})
    with pytest.raises(DataError, match=r"rows.jsonl:3: holds a list; expected one JSON object per line"):
        next(rows)
    for line, fault in ((b"\xf8", "not UTF-8"), (b"1" * 5000, "number or nesting"), (b"{", "not JSON")):
        path.write_bytes(line)
        with pytest.raises(DataError, match=rf"rows.jsonl:1: .*{fault}"):
            list(read_objects(path))


def test_a_hint_is_given_of_what_is_looked_for_only(tmp_path: Path) -> None:
    (tmp_path / "other.jsonl.gz").write_bytes(b"")
    assert packed_hint(tmp_path, re.compile("rows.jsonl")) == ""
