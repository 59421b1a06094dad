"""How students carry over to subjects that their distillation never saw, without looking at test.

    python experiments/student/subjects.py DATA --write left_out.json
    modelsat distil --outcomes DATA --splits left_out.json -o runs/left/base
    python experiments/student/subjects.py DATA base=runs/left/base/checkpoint

Three subjects of tuning are left out beside those of the splits, and students are judged on their tuning and validation
instructions. The teacher has been tuned on these, so that its own row flatters it: compare students with each other.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from modelsat.bench.metrics import auc, within_candidate_auc
from modelsat.capability.aptitude import AptitudeTest
from modelsat.onnx.load import load_onnx_scorer
from modelsat.scoring.checkpoint import shipped_folder
from modelsat.records.splits import read_splits
from modelsat.records.store import OutcomeDirectory
from modelsat.tuning.calibrate import log_loss
from modelsat.tuning.dataset import read_tuning_data

LEFT_OUT = ("history", "economics", "engineering")

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("data", type=Path)
parser.add_argument("students", nargs="*", metavar="NAME=FOLDER")
parser.add_argument("--limit", type=int, default=1000, help="instructions of each kind, at most")
parser.add_argument("--write", type=Path, metavar="FILE", help="write the splits with fewer subjects, and stop")
options = parser.parse_args()

file = options.data / "splits.json"
if options.write:
    splits = json.loads(file.read_text("utf-8"))
    splits["out_of_domain"]["mmlu_pro_categories"] += LEFT_OUT
    options.write.write_text(json.dumps(splits), "utf-8")
    parser.exit()

data = read_tuning_data(
    OutcomeDirectory.load(options.data),
    AptitudeTest.shipped(),
    splits=read_splits(file),
    rng=np.random.default_rng(0),
)
instructions = (*data.tuning.instructions, *data.validation.instructions)
# Seen candidates come first in validation, and only they have outcomes on tuning instructions.
scores = np.concatenate([data.tuning.scores, data.validation.scores[:, : len(data.tuning.profiles)]])
left = np.array([row.category in LEFT_OUT for row in instructions])
validation = np.arange(len(left)) >= len(data.tuning.instructions)
parts = {
    what: np.random.default_rng(0).permutation(np.flatnonzero(rows))[: options.limit]
    for what, rows in (("subjects left out", left), ("validation of the others", ~left & validation))
}
folders = {"teacher": shipped_folder()} | {
    name: Path(folder) for name, _, folder in (student.partition("=") for student in options.students)
}
print(f"\n| | {' | '.join(f'{part} ({len(rows):,}): AUC, within, log loss' for part, rows in parts.items())} |")
print("|---|---|---|")
for name, folder in folders.items():
    scorer, cells = load_onnx_scorer(folder), []
    for rows in parts.values():
        asked = [instructions[row] for row in rows]
        said, happened = scorer.score(asked, data.tuning.profiles).logits, scores[rows]
        cells.append(
            f"{auc(happened, said):.4f}, {within_candidate_auc(happened, said):.4f}, {log_loss(said, happened):.4f}"
        )
    print(f"| {name} | {' | '.join(cells)} |", flush=True)
