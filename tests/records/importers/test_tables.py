"""The routers' own tables: RouterBench, EmbedLLM, LLMRouter."""

import pickle
from pathlib import Path

import pandas
import pytest

from modelsat.errors import DataError
from modelsat.records.importers import gather
from modelsat.records.importers.embedllm import embedllm_rows
from modelsat.records.importers.llmrouter import llmrouter_rows
from modelsat.records.importers.routerbench import routerbench_rows


def test_every_cell_of_a_wide_table_is_an_outcome(fixtures: Path) -> None:
    result = gather(routerbench_rows(fixtures / "routerbench" / "wide.csv"))
    assert result.rejected == ()
    assert dict(result.left_out) == {"no score": 1}
    scores = {(row.candidate, row.instruction_id): row.score for row in result.outcomes}
    assert scores == {
        ("own/deckhand-7b", "knots/knots.test.1"): 1.0,
        ("own/captain-70b", "knots/knots.test.1"): 1.0,
        ("own/deckhand-7b", "knots/knots.test.2"): 0.0,
        ("own/captain-70b", "knots/knots.test.2"): 0.5,
        ("own/captain-70b", "letters/letters.test.1"): 1.0,
    }
    # The prompt's list of messages is text again.
    assert result.instructions[0].text.startswith(
        "Answer with one letter.\n\nWhich knot joins two ropes?\nA) "
    )


def test_a_pickle_is_read_on_trust_only(fixtures: Path, tmp_path: Path) -> None:
    csv = fixtures / "routerbench" / "wide.csv"
    path = tmp_path / "wide.pkl"
    pandas.read_csv(csv).to_pickle(path)
    with pytest.raises(DataError, match="--trust-pickle"):
        list(routerbench_rows(path))
    trusted = gather(routerbench_rows(path, trust_pickle=True))
    plain = gather(routerbench_rows(csv))
    assert trusted.outcomes == plain.outcomes
    assert trusted.instructions == plain.instructions


@pytest.mark.parametrize(
    ("content", "fault"),
    [(b"junk", "not a readable pickle"), (pickle.dumps([1]), "holds a list"), (None, "no such file")],
)
def test_a_pickle_that_is_no_table_is_explained(tmp_path: Path, content: bytes | None, fault: str) -> None:
    path = tmp_path / "wide.pkl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=fault):
        list(routerbench_rows(path, trust_pickle=True))


def test_embedllm_is_read_by_its_columns(fixtures: Path) -> None:
    result = gather(embedllm_rows(fixtures / "embedllm.csv"))
    assert [(row.id, row.task) for row in result.instructions] == [
        ("embedllm/0", "knots"),
        ("embedllm/1", "weather"),
    ]
    assert {(row.candidate, row.instruction_id, row.score) for row in result.outcomes} == {
        ("own/deckhand-7b", "embedllm/0", 0.0),
        ("own/captain-70b", "embedllm/0", 1.0),
        ("own/deckhand-7b", "embedllm/1", 1.0),
        ("own/captain-70b", "embedllm/1", 1.0),
    }


def test_embedllm_without_names_goes_by_the_models_numbers(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text("prompt_id,model_id,label,prompt,category\n3,7,1,What?,x\n3,8,2,What?,x\n,8,1,What?,x\n")
    result = gather(embedllm_rows(path))
    assert [(row.candidate, row.score) for row in result.outcomes] == [("7", 1.0)]
    assert [(bad.line, bad.reason) for bad in result.rejected] == [
        (3, "label is '2'; expected 0 or 1"),
        (4, "prompt_id is missing"),
    ]


def test_llmrouter_is_read_by_its_fields(fixtures: Path) -> None:
    result = gather(llmrouter_rows(fixtures / "llmrouter.jsonl"))
    assert result.rejected == ()
    assert len(result.instructions) == 2
    knot = next(row for row in result.instructions if row.task == "knots")
    assert (knot.choices, knot.answer) == (("Reef knot", "Clove hitch"), "A")
    sums = next(row for row in result.instructions if row.task == "sums")
    assert (sums.kind, sums.answer) == ("numeric", "5")
    first = result.outcomes[0]
    assert (first.candidate, first.score, first.output_tokens, first.latency_s, first.source) == (
        "deckhand-7b",
        0.0,
        3.0,
        0.5,
        "llmrouter em_mc",
    )


def test_other_tables_are_explained(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="column 'sample_id' is missing"):
        list(routerbench_rows(path))
    with pytest.raises(DataError, match="column 'prompt_id' is missing; its columns are a, b"):
        list(embedllm_rows(path))
    path.write_text("sample_id,prompt,eval_name,m\n1,What?,x,1\n")
    with pytest.raises(DataError, match="no model has a column"):
        list(routerbench_rows(path))
    lines = tmp_path / "other.jsonl"
    lines.write_text('{"query": "What?"}\n{"query": 3, "model_name": "m", "performance": 1}\n')
    reasons = [bad.reason for bad in gather(llmrouter_rows(lines)).rejected]
    assert "field 'model_name' is missing" in reasons[0]
    assert "query is '3'" in reasons[1]
