import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modelsat.capability.aptitude import AptitudeTest
from modelsat.capability.grading import exam_table, grade
from modelsat.capability.zoo import ModelZoo
from modelsat.cli.imports import app
from modelsat.records.store import OutcomeDirectory, read_instructions, read_outcomes

runner = CliRunner()
FIXTURES = Path(__file__).parent.parent / "records" / "fixtures"
CSV = "llm,question,ok\na,What?,1\nb,What?,0\na,What?,1\nb,Why?,9\n"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    path = tmp_path / "results.csv"
    path.write_text(CSV)
    return path


def _arguments(results: Path, output: Path) -> list[str]:
    maps = ["candidate=llm", "text=question", "score=ok"]
    return ["csv", str(results), "-o", str(output), *(part for pair in maps for part in ("--map", pair))]


def test_bad_rows_stop_the_import_and_are_named(results: Path, tmp_path: Path) -> None:
    result = runner.invoke(app, _arguments(results, tmp_path / "out"))
    assert result.exit_code == 1
    assert "results.csv:5: " in result.stderr
    assert "1 of 4 rows cannot be read; nothing was written" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_the_rest_is_imported_on_request_with_counts(results: Path, tmp_path: Path, ending: str) -> None:
    output = tmp_path / "out"
    result = runner.invoke(app, [*_arguments(results, output), "--skip-bad", "--json", "--format", ending])
    report = json.loads(result.stdout)
    assert (report["rows"], report["instructions"], report["outcomes"]) == (4, 1, 2)
    assert [(row["line"], row["candidate"], row["known_before"]) for row in report["duplicates"]] == [
        (4, "a", False)
    ]
    assert [(row["file"], row["line"]) for row in report["rejected"]] == [(str(results), 5)]
    assert report["candidates"]["a"] == {"outcomes": 1, "mean_score": 1.0}
    assert len(OutcomeDirectory.load(output).outcomes) == 2
    again = runner.invoke(app, [*_arguments(results, output), "--skip-bad", "--format", ending])
    assert "mean score" in again.stdout
    assert f"results.csv:2: a has an outcome on {report_id(output)} already in {output}" in again.stderr
    assert "in all 1 instructions, 2 outcomes" in again.stderr


def report_id(folder: Path) -> str:
    return OutcomeDirectory.load(folder).instructions[0].id


def test_several_imports_into_one_folder_add_up(results: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    assert runner.invoke(app, [*_arguments(results, output), "--skip-bad"]).exit_code == 0
    results.write_text("llm,question,ok\na,What?,0\nc,What?,1\nc,Why?,1\n")
    report = json.loads(runner.invoke(app, [*_arguments(results, output), "--json"]).stdout)
    assert report["in_all"] == {"instructions": 2, "outcomes": 4}
    assert (report["instructions"], report["outcomes"]) == (1, 2)
    assert [row["known_before"] for row in report["duplicates"]] == [True]
    assert _score(output, "a") == 1.0
    assert runner.invoke(app, [*_arguments(results, output), "--replace"]).exit_code == 0
    assert _score(output, "a") == 0.0
    assert sorted(path.name for path in output.iterdir()) == ["instructions.parquet", "outcomes.parquet"]


def _score(folder: Path, candidate: str) -> float:
    directory = OutcomeDirectory.load(folder)
    (score,) = [row.score for row in directory.outcomes if row.candidate == candidate]
    return score


def test_a_folder_keeps_its_format(results: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    arguments = [*_arguments(results, output), "--skip-bad"]
    assert runner.invoke(app, [*arguments, "--format", "jsonl"]).exit_code == 0
    other = runner.invoke(app, [*arguments, "--format", "parquet"])
    assert "holds .jsonl files" in other.stderr
    assert runner.invoke(app, arguments).exit_code == 0
    assert (output / "outcomes.jsonl").exists()
    (output / "outcomes.jsonl").write_text("{")
    damaged = runner.invoke(app, arguments)
    assert damaged.exit_code == 1
    assert "outcomes.jsonl:1: not JSON" in damaged.stderr


@pytest.mark.parametrize(
    ("command", "log", "outcomes"),
    [
        ("lm-eval", "lm_eval", 20),
        ("helm", "helm", 3),
        ("routerbench", "routerbench/wide.csv", 5),
        ("embedllm", "embedllm.csv", 4),
        ("llmrouter", "llmrouter.jsonl", 4),
        pytest.param("inspect", "inspect", 10, marks=pytest.mark.slow),
    ],
)
def test_the_fields_own_logs_are_imported(command: str, log: str, outcomes: int, tmp_path: Path) -> None:
    path, output = FIXTURES / log, tmp_path / "out"
    arguments = [command, str(path), "-o", str(output), "--set", "category=harbour", "--json"]
    result = runner.invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["outcomes"] == outcomes
    directory = OutcomeDirectory.load(output)
    assert len(directory.outcomes) == outcomes
    assert {row.category for row in directory.instructions} == {"harbour"}
    nowhere = runner.invoke(app, [command, str(tmp_path / "nowhere"), "-o", str(tmp_path / "none")])
    assert nowhere.exit_code == 1
    assert nowhere.stderr.startswith("error: ")
    assert not (tmp_path / "none").exists()


def test_what_was_left_out_is_said(tmp_path: Path) -> None:
    result = runner.invoke(app, ["lm-eval", str(FIXTURES / "lm_eval"), "-o", str(tmp_path / "out")])
    assert "left out, 6 rows: filter flexible-extract" in result.stderr
    (sums,) = (FIXTURES / "lm_eval" / "models__tiny-llama-0").glob("samples_harbour_sums*")
    none = runner.invoke(app, ["lm-eval", str(sums), "-o", str(tmp_path / "none"), "--filter", "x"])
    assert none.exit_code == 1
    assert "no outcome was found" in none.stderr
    assert "3 left out: filter strict-match" in none.stderr


def test_a_pickle_is_refused_without_trust(tmp_path: Path) -> None:
    path = tmp_path / "table.pkl"
    path.write_bytes(b"")
    result = runner.invoke(app, ["routerbench", str(path), "-o", str(tmp_path / "out")])
    assert result.exit_code == 1
    assert "--trust-pickle" in result.stderr


def test_jsonl_is_imported_with_one_candidate_for_all(tmp_path: Path) -> None:
    path = tmp_path / "evals.jsonl"
    path.write_text('{"prompt": "What?", "metrics": {"acc": 0.5}}\n')
    arguments = [
        "jsonl",
        str(path),
        "-o",
        str(tmp_path / "out"),
        "--map",
        "text=prompt",
        "--map",
        "score=metrics.acc",
    ]
    assert runner.invoke(app, [*arguments, "--set", "candidate=ours"]).exit_code == 0
    (outcome,) = OutcomeDirectory.load(tmp_path / "out").outcomes
    assert (outcome.candidate, outcome.score) == ("ours", 0.5)


def test_many_bad_rows_are_summed_up(tmp_path: Path) -> None:
    path = tmp_path / "evals.jsonl"
    path.write_text("x\n" * 30)
    result = runner.invoke(app, ["jsonl", str(path), "-o", str(tmp_path / "out")])
    assert "and 20 more" in result.stderr
    assert (
        "no outcome was found"
        in runner.invoke(app, ["jsonl", str(path), "-o", str(tmp_path / "out"), "--skip-bad"]).stderr
    )


@pytest.mark.parametrize(
    ("option", "fault"),
    [
        (["--map", "score"], "expected FIELD=COLUMN"),
        (["--set", "=x"], "expected FIELD=VALUE"),
        (["--map", "score=again"], "names the field 'score' twice"),
        (["--map", "grade=ok"], "unknown field 'grade'"),
        (["--format", "xml"], "expected parquet or jsonl"),
        (["--delimiter", "ab"], "expected one character"),
    ],
)
def test_malformed_options_are_explained(
    results: Path, tmp_path: Path, option: list[str], fault: str
) -> None:
    result = runner.invoke(app, [*_arguments(results, tmp_path / "out"), *option])
    assert result.exit_code == 1
    assert fault in result.stderr


@pytest.mark.slow
def test_a_log_of_mmlu_pro_makes_the_shipped_card_again(outcome_data: Path, tmp_path: Path) -> None:
    exam = AptitudeTest.shipped()
    name = "Phi-3-mini-4k-instruct"
    texts = {row.id: row for row in read_instructions(outcome_data / "instructions.parquet")}
    wanted = {item.id for item in exam.items}
    scores = {
        row.instruction_id: row.score
        for row in read_outcomes(outcome_data / "outcomes.parquet")
        if row.candidate == name and row.instruction_id in wanted
    }
    log = tmp_path / "results" / "samples_mmlu_pro_all_2025-01-01T00-00-00.0.jsonl"
    log.parent.mkdir()
    with log.open("w") as file:
        for number, (key, score) in enumerate(scores.items()):
            asked = texts[key]
            doc = {
                "question_id": int(key.removeprefix("mmlu_pro/")),
                "question": asked.text.split("\nA. ")[0],
                "options": list(asked.choices),
                "answer": asked.answer,
                "category": asked.category,
            }
            line = {
                "doc_id": number,
                "doc": doc,
                "target": asked.answer,
                "arguments": {},
                "filter": "custom-extract",
            }
            file.write(json.dumps({**line, "metrics": ["exact_match"], "exact_match": score}) + "\n")
    output = tmp_path / "outcomes"
    arguments = ["lm-eval", str(log.parent), "-o", str(output), "--set", f"candidate={name}", "--json"]
    result = runner.invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["rejected"] == []
    directory = OutcomeDirectory.load(output)
    (card,) = grade(exam_table(directory.instructions, directory.outcomes, exam), exam)
    assert card.results == ModelZoo.shipped().profile(name).results
