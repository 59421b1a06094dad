"""Students and cascades beside their teacher: quality from outcomes, cost from here."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from typer import Typer
from typer.testing import CliRunner

from benchmarks.student_plot import student_curve
from benchmarks.students import TEACHER, Student, main, measure_students
from modelsat.bench.evaluation_set import EvaluationSet
from modelsat.errors import DataError
from modelsat.routing.scorer import Level, Scorer
from tests.bench.world import TaskAccuracy


def student(name: str, scorer: Scorer, margin: float | None) -> Student:
    return Student(name=name, scorer=scorer, timed=scorer, layers=1, tokens=32, margin=margin)


def count_words(text: str) -> int:
    return len(text.split())


@pytest.fixture(scope="module")
def margins() -> tuple[float, float]:
    return 0.0, 1e9


def test_a_cascade_lies_between_student_and_teacher(
    routed: EvaluationSet, margins: tuple[float, float]
) -> None:
    never, always = margins
    rows = {
        row.name: row
        for row in measure_students(
            routed,
            TaskAccuracy(),
            [
                student("blind", Level(), None),
                student("proud", Level(), never),
                student("humble", Level(), always),
            ],
            timed_teacher=TaskAccuracy(),
            count_tokens=count_words,
            repeats=1,
        )
    }
    assert rows[TEACHER].difference.mean == 0
    assert rows[TEACHER].agreement == 1
    assert rows[TEACHER].cost_share == 1
    assert "cascade of blind" not in rows
    blind, proud, humble = rows["blind"], rows["cascade of proud"], rows["cascade of humble"]
    assert blind.difference.high < 0
    assert blind.layers == 1
    assert blind.auc["seen"] < rows[TEACHER].auc["seen"]
    assert (proud.asked, proud.difference.mean) == (0, blind.difference.mean)
    assert (humble.asked, humble.difference.mean) == (1, 0)
    assert humble.cost_share > 1
    assert not humble.auc
    assert json.dumps([asdict(row) for row in rows.values()])


def test_costs_are_of_decisions(routed: EvaluationSet) -> None:
    row = measure_students(
        routed, TaskAccuracy(), [], timed_teacher=TaskAccuracy(), count_tokens=count_words, repeats=1
    )[0]
    assert row.cost.milliseconds == pytest.approx(1000 / row.cost.per_second)
    assert np.isfinite(row.cost.per_second_batched)


@pytest.mark.parametrize("ending", [".svg", ".png"])
def test_the_curve_is_drawn_for_whoever_has_an_auc(
    routed: EvaluationSet, tmp_path: Path, ending: str
) -> None:
    rows = measure_students(
        routed,
        TaskAccuracy(),
        [student("blind", Level(), 0.5)],
        timed_teacher=TaskAccuracy(),
        count_tokens=count_words,
        repeats=1,
    )
    plot = student_curve(rows)
    plot.save(tmp_path / f"curve{ending}")
    written = (tmp_path / f"curve{ending}").read_bytes()
    assert written.startswith(b"<?xml" if ending == ".svg" else b"\x89PNG")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--student", "nameless"], "write NAME=FOLDER"),
        (["--part", "tuning"], "expected validation or test"),
        (["--plot", "curve.pdf"], "a plot ends in .svg or .png"),
    ],
)
def test_mistakes_are_told_in_a_sentence(tmp_path: Path, options: list[str], message: str) -> None:
    app = Typer()
    app.command()(main)
    arguments = ["--outcomes", str(tmp_path), "--splits", str(tmp_path / "splits.json")]
    result = CliRunner().invoke(app, [*arguments, *options])
    assert isinstance(result.exception, DataError)
    assert message in str(result.exception)
