"""Variants on real weights and the small world: each is tuned, measured and kept."""

from dataclasses import replace
from pathlib import Path

import pytest

from modelsat.bench.run import EFFORTS
from modelsat.bench.sections import ablation
from modelsat.capability.aptitude import AptitudeTest
from modelsat.records.store import OutcomeDirectory
from modelsat.scoring.config import NetworkConfig
from modelsat.tuning.recipe import Recipe
from modelsat.types import CapabilityProfile
from tests.bench.world import make_run

_TINY = Recipe(stage1_epochs=1, stage1_batch=8, stage2_epochs=1, stage2_batch=8)


@pytest.mark.slow
def test_every_kind_of_variant_is_tuned_and_measured(
    directory: OutcomeDirectory,
    exam: AptitudeTest,
    cards: list[CapabilityProfile],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small = {
        name: replace(
            study, config={**study.config, "layers": 2, "tokens": 16}, recipe=_TINY, learned=16, routed=6
        )
        for name, study in ablation.STUDIES.items()
    }
    monkeypatch.setattr(ablation, "STUDIES", small)
    kinds = {(variant.study, variant.config.get("layout")): variant for variant in ablation.VARIANTS}
    monkeypatch.setattr(ablation, "VARIANTS", tuple(kinds.values()))
    steps: list[str] = []
    run = make_run(directory, exam, cards, effort=EFFORTS["full"], split="test", folder=tmp_path)
    run.progress = lambda step, done, total: steps.append(f"{done}/{total} {step}")
    (first,) = ablation.compute(run)
    assert {row["study"] for row in first.records()} == {"head", "layout"}
    assert [row["variant"] for row in first.records()] == [variant.name for variant in kinds.values()]
    assert all(row["n"] == 6 and row["tuned_on"] == 16 for row in first.records())
    assert all(row["gain_low"] <= row["gain"] <= row["gain_high"] for row in first.records())  # type: ignore[operator]
    assert any("stage 1" in step for step in steps)
    steps.clear()
    (again,) = ablation.compute(run)
    assert again.rows == first.rows
    assert not any("stage" in step for step in steps)  # the kept runs were read, not tuned again


@pytest.mark.parametrize("variant", ablation.VARIANTS, ids=lambda variant: variant.name)
def test_every_variant_is_a_valid_network_and_recipe(variant: ablation.Variant) -> None:
    study = ablation.STUDIES[variant.study]
    replace(NetworkConfig(), **{**study.config, **variant.config})
    replace(study.recipe, **variant.recipe)
