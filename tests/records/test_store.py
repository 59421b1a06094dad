import json
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.errors import DataError
from modelsat.records.outcomes import Outcomes
from modelsat.records.store import (
    OutcomeDirectory,
    read_instructions,
    read_outcomes,
    write_instructions,
    write_outcomes,
)
from modelsat.types import Instruction, Outcome

INSTRUCTIONS = (
    Instruction(
        id="d/1",
        text="Which?\nA. x\nB. y",
        dataset="d",
        task="t",
        category="c",
        choices=("x", "y"),
        answer="A",
    ),
    Instruction(id="d/2", text="Write it.\u2028 Now.", kind="code", images=("a.png", "b.png")),
)
OUTCOMES = (
    Outcome(candidate="m", instruction_id="d/1", score=1.0, output_tokens=12.0, latency_s=0.5, source="s"),
    Outcome(candidate="m", instruction_id="d/2", score=0.25, parsed=False),
)


@pytest.mark.parametrize("ending", [".parquet", ".jsonl"])
def test_what_is_written_is_read_back(tmp_path: Path, ending: str) -> None:
    OutcomeDirectory.save(tmp_path, INSTRUCTIONS, OUTCOMES, ending=ending)
    directory = OutcomeDirectory.load(tmp_path)
    assert directory.instructions == INSTRUCTIONS
    assert tuple(directory.outcomes) == OUTCOMES
    assert directory.outcomes[-1] == OUTCOMES[1]
    assert directory.outcomes[:1] == [OUTCOMES[0]]


@given(
    st.lists(
        st.builds(
            Outcome,
            candidate=st.sampled_from(["a", "b"]),
            instruction_id=st.text(min_size=1, max_size=5),
            score=st.floats(0, 1, width=32),
            parsed=st.booleans(),
            output_tokens=st.none() | st.floats(0, 1e6, width=32),
            source=st.sampled_from(["", "s"]),
        ),
        max_size=10,
    )
)
def test_columns_keep_every_outcome(outcomes: list[Outcome]) -> None:
    assert list(Outcomes.of(outcomes)) == outcomes


def test_a_bad_line_is_named_with_its_value(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.jsonl"
    path.write_text(
        '{"model": "m", "instruction_id": "1", "score": 1}\n'
        '{"model": "m", "instruction_id": "1", "score": 2}\n'
    )
    with pytest.raises(DataError, match=r"outcomes\.jsonl:2: score is 2; expected a number from 0 to 1"):
        read_outcomes(path)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('{"instruction_id": "1"', "not JSON"),
        ("[1]", "holds a list"),
        ('{"instruction_id": "", "text": "x"}', "instruction_id is missing"),
        ('{"instruction_id": "1", "text": 3}', "text is 3; expected text"),
        ('{"instruction_id": "1", "text": "x", "kind": "essay"}', "kind is 'essay'"),
        ('{"instruction_id": "1", "text": "x", "choices": "ab"}', "expected a list of texts"),
    ],
)
def test_a_bad_instruction_says_what_is_wrong(tmp_path: Path, line: str, fault: str) -> None:
    path = tmp_path / "instructions.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(DataError, match=rf"instructions\.jsonl:1: .*{fault}"):
        read_instructions(path)


def test_an_id_that_appears_twice_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "instructions.jsonl"
    write_instructions(path, [INSTRUCTIONS[0], INSTRUCTIONS[0]])
    with pytest.raises(DataError, match="'d/1' appears twice"):
        read_instructions(path)


def test_a_score_out_of_range_in_parquet_is_named_by_row(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.parquet"
    pq.write_table(pa.table({"model": ["m", "m"], "instruction_id": ["1", "2"], "score": [0.5, 1.5]}), path)
    with pytest.raises(DataError, match=r"row 1: score is 1\.5"):
        read_outcomes(path)


def test_a_missing_score_in_parquet_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.parquet"
    pq.write_table(
        pa.table({"model": ["m"], "instruction_id": ["1"], "score": pa.array([None], pa.float32())}), path
    )
    with pytest.raises(DataError, match="row 0: score is nan"):
        read_outcomes(path)


def test_optional_columns_may_be_absent(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.parquet"
    pq.write_table(pa.table({"model": ["m"], "instruction_id": ["1"], "score": [1.0]}), path)
    assert list(read_outcomes(path)) == [Outcome(candidate="m", instruction_id="1", score=1.0)]


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.parquet"
    pq.write_table(pa.table({"candidate": ["m"], "instruction_id": ["1"], "score": [1.0]}), path)
    with pytest.raises(DataError, match="column 'model' is missing"):
        read_outcomes(path)


def test_an_image_reference_of_older_files_is_read(tmp_path: Path) -> None:
    path = tmp_path / "instructions.jsonl"
    path.write_text(json.dumps({"instruction_id": "1", "text": "x", "src": "image:a.png"}) + "\n")
    assert read_instructions(path)[0].images == ("a.png",)


def test_folders_that_are_no_outcomes_directory_are_explained(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        OutcomeDirectory.load(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"no instructions\.parquet"):
        OutcomeDirectory.load(tmp_path)
    write_instructions(tmp_path / "instructions.jsonl", INSTRUCTIONS)
    write_outcomes(tmp_path / "outcomes.jsonl", [Outcome(candidate="m", instruction_id="other", score=1.0)])
    with pytest.raises(DataError, match="'other'"):
        OutcomeDirectory.load(tmp_path)
    write_instructions(tmp_path / "instructions.parquet", INSTRUCTIONS)
    with pytest.raises(DataError, match="both"):
        OutcomeDirectory.load(tmp_path)


def test_damaged_and_misnamed_files_are_explained(tmp_path: Path) -> None:
    (tmp_path / "outcomes.parquet").write_bytes(b"no parquet")
    with pytest.raises(DataError, match="not a readable parquet file"):
        read_outcomes(tmp_path / "outcomes.parquet")
    with pytest.raises(DataError, match=r"expected \.parquet or \.jsonl"):
        read_outcomes(tmp_path / "outcomes.csv")
    (tmp_path / "outcomes.jsonl").write_bytes(b"\xff")
    with pytest.raises(DataError, match="not UTF-8"):
        read_outcomes(tmp_path / "outcomes.jsonl")


@pytest.mark.slow
def test_forty_thousand_instructions_load_in_seconds(outcome_data: Path) -> None:
    started = time.perf_counter()
    directory = OutcomeDirectory.load(outcome_data)
    assert time.perf_counter() - started < 10
    assert len(directory.outcomes) > 600_000
    assert np.isfinite(directory.outcomes.scores).all()
