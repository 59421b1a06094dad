"""What a system prompt in front of a short turn does to the choice, on validation data only.

    python experiments/system-prompt/measure.py DATA [--below 200] [--limit 300]
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from modelsat.bench.metrics import auc, within_candidate_auc
from modelsat.capability.aptitude import AptitudeTest
from modelsat.records.splits import read_splits
from modelsat.records.store import OutcomeDirectory
from modelsat.routing.load import load_tuned
from modelsat.tuning.dataset import read_tuning_data, without_options

GENERIC = (
    "You are a helpful, respectful and honest assistant. Follow the user's instructions carefully. If you do not know "
    "the answer, say so instead of making something up, and keep your answers short unless you are asked for more."
)
FITTING = (
    "You are a tutor for students of {subject}. They send you questions from their courses in {subject}; answer "
    "with the result first, then explain how it is found, in a tone that encourages them to go on by themselves."
)
FOREIGN = (
    "You work for the customer service of a shop for garden furniture. Be friendly and brief, never promise a refund, "
    "and hand over to a colleague where somebody complains about a delivery that is more than two weeks late."
)
PROMPTS = {"generic": GENERIC, "fitting": FITTING, "foreign": FOREIGN}
BUDGETS = (60, 120, 200)
DRAWS = 2000

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("data", type=Path)
parser.add_argument("--limit", type=int, default=300)
parser.add_argument("--below", type=int, default=200, help="turns of fewer characters")
arguments = parser.parse_args()

rng = np.random.default_rng(0)
data = read_tuning_data(
    OutcomeDirectory.load(arguments.data),
    AptitudeTest.shipped(),
    splits=read_splits(arguments.data / "splits.json"),
    rng=rng,
)
part = data.validation
short = [at for at, row in enumerate(part.instructions) if len(without_options(row.text)) < arguments.below]
rows = np.sort(rng.permutation(short)[: arguments.limit])
turns = [replace(part.instructions[at], text=without_options(part.instructions[at].text)) for at in rows]
truth = part.scores[rows].astype(np.float64)
known = ~np.isnan(truth).any(1)
scorer = load_tuned()


def scored(texts: list[str]) -> np.ndarray:
    instructions = [replace(turn, text=text) for turn, text in zip(turns, texts, strict=True)]
    return scorer.score(instructions, part.profiles).logits


def choices(logits: np.ndarray, zoo: np.ndarray) -> np.ndarray:
    return zoo[logits[:, zoo].argmax(1)]


# Zoos of five of the candidates, so that the choice is not always between the same two.
zoos = [np.sort(rng.permutation(len(part.profiles))[:5]) for _ in range(20)]
plain = scored([turn.text for turn in turns])
print(f"{len(turns)} turns of less than {arguments.below} characters, {len(part.profiles)} candidates, 20 zoos of 5")
print(f"{'in front':<22}{'AUC':>7}{'wAUC':>7}{'changed':>9}{'accuracy change, points (95%)':>34}", flush=True)
for name in ("nothing", *(f"{kind} {budget}" for kind in PROMPTS for budget in BUDGETS)):
    if name == "nothing":
        logits = plain
    else:
        kind, budget = name.split()
        logits = scored(
            [
                f"{PROMPTS[kind].format(subject=turn.category or turn.task)[: int(budget)].strip()}\n\n{turn.text}"
                for turn in turns
            ]
        )
    every = np.arange(len(turns))
    moved, change = [], []
    for zoo in zoos:
        before, after = choices(plain, zoo), choices(logits, zoo)
        moved.append((before != after).mean())
        change.append(truth[every, after] - truth[every, before])
    per_turn = np.mean(change, axis=0)[known]
    means = [per_turn[rng.integers(0, len(per_turn), len(per_turn))].mean() for _ in range(DRAWS)]
    low, high = np.percentile(means, [2.5, 97.5])
    print(
        f"{name:<22}{auc(truth, logits):>7.3f}{within_candidate_auc(truth, logits):>7.3f}{np.mean(moved):>9.1%}"
        f"{100 * per_turn.mean():>+14.2f} [{100 * low:+.2f}, {100 * high:+.2f}]",
        flush=True,
    )
