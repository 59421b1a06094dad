"""A card made from a journal of 0.3.0 stays what it was, byte for byte.

`python -m tests.golden.test_exam_golden` writes the file anew, after a change that is meant.
"""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from modelsat.capability.zoo import ModelZoo
from modelsat.cli.main import app
from modelsat.records.store import write_instructions
from modelsat.types import Candidate
from tests.exam.conftest import cards, exam_of, instructions

GOLDEN = Path(__file__).with_name("exam_cards.json")
WAYS = {
    "every item": (),
    "circle test": ("--set", "circle=true", "--set", "hard_below=0.4"),
    "adaptive": ("--adaptive", "--set", "width=0.35"),
}


def exam_card(way: str, folder: Path) -> str:
    """The card of an exam that was sat before, without its date; nothing is asked."""
    texts, rng = instructions(5, 12), np.random.default_rng(3)
    exam = exam_of(texts)
    exam.save(folder / "exam.json")
    write_instructions(folder / "texts.jsonl", texts)
    earlier = (rng.random((7, len(texts))) < np.linspace(0.2, 0.9, 7)[:, None]).astype(float)
    zoo = folder / "reference.toml"
    ModelZoo((Candidate(name=card.candidate), card) for card in cards(exam, earlier)).save(zoo)
    header = {"format": "modelsat-journal/1", "candidate": "our model", "exam": exam.name}
    header |= {"exam_hash": exam.hash, "model": "ours-8b", "api": "chat", "style": "direct"}
    lines: list[dict[str, object]] = [{**header, "max_tokens": 64, "params": {"seed": 1}}]
    for at, text in enumerate(texts):
        if way == "adaptive" and at % 12 >= 8:
            continue
        for rotation in range(4):
            right = "ABCD"[("ABCD".index(text.answer or "A") - rotation) % 4]
            said = right if rng.random() < 0.7 else str(rng.choice(["B", "Answer: C", "I do not know.", ""]))
            counted = {"input_tokens": 40 + at, "output_tokens": int(rng.integers(1, 9))} if at % 5 else {}
            answer = {"item": text.id, "rotation": rotation, "text": said, **counted}
            answer |= {"cut_short": at % 11 == 0, "latency_s": round(float(rng.gamma(2.0)), 4)}
            if at % 17 == 4:
                answer = {"item": text.id, "rotation": rotation, "refused": "answered 400 (content filter)"}
            lines.append({**answer, "cost": 0.00001 * at})
            if way != "circle test":
                break
    lines.append({"lost": texts[0].id, "rotation": 0, "reason": "answered 500", "cost": 0.002})
    output = folder / "cards"
    output.mkdir(exist_ok=True)
    journal = output / "our-model-e80734.journal.jsonl"
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    command = [
        *("exam", "run", "--candidate", "our model", "--base-url", "http://golden.example/v1"),
        *("--model", "ours-8b", "--input-price", "1", "--output-price", "2", "--set", "params.seed=1"),
        *("--blueprint", str(folder / "exam.json"), "--source", str(folder / "texts.jsonl")),
        *("--set", f"reference={zoo}", "-o", str(output), "--resume", "--json", *WAYS[way]),
    ]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)
    assert row["asked"] == 0
    return re.sub(r'  "date": "[0-9-]{10}",\n', "", Path(row["card"]).read_text("utf-8"))


@pytest.mark.parametrize("way", WAYS)
def test_a_card_is_what_it_was(way: str, tmp_path: Path) -> None:
    assert exam_card(way, tmp_path) == "\n".join(json.loads(GOLDEN.read_text("utf-8"))[way])


if __name__ == "__main__":
    import tempfile

    made = {}
    for way in WAYS:
        with tempfile.TemporaryDirectory() as temporary:
            made[way] = exam_card(way, Path(temporary)).split("\n")
    GOLDEN.write_text(json.dumps(made, indent=1) + "\n", "utf-8")
