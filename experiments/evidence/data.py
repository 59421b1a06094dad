"""Items, outcomes and folds of the broad data as arrays, in one file that every script here reads.

    python data.py SHARED_DATA bundle.npz

An item's part is "test", "validation", "tuning", "exam" (the shipped exam's questions, by stem) or "beyond" (a category
or dataset that tuning leaves out). Folds are for cross-fitting over tuning and validation: by stem, and by task where
items of a task share a template.
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from modelsat.capability.aptitude import AptitudeTest
from modelsat.records.splits import split_of, stem_hash

FOLDS = 5
BY_TASK = ("reasoning_gym", "haerae_logical_puzzles")
# README of the data: what shipped weights may be tuned on.
PERMISSIVE = (
    "mmlu_pro", "zeroeval", "reasoning_gym", "haerae_logical_puzzles", "korbench", "shaberi_ja", "misguided_attention",
)  # fmt: skip


def fold_of(name: str) -> int:
    """The fold of a stem or task, the same on every machine."""
    return int(hashlib.sha256(f"fold/{name}".encode()).hexdigest(), 16) % FOLDS


def main(shared: Path, target: Path) -> None:
    """Write the bundle."""
    broad = shared / "broad"
    splits = json.loads((broad / "splits.json").read_text("utf-8"))
    items = pd.read_parquet(broad / "instructions.parquet").reset_index(drop=True)
    outcomes = pd.read_parquet(broad / "outcomes.parquet")
    stems = items.text.map(stem_hash)
    by_task = items.origin.isin(BY_TASK)
    tasks = {task: part for group in splits["tasks"].values() for task, part in group.items()}
    part = np.where(by_task, items.task.map(tasks), items.text.map(split_of)).astype(object)
    beyond = items.category.isin(splits["out_of_domain"]["mmlu_pro_categories"]) & (
        items.dataset == "mmlu_pro"
    )
    beyond |= items.dataset.isin(splits["out_of_domain"]["datasets"])
    exam = set(stems[items.instruction_id.isin(item.id for item in AptitudeTest.shipped().items)])
    part[beyond.to_numpy()] = "beyond"
    part[stems.isin(exam).to_numpy() & (items.dataset == "mmlu_pro").to_numpy()] = "exam"
    fold = np.where(by_task, (items.origin + items.task.astype(str)).map(fold_of), stems.map(fold_of))
    models = sorted(outcomes.model.unique())
    position = pd.Series(np.arange(len(items)), index=items.instruction_id)
    candidates = splits["candidates"]
    np.savez_compressed(
        target,
        ids=items.instruction_id.to_numpy(str),
        text=items.text.to_numpy(str),
        dataset=items.dataset.to_numpy(str),
        origin=items.origin.to_numpy(str),
        task=items.task.fillna("").astype(str).to_numpy(str),
        category=items.category.fillna("").astype(str).to_numpy(str),
        part=part.astype(str),
        fold=fold.astype(np.int8),
        stem=stems.to_numpy(str),
        models=np.array(models),
        unseen=np.isin(models, candidates["unseen_test"]),
        unseen_validation=np.isin(models, candidates["unseen_validation"]),
        model=outcomes.model.map({name: at for at, name in enumerate(models)}).to_numpy(np.int16),
        item=outcomes.instruction_id.map(position).to_numpy(np.int32),
        score=outcomes.score.to_numpy(np.float32),
        permissive=np.isin(items.origin, PERMISSIVE),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
