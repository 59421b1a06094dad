"""What LiteLLM's heuristic router is worth where outcomes are known, beside equal money spent in other ways.

Its four tiers are given candidates of each zoo from the cheapest to the dearest, as its documentation suggests: those
at a third and two thirds of the way for the tiers between. Beside it: a blind draw of the same candidates with the same
shares, and Model-SAT under the policy `value` at the setting that costs as much or a little less (read off with
hindsight, as a user's budget would).

    python experiments/litellm/measure.py DATA --litellm ENVIRONMENT/bin/python
"""

import argparse
import json
from collections import Counter
from pathlib import Path

import numpy as np

from modelsat.bench.choosing import best_single, select
from modelsat.bench.heldout import hold_out
from benchmarks.litellm_tiers import TIERS, classify
from modelsat.statistics import PairedBootstrap
from modelsat.bench.prices import PriceTable
from modelsat.bench.setup import through_cache
from modelsat.capability.aptitude import AptitudeTest
from modelsat.capability.zoo import ModelZoo
from modelsat.scoring.checkpoint import shipped_folder
from modelsat.records.splits import read_splits
from modelsat.records.store import OutcomeDirectory
from modelsat.routing.load import load_tuned
from modelsat.routing.policy import RoutingPolicy, rank
from modelsat.types import column_index

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("data", type=Path)
parser.add_argument("--litellm", type=Path, required=True, help="interpreter of an environment with LiteLLM")
parser.add_argument("--part", choices=("validation", "test"), default="test")
options = parser.parse_args()

exam, zoo = AptitudeTest.shipped(), ModelZoo.shipped()
held_out = hold_out(
    OutcomeDirectory.load(options.data),
    [zoo.profile(name) for name in zoo],
    exam=exam,
    splits=read_splits(options.data / "splits.json"),
    part=options.part,
    rng=np.random.default_rng(0),
)
instructions, rows = held_out.table.instructions, np.arange(len(held_out.table.instructions))
scores = through_cache(load_tuned(shipped_folder()), shipped_folder()).score(instructions, held_out.profiles)
said = classify(options.litellm, [row.text for row in instructions])
tier = np.array([TIERS.index(name) for name in said.tiers])
prices = PriceTable.shipped()

BLIND, OURS, SINGLE = "LiteLLM over a blind mix", "Model-SAT over LiteLLM", "best single over LiteLLM"
table, differences = {}, {BLIND: [], OURS: [], SINGLE: []}
for name, members in held_out.zoos.items():
    columns = column_index(held_out.table.candidates, members)
    truth = held_out.table.scores[:, columns].astype(float)
    money = prices.expected(
        instructions, members, [held_out.profiles[column].mean_output_tokens or np.nan for column in columns]
    )
    ladder = money.mean(0).argsort(kind="stable")[
        np.linspace(0, len(members) - 1, len(TIERS)).round().astype(int)
    ]
    heuristic = ladder[tier]
    share = np.bincount(heuristic, minlength=len(members)) / len(rows)
    part = select(scores, rows, columns)
    budget = money[rows, heuristic].mean()
    chosen = money.argmin(1)
    for worth in np.geomspace(1e-7, 1.0, 200):
        ours = rank(part, RoutingPolicy(kind="value", amount=float(worth)), prices=money)[:, 0]
        if money[rows, ours].mean() <= budget:
            chosen = ours
    single = int(np.flatnonzero(columns == best_single(held_out, name))[0])
    routed = truth[rows, heuristic]
    differences[BLIND].append(routed - truth @ share)
    differences[OURS].append(truth[rows, chosen] - routed)
    differences[SINGLE].append(truth[:, single] - routed)
    table[name] = {
        "tiers": [members[at] for at in ladder],
        "cost_per_1000": {"LiteLLM": 1000 * budget, "Model-SAT": 1000 * money[rows, chosen].mean()},
        "accuracy": {
            "LiteLLM": routed.mean(),
            "blind mix": float((truth @ share).mean()),
            "Model-SAT": truth[rows, chosen].mean(),
        },
    }
rng = np.random.default_rng(0)
print(
    json.dumps(
        {
            "litellm": said.version,
            "part": options.part,
            "instructions": len(rows),
            "milliseconds": 1000 * float(np.median(said.seconds)),
            "tiers": Counter(said.tiers),
            "zoos": table,
            "points": {
                name: [round(100 * value, 2) for value in (found.mean, found.low, found.high)]
                for name, values in differences.items()
                for found in [PairedBootstrap(len(values[0]), rng=rng).interval(np.stack(values, axis=1))]
            },
        },
        indent=2,
    )
)
