"""Small outcomes that can be targets: candidates that are good at different subjects, and tiny parts to tune."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from modelsat.capability.aptitude import AptitudeTest
from modelsat.capability.selection import select_items, tuning_table
from modelsat.records.splits import Splits
from modelsat.records.store import OutcomeDirectory
from modelsat.records.table import OutcomeTable
from modelsat.scoring.config import NetworkConfig
from modelsat.tuning.dataset import TuningData, read_tuning_data
from modelsat.types import Instruction, Outcome

from ..network.conftest import save_backbone, save_encoder

SUBJECTS = {
    "algebra": "solve for x: 3x + 1 = 7",
    "law": "which court hears the appeal",
    "biology": "how do cells divide",
    "history": "who won the war of succession",
}
NAMES = ("all-round", "jurist", "scientist", "weak", "held-out", "test-only")
# [candidate, subject] logits.
SKILLS = np.array(
    [[2, 2, 2, 2], [-2, 3, -2, 2], [3, -2, 3, -2], [-2, -2, -2, -1], [2, -2, 2, -2], [1, 1, 1, 1]]
)
SPLITS = Splits(
    out_of_domain_categories=("cooking",), unseen_validation=("held-out",), unseen_test=("test-only",)
)


@dataclass(frozen=True, kw_only=True)
class Small:
    """Outcomes, exam and parts on disk."""

    directory: OutcomeDirectory
    exam: AptitudeTest
    exam_file: Path
    backbone: Path
    encoder: Path

    def data(self, *, limit: int | None = None) -> TuningData:
        """What tuning sees of them."""
        return read_tuning_data(
            self.directory, self.exam, splits=SPLITS, limit=limit, rng=np.random.default_rng(0)
        )


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    """Four subjects x 60 instructions, 12 of cooking that are out of domain, 6 candidates."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("small")
    instructions, outcomes = [], []
    for subject, text in [*SUBJECTS.items(), ("cooking", "how long to bake")]:
        for at in range(60 if subject in SUBJECTS else 12):
            # Every other instruction has lettered options.
            options = "\nA. yes\nB. no" if at % 2 else ""
            row = Instruction(
                id=f"{subject}/{at}",
                text=f"{text}? {at}{options}",
                dataset="toy",
                task=subject,
                category=subject,
            )
            instructions.append(row)
            for name, skills in zip(NAMES, SKILLS, strict=True):
                skill = skills[list(SUBJECTS).index(subject)] if subject in SUBJECTS else 0
                solved = rng.random() < 1 / (1 + np.exp(-skill))
                outcomes.append(Outcome(candidate=name, instruction_id=row.id, score=float(solved)))
    OutcomeDirectory.save(folder / "outcomes", instructions, outcomes)
    directory = OutcomeDirectory.load(folder / "outcomes")
    table = tuning_table(OutcomeTable.from_records(directory.instructions, directory.outcomes), SPLITS)
    subjects = np.array([row.category in SUBJECTS for row in table.instructions])
    exam = select_items(table.select(subjects), tasks=4, shots=8, rng=rng, name="toy", dataset="toy")
    exam.save(folder / "exam.json")
    return Small(
        directory=directory,
        exam=exam,
        exam_file=folder / "exam.json",
        backbone=save_backbone(folder / "backbone", "llama"),
        encoder=save_encoder(folder / "encoder"),
    )


@pytest.fixture
def make_config(
    small: Small, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., NetworkConfig]:
    """A configuration of tiny parts, with a cache of its own."""
    monkeypatch.setenv("MODELSAT_CACHE", str(tmp_path / "cache"))

    def make(**settings: object) -> NetworkConfig:
        parts = {
            "backbone": str(small.backbone),
            "text_encoder": str(small.encoder),
            "layers": 2,
            "frozen_layers": 1,
            "tokens": 40,
            "lora_rank": 2,
        }
        return NetworkConfig(**{**parts, **settings})  # type: ignore[arg-type]

    return make
