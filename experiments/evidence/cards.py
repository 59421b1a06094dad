"""How the choice grows with the card: exam cards of 8 to 1,000 items drawn at random, the official mmlu_pro zoos.

python cards.py BODY.npz CONSTANTS.pt --part test        # the exam's items are in no split
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from constants import Constants, Fold, predict, raw_keys
from crossfit import Bundle
from measure import OFFICIAL, guarded, interval, zoo_gain

SIZES, DRAWS = (8, 16, 32, 50, 100, 250, 1000), 4


def main() -> None:
    """Print the curve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("body", type=Path)
    parser.add_argument("constants", type=Path)
    parser.add_argument("--bundle", type=Path, default=Path("bundle.npz"))
    parser.add_argument("--raw", type=Path, default=Path("minilm-6.npy"))
    parser.add_argument("--fold", type=int, help="ask this fold's items; by default test's")
    args = parser.parse_args()
    bundle = Bundle(args.bundle)
    state = torch.load(args.constants)
    constants = Constants(len(state["log_prior"]))
    constants.load_state_dict(state)
    part = (
        np.isin(bundle.part, ("test", "beyond"))
        if args.fold is None
        else bundle.inside & (bundle.fold == args.fold)
    )
    learnt = bundle.part == "tuning" if args.fold is None else bundle.inside & (bundle.fold != args.fold)
    bank = np.flatnonzero(learnt & bundle.permissive)
    asked = np.flatnonzero(part & (bundle.dataset == "mmlu_pro"))
    who = np.flatnonzero((~np.isnan(bundle.scores[:, asked])).mean(1) > 0.95)
    asked = asked[~np.isnan(bundle.scores[np.ix_(who, asked)]).any(0)]
    exam = np.flatnonzero(bundle.part == "exam")
    exam = exam[~np.isnan(bundle.scores[np.ix_(who, exam)]).any(0)]
    fold = Fold(bundle, args.body, raw_keys(args.raw), support=bank, queries=asked)
    fold.ask_crowd(np.concatenate([bank, exam]), 1.0)
    names, rng = bundle.models[who].tolist(), np.random.default_rng(0)
    level = np.nanmean(bundle.scores[np.ix_(who, np.flatnonzero(learnt & (bundle.dataset == "mmlu_pro")))], 1)
    for size in SIZES:
        rows: dict[str, list[np.ndarray]] = {}
        for _ in range(DRAWS if size < len(exam) else 1):
            weights = np.zeros((len(who), len(exam)), np.float32)
            for row in range(len(who)):
                weights[row, rng.permutation(len(exam))[:size]] = 1
            parts = predict(constants, fold, weights, who, exam, asked, bank, corrected=exam)
            z, wide, variance = parts[:-1].sum(0), parts[:2].sum(0), parts[-1]
            mean = (np.nan_to_num(bundle.scores[np.ix_(who, exam)]) * weights).sum(1) / weights.sum(1)
            for members in OFFICIAL.values():
                zoo = np.array([names.index(name) for name in members.split()])
                scores = bundle.scores[np.ix_(who[zoo], asked)]
                by_card = np.full(len(asked), int(np.argmax(mean[zoo])))
                best = np.full(len(asked), int(np.argmax(level[zoo])))
                for label, kappa, margin in (
                    ("argmax", 0.0, 0.0),
                    ("margin .05", 0.0, 0.05),
                    ("kappa .15", 0.15, 0.0),
                ):
                    choice = guarded(
                        z[zoo], np.argmax(wide[zoo], 0), variance[zoo], kappa=kappa, margin=margin
                    )
                    rows.setdefault(label, []).append(zoo_gain(scores, choice, by_card))
                    rows.setdefault(f"{label}, against best by tuning", []).append(
                        zoo_gain(scores, choice, best)
                    )
        print(
            size,
            "; ".join(
                "{} {:+.2f}±{:.2f}".format(label, *interval(np.mean(gains, 0)))
                for label, gains in rows.items()
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
