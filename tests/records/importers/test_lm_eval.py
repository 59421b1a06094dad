import json
from pathlib import Path

import pytest

from modelsat.errors import DataError
from modelsat.records.importers import gather
from modelsat.records.importers.lm_eval import lm_eval_rows


@pytest.fixture
def results(fixtures: Path) -> Path:
    return fixtures / "lm_eval"


def write(folder: Path, *samples: dict[str, object], task: str = "task") -> Path:
    path = folder / f"samples_{task}_2025-01-01T00-00-00.000000.jsonl"
    path.write_text("".join(json.dumps(sample) + "\n" for sample in samples))
    return path


def sample(**fields: object) -> dict[str, object]:
    return {
        "doc_id": 0,
        "doc": {"question": "What?"},
        "target": "x",
        "arguments": {"gen_args_0": {"arg_0": "Q: What?\nA:", "arg_1": {"until": []}}},
        "filtered_resps": ["y"],
        "filter": "none",
        "metrics": ["exact_match"],
        "exact_match": 0.0,
        **fields,
    }


def test_a_results_folder_gives_every_model_and_task(results: Path) -> None:
    result = gather(lm_eval_rows(results))
    assert result.rejected == ()
    assert {outcome.candidate for outcome in result.outcomes} == {
        "models/tiny-llama-0",
        "models/tiny-llama-1",
    }
    assert {row.dataset for row in result.instructions} == {"harbour_mc", "harbour_sums", "mmlu_pro"}
    assert len(result.instructions) == 10
    assert len(result.outcomes) == 20


def test_the_question_is_the_datasets_own_not_the_prompt(results: Path) -> None:
    instructions = {row.id: row for row in gather(lm_eval_rows(results)).instructions}
    choice = instructions["harbour_mc/0"]
    assert choice.text == "Which rope hoists a sail?\nA. Bow line\nB. Stern line\nC. Spring line\nD. Halyard"
    assert (choice.kind, choice.answer) == ("multiple_choice", "D")
    numeric = instructions["harbour_sums/1"]
    assert (numeric.kind, numeric.answer, numeric.choices) == ("numeric", "20", ())
    pro = instructions["mmlu_pro/90002"]
    assert (pro.task, pro.category, pro.answer) == ("law", "law", "A")
    assert pro.text.startswith("Who pays when a rented crane\nbreaks by fair use?\nA. The owner\nB. ")


def test_the_scores_are_those_that_lm_eval_reports(results: Path) -> None:
    for folder in results.iterdir():
        (report,) = folder.glob("results_*.json")
        expected = json.loads(report.read_text())["results"]["harbour_mc"]
        for metric in ("acc", "acc_norm"):
            outcomes = gather(lm_eval_rows(folder, metric=metric)).outcomes
            scores = [row.score for row in outcomes if row.instruction_id.startswith("harbour_mc/")]
            if metric == "acc":
                assert {row.source for row in outcomes if row.instruction_id.startswith("harbour_mc/")} == {
                    "lm-eval acc 0-shot"
                }
            assert sum(scores) / len(scores) == expected[f"{metric},none"]


def test_one_filter_is_taken_and_the_others_are_reported(results: Path) -> None:
    folder = results / "models__tiny-llama-0"
    first = gather(lm_eval_rows(folder))
    assert dict(first.left_out) == {"filter flexible-extract": 3}
    sums = [row for row in first.outcomes if row.instruction_id.startswith("harbour_sums/")]
    assert {row.source for row in sums} == {"lm-eval exact_match strict-match 0-shot"}
    # What the filter could not read is no answer.
    assert not any(row.parsed for row in sums)
    other = gather(lm_eval_rows(folder, filter_name="flexible-extract"))
    assert other.left_out["filter strict-match"] == 3


def test_the_newest_of_two_runs_counts(tmp_path: Path) -> None:
    for day, score in (("2025-01-01", 0.0), ("2025-02-01", 1.0)):
        path = tmp_path / f"samples_task_{day}T00-00-00.0.jsonl"
        path.write_text(json.dumps(sample(exact_match=score)) + "\n")
    result = gather(lm_eval_rows(tmp_path), fixed={"model": "m"})
    assert [row.score for row in result.outcomes] == [1.0]
    assert [twice.file.name for twice in result.duplicates] == ["samples_task_2025-01-01T00-00-00.0.jsonl"]


def test_a_model_without_results_file_is_named_by_its_folder_or_the_user(tmp_path: Path) -> None:
    named = tmp_path / "org__model-7b"
    named.mkdir()
    assert [row.candidate for row in gather(lm_eval_rows(write(named, sample()))).outcomes] == [
        "org/model-7b"
    ]
    (bad,) = gather(lm_eval_rows(write(tmp_path, sample()))).rejected
    assert "--set candidate=NAME" in bad.reason


@pytest.mark.parametrize(
    ("doc", "text", "choices"),
    [
        ({"passage": "It rained.", "question": "Did it rain?"}, "It rained.\n\nDid it rain?", ()),
        ({"goal": "Dry a rope", "sol1": "Hang it", "sol2": "Eat it"}, "Dry a rope", ("Hang it", "Eat it")),
        ({"question": "Q?", "choices": {"text": ["a", "b"], "label": ["A", "B"]}}, "Q?", ("a", "b")),
        ({"unknown": 1}, "Q: What?\nA:", ()),
        ("not an object", "Q: What?\nA:", ()),
    ],
)
def test_questions_are_found_in_the_shapes_that_datasets_have(
    tmp_path: Path, doc: object, text: str, choices: tuple[str, ...]
) -> None:
    (row,) = gather(lm_eval_rows(write(tmp_path, sample(doc=doc))), fixed={"model": "m"}).instructions
    assert row.text.split("\nA. ")[0] == text
    assert row.choices == choices


def test_options_that_only_the_requests_hold_are_found(tmp_path: Path) -> None:
    requests = {f"gen_args_{at}": {"arg_0": "Q:", "arg_1": f" {option}"} for at, option in enumerate("xyz")}
    made = sample(doc={"text": "Q"}, arguments=requests, target="2", metrics=["acc"], acc=1.0)
    (row,) = gather(lm_eval_rows(write(tmp_path, made)), fixed={"model": "m"}).instructions
    assert (row.choices, row.answer, row.kind) == (("x", "y", "z"), "C", "multiple_choice")


@pytest.mark.parametrize(
    ("fields", "options", "reason"),
    [
        ({}, {"metric": "acc"}, "no metric 'acc'; the sample has exact_match"),
        ({"metrics": ["perplexity"], "perplexity": [1, 2]}, {}, "metric 'perplexity' is [1, 2]"),
        ({"metrics": []}, {}, "no metric in the sample"),
        ({"doc_id": None}, {}, "doc_id is None"),
        ({}, {"text_field": "title"}, "doc has no text 'title'; it has question"),
    ],
)
def test_what_cannot_be_read_says_why(
    tmp_path: Path, fields: dict[str, object], options: dict[str, str], reason: str
) -> None:
    (bad,) = gather(lm_eval_rows(write(tmp_path, sample(**fields)), **options)).rejected
    assert reason in bad.reason


def test_a_prompt_with_shots_is_not_taken_for_the_question(tmp_path: Path) -> None:
    path = write(tmp_path, sample(doc={"unknown": 1}))
    path.with_name("results_2025-01-01T00-00-00.000000.json").write_text(
        json.dumps({"model_name": "m", "n-shot": {"task": 5}})
    )
    (bad,) = gather(lm_eval_rows(path)).rejected
    assert "--text-field" in bad.reason


def test_a_path_without_samples_is_explained(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--log_samples"):
        list(lm_eval_rows(tmp_path))
    with pytest.raises(DataError, match="no such path"):
        list(lm_eval_rows(tmp_path / "nowhere"))
    path = write(tmp_path, sample())
    path.with_name("results_2025-01-01T00-00-00.000000.json").write_text("{")
    with pytest.raises(DataError, match=r"results_.*not JSON"):
        list(lm_eval_rows(path))
