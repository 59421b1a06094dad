"""Results of MMLU-Pro's own scripts."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from modelsat.capability.aptitude import AptitudeTest
from modelsat.errors import DataError
from modelsat.records.importers import gather
from modelsat.records.importers.mmlu_pro import mmlu_pro_rows, model_of


def record(number: int, **changes: object) -> dict[str, Any]:
    """One entry as evaluate_from_local.py writes it."""
    return {
        "question_id": number,
        "question": f"Which of these is {number}? ",
        "options": [" a boat", "a ship ", "N/A"],
        "answer": "B",
        "answer_index": 1,
        "cot_content": "",
        "category": "law",
        "src": "ori_mmlu-professional_law",
        "pred": "B",
        "model_outputs": "The answer is (B).  ",
        **changes,
    }


def archive(path: Path, members: Mapping[str, object]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, value in members.items():
            file.writestr(name, value if isinstance(value, str) else json.dumps(value))
    return path


def test_a_published_archive_holds_a_models_outcomes(tmp_path: Path) -> None:
    path = archive(
        tmp_path / "model_outputs_Meta-Llama-3_1-8B_5shots.zip",
        {
            "results/law.json": [record(1), record(2, pred="A"), record(3, pred=None)],
            "results/physics.json": [record(4, category="physics", src="stemez-Physics")],
            "__MACOSX/results/._law.json": "no JSON",
            "results/summary.txt": "accuracy",
        },
    )
    result = gather(mmlu_pro_rows(path))
    assert [(row.candidate, row.score, row.parsed, row.output_tokens) for row in result.outcomes] == [
        ("Meta-Llama-3.1-8B", 1.0, True, 5.0),
        ("Meta-Llama-3.1-8B", 0.0, True, 5.0),
        ("Meta-Llama-3.1-8B", 0.0, False, 5.0),
        ("Meta-Llama-3.1-8B", 1.0, True, 5.0),
    ]
    first, *_, last = result.instructions
    assert (first.id, first.task, first.choices) == ("mmlu_pro/1", "professional_law", ("a boat", "a ship"))
    assert first.text == "Which of these is 1?\nA. a boat\nB. a ship"
    assert last.task == "physics:stemez-Physics"
    assert result.rejected == ()


def test_results_of_ones_own_take_the_candidate_that_is_given(tmp_path: Path) -> None:
    (tmp_path / "law.json").write_text(json.dumps([record(1)]))
    (tmp_path / "biology.json").write_text(json.dumps([record(2)]))
    assert len(gather(mmlu_pro_rows(tmp_path)).rejected) == 2
    result = gather(mmlu_pro_rows(tmp_path), fixed={"model": "ours"})
    assert [(row.candidate, row.instruction_id) for row in result.outcomes] == [
        ("ours", "mmlu_pro/2"),
        ("ours", "mmlu_pro/1"),
    ]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"question_id": 1}, "question is missing"),
        (record(1, options="A, B"), "options are A, B; expected a list of texts"),
        (record(1, question=7), "question is 7; expected text"),
        ({k: v for k, v in record(1).items() if k != "pred"}, "pred is missing"),
        ([1], "holds a list, not an object"),
    ],
)
def test_an_entry_that_is_none_is_named_and_the_rest_is_kept(
    tmp_path: Path, entry: object, reason: str
) -> None:
    (tmp_path / "law.json").write_text(json.dumps([record(9), entry]))
    result = gather(mmlu_pro_rows(tmp_path / "law.json"), fixed={"model": "ours"})
    assert [(bad.line, bad.reason) for bad in result.rejected] == [(2, reason)]
    assert len(result.outcomes) == 1


def test_what_holds_no_results_is_a_sentence(tmp_path: Path) -> None:
    broken = tmp_path / "a.zip"
    broken.write_bytes(b"PK\x03\x04 cut short")
    for path, fault in (
        (broken, "not a readable zip archive"),
        (archive(tmp_path / "b.zip", {"readme.txt": "x"}), "holds no .json file"),
        (archive(tmp_path / "c.zip", {"law.json": {"accuracy": 1}}), "holds a dict; expected a list"),
        (archive(tmp_path / "d.zip", {"law.json": "{"}), r"d.zip/law.json:1: not JSON"),
        (tmp_path / "nowhere", "no such path"),
    ):
        with pytest.raises(DataError, match=fault):
            list(mmlu_pro_rows(path))


def test_published_names_become_the_names_of_the_shipped_cards() -> None:
    assert model_of("model_outputs_Llama-2-7b-hf_5shots.zip") == "Llama-2-7b"
    assert model_of("model_outputs_Yi-6b-Chat_5shots.zip") == "Yi-6B-Chat"
    assert model_of("law.json") is None


def test_the_shipped_exam_knows_the_questions_by_their_ids() -> None:
    assert all(item.id.startswith("mmlu_pro/") for item in AptitudeTest.shipped().items)
