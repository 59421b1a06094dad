"""A log with a spoilt line: that line is rejected by its number, and the rest is kept."""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelsat.records.importers import SourceRow, gather
from modelsat.records.importers.embedllm import embedllm_rows
from modelsat.records.importers.llmrouter import llmrouter_rows
from modelsat.records.importers.lm_eval import lm_eval_rows
from modelsat.records.importers.routerbench import routerbench_rows

from .conftest import FIXTURES

Reader = Callable[[Path], Iterator[SourceRow]]
LM_EVAL = FIXTURES / "lm_eval" / "models__tiny-llama-0"
(MULTIPLE_CHOICE,) = LM_EVAL.glob("samples_harbour_mc*")

# Reader, log, lines before the first result, outcomes of a line.
LOGS: dict[str, tuple[Reader, Path, int, int]] = {
    "lm-eval": (lm_eval_rows, MULTIPLE_CHOICE, 0, 1),
    "llmrouter": (llmrouter_rows, FIXTURES / "llmrouter.jsonl", 0, 1),
    "embedllm": (embedllm_rows, FIXTURES / "embedllm.csv", 1, 1),
}
# Bytes that are no UTF-8, no object and no row; no line break and no quotation mark, which would join rows.
garbage = st.binary(min_size=1, max_size=30).map(lambda noise: b"\xf8" + noise.translate(None, b'\r\n"'))


@pytest.mark.parametrize("name", LOGS)
@settings(max_examples=40)
@given(data=st.data())
def test_a_garbled_line_is_rejected_by_its_number_and_the_rest_is_kept(
    name: str, data: st.DataObject
) -> None:
    read, log, header, outcomes_of_a_line = LOGS[name]
    lines = log.read_bytes().splitlines()
    # The copy has no results file beside it, which would name model and shots.
    fixed = {"model": "m", "source": "s"} if name == "lm-eval" else {}
    whole = gather(read(log), fixed=fixed)
    spoilt = data.draw(st.integers(header, len(lines) - 1))
    lines[spoilt] = data.draw(garbage)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / log.name
        copy.write_bytes(b"\n".join(lines) + b"\n")
        result = gather(read(copy), fixed=fixed)
    assert [bad.line for bad in result.rejected] == [spoilt + 1]
    assert len(result.outcomes) == len(whole.outcomes) - outcomes_of_a_line
    assert set(result.outcomes) < set(whole.outcomes)


texts = st.text(alphabet="aé0. \n\ud800", max_size=5)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize("name", ["lm-eval", "llmrouter"])
@settings(max_examples=40)
@given(data=st.data())
def test_whatever_stands_in_a_field_its_line_is_kept_or_rejected(name: str, data: st.DataObject) -> None:
    read, log, _, _ = LOGS[name]
    record = json.loads(log.read_text().splitlines()[0])
    for field in data.draw(st.lists(st.sampled_from(sorted(record)), unique=True, max_size=4)):
        record[field] = data.draw(json_values)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / log.name
        copy.write_text(json.dumps(record) + "\n" + log.read_text().splitlines()[1] + "\n")
        result = gather(read(copy), fixed={"model": "m"})
    assert len(result.outcomes) + len(result.rejected) + len(result.duplicates) == result.rows == 2
    assert all(bad.line == 1 for bad in result.rejected)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("[" * 100_000, "nesting too large"),
        ("1" * 5_000, "a number"),
        ("[1, 2]", "holds a list"),
        ('{"doc_id": 1, "doc": ', "not JSON"),
    ],
    ids=["nesting", "number", "list", "truncated"],
)
def test_hostile_json_is_a_sentence(tmp_path: Path, line: str, reason: str) -> None:
    path = tmp_path / "samples_x.jsonl"
    path.write_text(f"{line}\n{MULTIPLE_CHOICE.read_text()}")
    result = gather(lm_eval_rows(path), fixed={"model": "m"})
    assert [(bad.line, reason in bad.reason) for bad in result.rejected] == [(1, True)]
    assert len(result.outcomes) == 4


def test_a_garbled_cell_of_a_wide_table_costs_its_own_outcome_only(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    shutil.copy(FIXTURES / "routerbench" / "wide.csv", path)
    path.write_text(path.read_text().replace(",0.5,", ",good,"))
    result = gather(routerbench_rows(path))
    (bad,) = result.rejected
    assert "own/captain-70b: score is 'good'" in bad.reason
    assert len(result.outcomes) == 4
