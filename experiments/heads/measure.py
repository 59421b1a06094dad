"""Which settings of the head choose best: cross-validation on states of the untuned backbone, in a minute a setting.

    python experiments/heads/measure.py DATA

The first run reads all instructions once and keeps what it read in the user's cache.
"""

import argparse
import time
from pathlib import Path

from cross_validation import TITLES, CrossValidation, print_row

BEFORE = {"hidden": 128, "input_dropout": 0.2, "hidden_dropout": 0.3}
WIDE = {"hidden": 256, "input_dropout": 0.4, "hidden_dropout": 0.5}
# Name, seed, epochs, attention, recipe; the first is what the others are compared with.
SETTINGS = (
    ("0.1.0: width 128, dropout .2/.3, 3 epochs", 0, 3, BEFORE, {}),
    ("... seed 1", 1, 3, BEFORE, {}),
    ("... seed 2", 2, 3, BEFORE, {}),
    ("... one head", 0, 3, {**BEFORE, "heads": 1}, {}),
    ("... no ranking term", 0, 3, BEFORE, {"ranking_weight": 0.0}),
    ("... ranking weight 1", 0, 3, BEFORE, {"ranking_weight": 1.0}),
    ("... no virtual candidates", 0, 3, BEFORE, {"virtual": 0.0}),
    ("... width 256", 0, 3, {**BEFORE, "hidden": 256}, {}),
    ("... 8 epochs", 0, 8, BEFORE, {}),
    ("... 8 epochs, dropout .4/.5", 0, 8, {**WIDE, "hidden": 128}, {}),
    ("**0.2.0: width 256, dropout .4/.5, 8 epochs**", 0, 8, WIDE, {}),
    ("... no ranking term", 0, 8, WIDE, {"ranking_weight": 0.0}),
    ("... sharpness 3", 0, 8, {**WIDE, "sharpness": 3.0}, {}),
)

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("data", type=Path)
trial = CrossValidation(parser.parse_args().data)
pooled = trial.untuned_states()

print()
print_row("setting", *TITLES, "seconds")
print("|---" * (len(TITLES) + 2) + "|")
for name, seed, epochs, attention, recipe in SETTINGS:
    started = time.monotonic()
    logits = trial.judge(pooled, seed=seed, epochs=epochs, attention=attention, recipe=recipe)
    print_row(name, *trial.cells(logits), f"{time.monotonic() - started:.0f}")
started = time.monotonic()
logits = trial.neighbours()
print_row("kNN 200, fitted on all candidates", *trial.cells(logits), f"{time.monotonic() - started:.0f}")
