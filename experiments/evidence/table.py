"""Tables from predictions: within-candidate order, zoos, random zoos; beside kNN on the same evidence.

python table.py RUN.npz KNN.npz --shared SHARED_DATA [--part crossfit|test] [--kappa 0,0.5,1 --margin 0]
"""

import argparse
from pathlib import Path

import numpy as np
from crossfit import Bundle
from measure import LEAST, OFFICIAL, broad_zoos, guarded, interval, pooled_gain, random_zoos, within, zoo_gain
from scipy.special import expit

KNN_SIZE = 2  # 100
WIDE = 1  # the reference is chosen by base and the offsets of the first kernel


def pooled_auc(scores: np.ndarray, values: np.ndarray) -> float:
    """AUC over all (instruction, candidate) pairs."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(scores.ravel() > 0.5, values.ravel()))


class Run:
    """Predictions [part, candidate, item] as logits, references and variances."""

    def __init__(self, values: np.ndarray) -> None:
        values = values.astype(np.float32)
        self.logits = values[:-1].sum(0)
        self.wide = values[: 1 + WIDE].sum(0)
        self.variance = values[-1]


def levels(
    bundle: Bundle,
    part: str,
    who: np.ndarray,
    datasets: list[str],
    asked: np.ndarray,
    *,
    shared: bool = False,
) -> np.ndarray:
    """[candidate, asked]: mean score on the datasets' outcomes that may be known when an item is asked.

    With `shared`, over the items that all of the candidates have.
    """
    inside = np.isin(bundle.dataset, datasets) & (
        bundle.inside if part == "crossfit" else bundle.part == "tuning"
    )
    result = np.full((len(who), len(asked)), np.nan)
    for fold in range(5) if part == "crossfit" else [None]:
        mine = np.ones(len(asked), bool) if fold is None else bundle.fold[asked] == fold
        scores = bundle.scores[
            np.ix_(who, np.flatnonzero(inside if fold is None else inside & (bundle.fold != fold)))
        ]
        if shared and (~np.isnan(scores).any(0)).sum() >= 10:
            scores = scores[:, ~np.isnan(scores).any(0)]
        known = (~np.isnan(scores)).sum(1)
        result[:, mine] = (np.nansum(scores, 1) / np.maximum(known, 1))[:, None]
    return result


def order_rows(
    bundle: Bundle, asked: np.ndarray, runs: dict[str, np.ndarray], candidates: np.ndarray
) -> list[dict]:
    """Within-candidate concordance by dataset; the small datasets pooled. Candidates by whether tuning saw them."""
    rows = []
    names, counts = np.unique(bundle.dataset[asked], return_counts=True)
    small = [name for name, count in zip(names, counts, strict=True) if count < LEAST]
    for name in [n for n in names if n not in small] + small:
        mine = asked[bundle.dataset[asked] == name]
        row = {"dataset": name, "items": len(mine), "small": name in small}
        scores = bundle.scores[np.ix_(candidates, mine)]
        usable = ~np.any([np.isnan(run[np.ix_(candidates, mine)]).all(1) for run in runs.values()], 0)
        scores = np.where(usable[:, None], scores, np.nan)
        for label, run in runs.items():
            mean, influence, count = within(
                scores, np.nan_to_num(run[np.ix_(candidates, mine)]), least=min(20, len(mine))
            )
            row |= {label: mean, f"{label} influence": influence, "candidates": count}
        if row["candidates"] >= 1:
            rows.append(row)
    return rows


def mean_row(rows: list[dict], first: str, second: str) -> tuple[float, float, float, float]:
    """Means over datasets (the small ones count as one), their difference and its 1.96 standard errors."""
    big = [row for row in rows if not row["small"]]
    small = [row for row in rows if row["small"]]
    groups = [[row] for row in big] + ([small] if small else [])
    a = np.mean([np.mean([row[first] for row in g]) for g in groups])
    b = np.mean([np.mean([row[second] for row in g]) for g in groups])
    variance = 0.0
    for group in groups:
        for row in group:
            gap = row[f"{first} influence"] - row[f"{second} influence"]
            variance += (gap**2).sum() / (len(group) * len(groups)) ** 2
    return float(a), float(b), float(a - b), 1.96 * variance**0.5


def main() -> None:
    """Print tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("knn", type=Path)
    parser.add_argument("--shared", type=Path, default=Path("../shared/data"))
    parser.add_argument("--bundle", type=Path, default=Path("bundle.npz"))
    parser.add_argument("--part", default="crossfit", choices=("crossfit", "test"))
    parser.add_argument("--kappa", default="0,0.3,0.6,1")
    parser.add_argument("--margin", default="0,0.1,0.2")
    parser.add_argument("--brief", action="store_true")
    args = parser.parse_args()
    bundle = Bundle(args.bundle)
    loaded, other = np.load(args.run), np.load(args.knn)
    runs = {kind: Run(loaded[kind]) for kind in loaded.files}
    knn = {kind: other[kind].astype(np.float32) for kind in other.files}
    done = ~np.isnan(runs["all"].logits).all(0)
    done_others = ~np.isnan(runs["others"].logits).all(0)
    inside = np.flatnonzero(done & (bundle.inside if args.part == "crossfit" else bundle.part == "test"))
    seen, unseen = (
        np.flatnonzero(~bundle.any_unseen),
        np.flatnonzero(bundle.unseen if args.part == "test" else bundle.any_unseen),
    )
    print(f"== {args.run.stem}: {len(inside)} items")
    for label, who in (("seen", seen), ("unseen", unseen)):
        for kind in ("all", "few"):
            rows = order_rows(bundle, inside, {"ours": runs[kind].logits, "knn": knn[kind][KNN_SIZE]}, who)
            mean = mean_row(rows, "ours", "knn")
            print(
                f"within {label} {kind}: ours {mean[0]:.4f} knn {mean[1]:.4f} lead {mean[2]:+.4f}±{mean[3]:.4f} ({len(rows)} datasets)"
            )
            if kind == "all" and not args.brief:
                for row in rows:
                    print(
                        f"    {row['dataset']:28s} n={row['items']:5d} C={row['candidates']:3d} {row['ours']:.3f} {row['knn']:.3f}"
                    )
    calibration(bundle, inside, runs["all"].logits)
    by_task = inside[bundle.by_task[inside]]
    groups = [("unseen tasks", "all", by_task), ("other datasets only", "others", inside)]
    if args.part == "test":
        groups.append(
            (
                "beyond",
                "others",
                np.flatnonzero(done_others & (bundle.part == "beyond") & (bundle.dataset != "mmlu_pro")),
            )
        )
    for label, kind, at in groups:
        rows = order_rows(
            bundle, at, {"ours": runs[kind].logits, "knn": knn[kind][KNN_SIZE]}, np.arange(len(bundle.models))
        )
        if args.part == "test":
            for row in rows:
                print(
                    f"    {label}: {row['dataset']:28s} n={row['items']:5d} C={row['candidates']:3d} {row['ours']:.3f} {row['knn']:.3f}"
                )
        mean = mean_row(rows, "ours", "knn")
        print(
            f"within {label}: ours {mean[0]:.4f} knn {mean[1]:.4f} lead {mean[2]:+.4f}±{mean[3]:.4f} ({len(rows)})"
        )
    official(bundle, runs, knn, args, done)
    zoos(bundle, runs["all"], knn["all"], inside, args)


def calibration(bundle: Bundle, asked: np.ndarray, logits: np.ndarray) -> None:
    """Expected calibration error in 15 equal bins, pooled and by dataset."""

    def error(y: np.ndarray, p: np.ndarray) -> float:
        bins = np.minimum((p * 15).astype(int), 14)
        return float(sum(abs((y - p)[bins == b].sum()) for b in range(15)) / len(y))

    y, p = bundle.scores[:, asked], expit(np.nan_to_num(logits[:, asked]))
    there = ~np.isnan(y) & ~np.isnan(logits[:, asked])
    text = [f"pooled {error(y[there], p[there]):.3f}"]
    for name in np.unique(bundle.dataset[asked]):
        at = there & (bundle.dataset[asked] == name)
        if (bundle.dataset[asked] == name).sum() >= LEAST and at.any():
            text.append(f"{name} {error(y[at], p[at]):.3f}")
    print("ECE:", ", ".join(text))


def official(
    bundle: Bundle,
    runs: dict[str, Run],
    knn: dict[str, np.ndarray],
    args: argparse.Namespace,
    done: np.ndarray,
) -> None:
    """The mmlu_pro split: AUC and six zoos, from the exam alone and from all outcomes."""
    part = bundle.inside if args.part == "crossfit" else np.isin(bundle.part, ("test", "beyond"))
    asked = np.flatnonzero(done & part & (bundle.dataset == "mmlu_pro"))
    names = bundle.models.tolist()
    full = np.flatnonzero((~np.isnan(bundle.scores[:, asked])).mean(1) > 0.95)
    asked = asked[~np.isnan(bundle.scores[np.ix_(full, asked)]).any(0)]
    groups = {"seen": full[~bundle.any_unseen[full]], "unseen": full[bundle.unseen[full]]}
    tables = {
        "exam": runs["exam"].logits,
        "all": runs["all"].logits,
        "knn 200": knn["all"][3],
        "knn 100": knn["all"][2],
    }
    for label, table in tables.items():
        auc = {
            g: pooled_auc(bundle.scores[np.ix_(who, asked)], table[np.ix_(who, asked)])
            for g, who in groups.items()
        }
        inner = {
            g: within(bundle.scores[np.ix_(who, asked)], table[np.ix_(who, asked)])[0]
            for g, who in groups.items()
        }
        print(
            f"mmlu_pro {label} ({len(asked)}): AUC seen {auc['seen']:.4f} unseen {auc['unseen']:.4f}; within {inner['seen']:.4f} {inner['unseen']:.4f}"
        )
    gains: dict[str, list[np.ndarray]] = {}
    for zoo, members in OFFICIAL.items():
        who = np.array([names.index(name) for name in members.split()])
        scores = bundle.scores[np.ix_(who, asked)]
        best = np.argmax(levels(bundle, args.part, who, ["mmlu_pro"], asked), 0)
        for label in ("exam", "all"):
            run = runs[label]
            z, wide, var = (table[np.ix_(who, asked)] for table in (run.logits, run.wide, run.variance))
            for kappa, margin in settings(args):
                for base, reference in (("best", best), ("wide", np.argmax(wide, 0))):
                    choice = guarded(z, reference, var, kappa=kappa, margin=margin)
                    gains.setdefault(f"{label} k={kappa} m={margin} from {base}", []).append(
                        zoo_gain(scores, choice, best)
                    )
        for at, size in ((1, 50), (2, 100), (3, 200)):
            table = knn["all"][at][np.ix_(who, asked)]
            gains.setdefault(f"knn {size}", []).append(zoo_gain(scores, np.argmax(table, 0), best))
    for label, values in gains.items():
        mean, error = interval(np.mean(values, 0))
        print(
            f"  six zoos {label:32s} {mean:+.2f}±{error:.2f}  "
            + " ".join(f"{100 * v.mean():+.2f}" for v in values)
        )


def settings(args: argparse.Namespace) -> list[tuple[float, float]]:
    """Guards to try: (kappa, margin)."""
    pairs = [(float(k), 0.0) for k in args.kappa.split(",")]
    return pairs + [(0.0, float(m)) for m in args.margin.split(",") if float(m)]


def zoos(bundle: Bundle, run: Run, knn: np.ndarray, inside: np.ndarray, args: argparse.Namespace) -> None:
    """The nine zoos, and random zoos of each dataset."""
    names = bundle.models.tolist()
    results: dict[str, list] = {}
    per_dataset: dict[str, list] = {}
    for members, datasets in broad_zoos(args.shared).values():
        who = np.array([names.index(name) for name in members])
        asked = inside[np.isin(bundle.dataset[inside], datasets)]
        asked = asked[~np.isnan(bundle.scores[np.ix_(who, asked)]).any(0)]
        best = np.argmax(levels(bundle, args.part, who, datasets, asked, shared=True), 0)
        by_dataset = best.copy()
        for name in datasets:
            at = np.flatnonzero(bundle.dataset[asked] == name)
            if len(at):
                by_dataset[at] = np.argmax(levels(bundle, args.part, who, [name], asked[at], shared=True), 0)
        scores = bundle.scores[np.ix_(who, asked)]
        z, wide, var = (
            np.nan_to_num(t[np.ix_(who, asked)], nan=-9) for t in (run.logits, run.wide, run.variance)
        )
        choices = {
            f"k={k} m={m} from wide": guarded(z, np.argmax(wide, 0), var, kappa=k, margin=m)
            for k, m in settings(args)
        }
        choices |= {
            f"k={k} m={m} from best": guarded(z, best, var, kappa=k, margin=m) for k, m in settings(args)
        }
        choices |= {"by dataset": by_dataset, "wide": np.argmax(wide, 0)}
        for at, size in ((1, 50), (2, 100), (3, 200)):
            choices[f"knn {size}"] = np.argmax(np.nan_to_num(knn[at][np.ix_(who, asked)], nan=-9), 0)
        for label, choice in choices.items():
            results.setdefault(label, []).append(interval(zoo_gain(scores, choice, best)))
            per_dataset.setdefault(label, []).append(interval(zoo_gain(scores, choice, by_dataset))[0])
    print("nine zoos:", " ".join(broad_zoos(args.shared)))
    for label, values in results.items():
        means, errors = np.array(values).T
        print(
            f"  {label:24s} {means.mean():+.2f}±{(errors**2).sum() ** 0.5 / len(errors):.2f}  "
            + " ".join(f"{m:+.2f}" for m in means)
            + f" | against by dataset {np.mean(per_dataset[label]):+.2f}"
        )
    draws: dict[str, list] = {}
    for name in np.unique(bundle.dataset[inside]):
        asked = inside[bundle.dataset[inside] == name]
        learnt = np.flatnonzero((bundle.part == "tuning") & (bundle.dataset == name))
        have = (~np.isnan(bundle.scores[:, learnt])).sum(1)
        who = np.flatnonzero(
            ((~np.isnan(bundle.scores[:, asked])).sum(1) >= max(15, 0.6 * len(asked))) & (have >= 20)
        )
        if len(who) < 4 or len(asked) < 20:
            continue
        scores, level = bundle.scores[np.ix_(who, asked)], levels(bundle, args.part, who, [str(name)], asked)
        z, wide, var = (
            np.nan_to_num(t[np.ix_(who, asked)], nan=-9) for t in (run.logits, run.wide, run.variance)
        )
        near = np.nan_to_num(knn[2][np.ix_(who, asked)], nan=-9)
        rules = {
            f"k={k} m={m}": (
                lambda zoo, k=k, m=m: guarded(z[zoo], np.argmax(wide[zoo], 0), var[zoo], kappa=k, margin=m)
            )
            for k, m in settings(args)
        }
        rules |= {"knn 100": lambda zoo: np.argmax(near[zoo], 0), "wide": lambda zoo: np.argmax(wide[zoo], 0)}
        for label, rule in rules.items():
            drawn = random_zoos(scores, level, rule)
            if drawn:
                draws.setdefault(label, []).append((name, *pooled_gain(drawn)))
    for label, values in draws.items():
        means, errors = np.array([v[1] for v in values]), np.array([v[2] for v in values])
        text = " ".join(f"{v[0][:12]} {v[1]:+.2f}±{v[2]:.1f}" for v in values) if not args.brief else ""
        print(
            f"random zoos {label:12s} {means.mean():+.3f}±{(errors**2).sum() ** 0.5 / len(errors):.3f} losing {(means + errors < 0).sum()}/{len(means)} {text}"
        )


if __name__ == "__main__":
    main()
