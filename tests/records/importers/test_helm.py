import json
import shutil
from pathlib import Path

import pytest

from modelsat.errors import DataError
from modelsat.records.importers import gather
from modelsat.records.importers.helm import helm_rows


@pytest.fixture
def runs(fixtures: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return shutil.copytree(fixtures / "helm", tmp_path / "helm")


def test_runs_become_instructions_and_outcomes(runs: Path) -> None:
    result = gather(helm_rows(runs))
    assert result.rejected == ()
    assert {outcome.candidate for outcome in result.outcomes} == {"own/deckhand-7b"}
    instructions = {row.id: row for row in result.instructions}
    knot = instructions["harbour/knots/id0"]
    assert knot.text == "Which knot joins two ropes?\nA. Reef knot\nB. Clove hitch"
    assert (knot.dataset, knot.task, knot.answer, knot.kind) == ("harbour", "knots", "A", "multiple_choice")
    assert instructions["sums/sums/id1"].kind == "numeric"
    outcomes = {row.instruction_id: row for row in result.outcomes}
    assert (outcomes["harbour/knots/id0"].score, outcomes["harbour/knots/id3"].score) == (1.0, 0.0)
    assert outcomes["harbour/knots/id0"].output_tokens == 2.0
    assert outcomes["harbour/knots/id0"].latency_s == pytest.approx(0.4)
    assert outcomes["harbour/knots/id0"].source == "helm exact_match"


def test_perturbed_copies_are_left_out(runs: Path) -> None:
    result = gather(helm_rows(runs))
    assert dict(result.left_out) == {"perturbed instance": 4}


def test_trials_are_averaged(runs: Path) -> None:
    outcomes = {row.instruction_id: row for row in gather(helm_rows(runs)).outcomes}
    assert outcomes["sums/sums/id1"].score == 0.5
    assert outcomes["sums/sums/id1"].output_tokens == 5.0


def test_another_metric_may_be_chosen(runs: Path) -> None:
    outcomes = gather(helm_rows(runs, metric="quasi_exact_match")).outcomes
    assert [row.score for row in outcomes if row.instruction_id.startswith("harbour")] == [1.0, 1.0]
    rejected = gather(helm_rows(runs, metric="bleu")).rejected
    assert [bad.line for bad in rejected] == [1, 5, 1]
    assert "no metric 'bleu'" in rejected[0].reason
    assert "exact_match" in rejected[0].reason


def test_a_spoilt_entry_is_rejected_by_its_number(runs: Path) -> None:
    (folder,) = runs.glob("harbour*")
    path = folder / "per_instance_stats.json"
    entries = json.loads(path.read_text())
    entries[1] = "nonsense"
    entries[4]["instance_id"] = "id99"
    path.write_text(json.dumps(entries))
    result = gather(helm_rows(folder))
    assert [bad.line for bad in result.rejected] == [2, 5, 6]
    assert "instance_id is missing" in result.rejected[0].reason
    assert "no instance 'id99'" in result.rejected[1].reason
    # The entry that is left of the second instance holds no score.
    assert "no known metric" in result.rejected[2].reason
    assert [row.instruction_id for row in result.outcomes] == ["harbour/knots/id0"]


def test_a_spoilt_run_among_several_costs_that_run_only(runs: Path) -> None:
    (folder,) = runs.glob("harbour*")
    (folder / "run_spec.json").write_text("{")
    result = gather(helm_rows(runs))
    (bad,) = result.rejected
    assert (bad.file.parent, bad.line) == (folder, 0)
    assert "run_spec.json:1: not JSON" in bad.reason
    assert [row.instruction_id for row in result.outcomes] == ["sums/sums/id1"]
    with pytest.raises(DataError, match="not JSON"):
        list(helm_rows(folder))


def test_what_is_no_run_is_explained(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such path"):
        list(helm_rows(tmp_path / "nowhere"))
    with pytest.raises(DataError, match=r"no per_instance_stats\.json"):
        list(helm_rows(tmp_path))
    (tmp_path / "per_instance_stats.json").write_text("[]")
    with pytest.raises(DataError, match=r"run_spec\.json: no such file"):
        list(helm_rows(tmp_path))
    (tmp_path / "run_spec.json").write_text("[]")
    with pytest.raises(DataError, match=r"holds a list; expected a dict"):
        list(helm_rows(tmp_path))
