"""Variants on real weights and the small world: each is tuned, measured and kept."""

from dataclasses import replace
from pathlib import Path

import pytest

from modelsat.bench import ablation
from modelsat.bench.arena import Arena
from modelsat.bench.setup import Setup
from modelsat.capability.aptitude import AptitudeTest
from modelsat.records.store import OutcomeDirectory
from modelsat.tuning.recipe import Recipe
from modelsat.types import CapabilityProfile
from tests.bench.world import make_setup

pytestmark = pytest.mark.slow

_TINY = Recipe(stage1_epochs=1, stage1_batch=8, stage2_epochs=1, stage2_batch=8)


@pytest.fixture
def setup(directory: OutcomeDirectory, exam: AptitudeTest, cards: list[CapabilityProfile]) -> Setup:
    return make_setup(directory, exam, cards)


def test_every_kind_of_variant_is_tuned_and_measured(
    setup: Setup, arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {
        name: replace(
            study, config={**study.config, "layers": 2, "tokens": 16}, recipe=_TINY, learnt=16, routed=6
        )
        for name, study in ablation.STUDIES.items()
    }
    monkeypatch.setattr(ablation, "STUDIES", small)
    kinds = {(variant.study, variant.config.get("layout")): variant for variant in ablation.VARIANTS}
    monkeypatch.setattr(ablation, "VARIANTS", tuple(kinds.values()))
    told: list[str] = []

    def tell(step: str, done: int, total: int) -> None:
        told.append(f"{done}/{total} {step}")

    first = ablation.ablation_table(setup, arena, folder=tmp_path, seed=0, progress=tell)
    assert {row["study"] for row in first.records()} == {"head", "layout"}
    assert [row["variant"] for row in first.records()] == [variant.name for variant in kinds.values()]
    assert all(row["n"] == 6 and row["learnt"] == 16 for row in first.records())
    assert all(row["gain_low"] <= row["gain"] <= row["gain_high"] for row in first.records())  # type: ignore[operator]
    steps = sum("stage 1" in step for step in told)
    assert steps

    told.clear()
    again = ablation.ablation_table(setup, arena, folder=tmp_path, seed=0, progress=tell)
    assert again.rows == first.rows
    assert not any("stage" in step for step in told)  # the kept runs were read, not tuned again
