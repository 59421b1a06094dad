"""Re-ranking chooses by outputs: it needs all of them, and nothing else."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelsat.bench.baselines.rerank import Rerank, embedding_relevance
from modelsat.errors import DataError
from modelsat.records.side_tables import read_outputs
from modelsat.types import FloatArray, Instruction
from tests.bench.baselines.small_world import PROFILES, embed

ROWS = [Instruction(id="a", text="law 1"), Instruction(id="b", text="maths 2")]
OUTPUTS = {
    ("a", "coder"): "code 1",
    ("a", "jurist"): "law 3",
    ("a", "mathematician"): "maths 1",
    ("b", "coder"): "code 2",
    ("b", "jurist"): "law 2",
    ("b", "mathematician"): "maths 4",
}


def test_the_output_that_suits_the_instruction_is_chosen() -> None:
    scores = Rerank(OUTPUTS, embedding_relevance(embed)).score(ROWS, PROFILES)
    assert [scores.candidates[at] for at in scores.logits.argmax(axis=1)] == ["jurist", "mathematician"]
    assert ((scores.probabilities > 0) & (scores.probabilities < 1)).all()


def test_any_relevance_serves() -> None:
    def shortest(instructions: Sequence[str], outputs: Sequence[str]) -> FloatArray:
        return np.array([-len(output) for output in outputs], dtype=np.float32)

    scores = Rerank(OUTPUTS, shortest, name="shortest").score(ROWS, PROFILES)
    assert [scores.candidates[at] for at in scores.logits.argmax(axis=1)] == ["jurist", "jurist"]


def test_an_output_that_is_missing_is_named() -> None:
    outputs = {pair: text for pair, text in OUTPUTS.items() if pair != ("b", "jurist")}
    with pytest.raises(DataError, match="1 are missing, the first is that of jurist on b"):
        Rerank(outputs, embedding_relevance(embed)).score(ROWS, PROFILES)


def test_outputs_are_read_from_either_file(tmp_path: Path) -> None:
    rows = [{"model": name, "instruction_id": row, "output": text} for (row, name), text in OUTPUTS.items()]
    assert read_outputs(tmp_path) == {}
    (tmp_path / "outputs.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert read_outputs(tmp_path) == OUTPUTS
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "outputs.parquet")
    (tmp_path / "outputs.jsonl").write_text("broken", encoding="utf-8")
    assert read_outputs(tmp_path) == OUTPUTS


@pytest.mark.parametrize(
    ("line", "fault"),
    [("broken", "outputs.jsonl:1: not JSON"), ('{"model": "a"}', "outputs.jsonl:1: field 'instruction_id'")],
)
def test_a_malformed_line_is_named(tmp_path: Path, line: str, fault: str) -> None:
    (tmp_path / "outputs.jsonl").write_text(line, encoding="utf-8")
    with pytest.raises(DataError, match=fault):
        read_outputs(tmp_path)


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path) -> None:
    (tmp_path / "outputs.parquet").write_bytes(b"broken")
    with pytest.raises(DataError, match=r"outputs\.parquet: not a readable parquet"):
        read_outputs(tmp_path)
