from pathlib import Path

import pytest

from modelsat.errors import DataError
from modelsat.records.importers import csv_rows, field_name, import_rows, jsonl_rows


def _csv(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "results.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_rows_under_other_names_become_instructions_and_outcomes(tmp_path: Path) -> None:
    path = _csv(tmp_path, "\ufeffllm,prompt,ok,tokens\na,What?,yes,5\nb,What?,0,\na,Why?,0.5,7\n")
    result = import_rows(
        csv_rows(path),
        columns={"candidate": "llm", "text": "prompt", "score": "ok", "output_tokens": "tokens"},
        constants={"dataset": "support", "source": "ours"},
    )
    assert [row.text for row in result.instructions] == ["What?", "Why?"]
    assert result.instructions[0].id.startswith("support/")
    assert [(row.candidate, row.score, row.output_tokens, row.source) for row in result.outcomes] == [
        ("a", 1.0, 5.0, "ours"),
        ("b", 0.0, None, "ours"),
        ("a", 0.5, 7.0, "ours"),
    ]
    assert (result.rows, result.duplicates, result.rejected) == (3, (), ())


def test_a_repeated_result_is_counted_and_left_out(tmp_path: Path) -> None:
    result = import_rows(csv_rows(_csv(tmp_path, "candidate,text,score\na,What?,1\na,What?,0\n")))
    assert [(row.line, row.candidate) for row in result.duplicates] == [(3, "a")]
    assert [row.score for row in result.outcomes] == [1.0]


def test_rejected_rows_are_named_by_the_line_they_begin_at(tmp_path: Path) -> None:
    path = _csv(
        tmp_path, 'candidate,text,score\na,"two\nlines",1\na,What?,9\na,b\n\n,Who?,1\na,,1\na,How?,maybe\n'
    )
    result = import_rows(csv_rows(path))
    assert [row.line for row in result.rejected] == [4, 5, 7, 8, 9]
    reasons = [row.reason for row in result.rejected]
    assert "score is 9.0" in reasons[0]
    assert "2 cells under 3 columns" in reasons[1]
    assert "--set candidate=NAME" in reasons[2]
    assert "text is missing" in reasons[3]
    assert "'maybe'; expected a number" in reasons[4]
    assert len(result.outcomes) == 1


def test_one_id_with_two_texts_is_rejected(tmp_path: Path) -> None:
    result = import_rows(csv_rows(_csv(tmp_path, "candidate,id,text,score\na,1,What?,1\nb,1,Why?,1\n")))
    assert [row.line for row in result.rejected] == [3]


@pytest.mark.parametrize(
    ("name", "delimiter", "between"),
    [
        ("x.csv", ";", ";"),
        ("x.csv", "tab", "\t"),
        ("x.csv", "\\t", "\t"),
        ("x.tsv", None, "\t"),
        ("x.tsv", ",", ","),
    ],
)
def test_cells_may_be_separated_otherwise(
    tmp_path: Path, name: str, delimiter: str | None, between: str
) -> None:
    path = tmp_path / name
    path.write_text(f"a{between}b\n1{between}2\n", encoding="utf-8")
    (row,) = csv_rows(path, delimiter=delimiter)
    assert row.values == {"a": "1", "b": "2"}


@pytest.mark.parametrize(("between", "shown"), [(";", ";"), ("\t", "tab"), ("|", "|")])
def test_a_header_in_one_piece_says_which_delimiter_to_give(tmp_path: Path, between: str, shown: str) -> None:
    with pytest.raises(DataError, match=f"--delimiter '[{shown}]"):
        list(csv_rows(_csv(tmp_path, f"candidate{between}text\n")))


@pytest.mark.parametrize("delimiter", ['"', "\n", "ab"])
def test_what_cannot_be_a_delimiter_is_refused(tmp_path: Path, delimiter: str) -> None:
    with pytest.raises(DataError, match="expected one character"):
        list(csv_rows(_csv(tmp_path, "a,b\n"), delimiter=delimiter))


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="two columns are called 'score'"):
        list(csv_rows(_csv(tmp_path, "score,text,score,,\n")))


def test_jsonl_reaches_into_nested_objects(tmp_path: Path) -> None:
    path = tmp_path / "evals.jsonl"
    path.write_text(
        '{"id": 7, "q": {"text": "What?"}, "metrics": {"acc": true}, "choices": ["x", "y"]}\n'
        "\n{broken\n3\n"
        '{"id": 8, "q": {}}\n'
    )
    result = import_rows(
        jsonl_rows(path), columns={"text": "q.text", "score": "metrics.acc"}, constants={"candidate": "m"}
    )
    assert result.instructions[0].id == "7"
    assert result.instructions[0].choices == ("x", "y")
    assert result.outcomes[0].score == 1.0
    assert [row.line for row in result.rejected] == [3, 4, 5]
    assert "no column 'q.text'" in result.rejected[2].reason


def test_lists_in_cells_are_json_or_parts_between_bars(tmp_path: Path) -> None:
    path = _csv(tmp_path, 'candidate,text,score,choices\na,1?,1,x | y\na,2?,1,"[""x"", 3]"\na,3?,1,[x\n')
    result = import_rows(csv_rows(path))
    assert [row.choices for row in result.instructions] == [("x", "y"), ("x", "3")]
    assert "not JSON" in result.rejected[0].reason


def test_a_cell_may_hold_a_long_document(tmp_path: Path) -> None:
    result = import_rows(csv_rows(_csv(tmp_path, f"candidate,text,score\na,{'x' * 300_000},1\n")))
    assert len(result.instructions[0].text) == 300_000


def test_unknown_and_doubled_fields_are_errors(tmp_path: Path) -> None:
    assert field_name("candidate") == "model"
    with pytest.raises(DataError, match="unknown field 'grade'"):
        field_name("grade")
    with pytest.raises(DataError, match="both mapped"):
        import_rows([], columns={"score": "ok"}, constants={"score": "1"})


def test_a_file_without_header_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no header"):
        list(csv_rows(_csv(tmp_path, "")))


def test_a_cell_that_is_not_utf8_costs_its_own_row_only(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    path.write_bytes(b"candidate,text,score\na,What?,1\na,caf\xe9?,1\na,Why?,1\n")
    result = import_rows(csv_rows(path))
    assert [(row.line, "not UTF-8" in row.reason) for row in result.rejected] == [(3, True)]
    assert [row.text for row in result.instructions] == ["What?", "Why?"]
