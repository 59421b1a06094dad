"""Train the head on frozen features and measure it, cross-fitted over tuning and validation.

python crossfit.py FEATURES --bundle bundle.npz --features minilm-6.npy [--folds 0,1,2,3,4] [--steps 1500] -o OUT.npz
python crossfit.py ... --part test         # once, at the end
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from episodes import Episodes, Losses, World, loss_of

from network import EvidenceNetwork


class Bundle:
    """The data as arrays; `scores` is [candidate, item] with NaN where there is no outcome."""

    def __init__(self, path: Path) -> None:
        raw = np.load(path)
        for name in raw.files:
            if name != "text":
                setattr(self, name, raw[name])
        self.scores = np.full((len(self.models), len(self.ids)), np.nan, np.float32)
        self.scores[self.model, self.item] = self.score
        self.by_task = np.isin(self.origin, ("reasoning_gym", "haerae_logical_puzzles"))
        self.group = np.char.add(
            np.char.add(self.dataset, "|"), np.where(self.dataset == "mmlu_pro", self.category, self.task)
        )
        self.inside = np.isin(self.part, ("tuning", "validation"))
        self.any_unseen = self.unseen | self.unseen_validation

    def training(self, fold: int | None) -> np.ndarray:
        """Items that tuning may use when a fold is left out."""
        use = self.inside & self.permissive
        return np.flatnonzero(use if fold is None else use & (self.fold != fold))


def world_of(bundle: Bundle, at: np.ndarray, seen: np.ndarray) -> World:
    """Tuning items and seen candidates."""
    source = np.where(bundle.origin == "shaberi_ja", "shaberi_ja", bundle.dataset)
    return World(bundle.scores[np.ix_(seen, at)], source[at], bundle.group[at], bundle.by_task[at])


def train(
    bundle: Bundle, features: np.ndarray, fold: int | None, args: argparse.Namespace, *, log: bool = True
) -> EvidenceNetwork:
    """Tune a head."""
    torch.manual_seed(args.seed)
    at = bundle.training(fold)
    seen = np.flatnonzero(~bundle.any_unseen)
    episodes = Episodes(
        world_of(bundle, at, seen),
        pool=args.pool,
        origins=args.origins,
        candidates=args.candidates,
        seed=args.seed,
    )
    known = torch.from_numpy(features[at])
    net = EvidenceNetwork(
        features.shape[1],
        hidden=args.hidden,
        key=args.key,
        kernels=args.kernels,
        own_keys=args.own_keys,
        dropout=args.dropout,
    )
    body = [p for n, p in net.named_parameters() if p.ndim > 1]
    rest = [p for n, p in net.named_parameters() if p.ndim <= 1]
    opt = torch.optim.AdamW(
        [{"params": body, "weight_decay": args.decay}, {"params": rest, "weight_decay": 0.0}], args.lr
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(opt, args.lr, total_steps=args.steps)
    losses, start, seen_losses = Losses(rank=args.rank, choice=args.choice), time.time(), []
    for step in range(args.steps):
        episode = episodes.draw()
        encoded = net.encode(known[torch.from_numpy(episode.items)])
        asked = torch.arange(episode.asked)
        rest_at = torch.arange(episode.asked, len(episode.items))
        scored = net(
            encoded[rest_at],
            torch.from_numpy(episode.scores[:, episode.asked :] * (episode.weights > 0)),
            torch.from_numpy(episode.weights),
            encoded[asked],
        )
        parts = loss_of(scored, episode, losses, rng=episodes.rng, device="cpu")
        opt.zero_grad()
        parts["loss"].backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        opt.step()
        schedule.step()
        seen_losses.append([parts[name].item() for name in ("bce", "rank", "choice")])
        if log and (step + 1) % 250 == 0:
            constants = [
                value.detach().numpy().round(2).tolist()
                for value in (net.log_sharpness, net.log_prior, net.slope, net.level_mean, net.log_precision)
            ]
            print(
                step + 1,
                np.mean(seen_losses[-250:], 0).round(4),
                f"{time.time() - start:.0f}s",
                *constants,
                flush=True,
            )
    return net.eval()


@torch.inference_mode()
def predict(
    net: EvidenceNetwork,
    features: np.ndarray,
    scores: np.ndarray,
    weights: np.ndarray,
    support: np.ndarray,
    queries: np.ndarray,
) -> np.ndarray:
    """[4, candidate, query]: base logit, each kernel's offset, variance, from evidence [candidate, support]."""
    evidence = net.encode(torch.from_numpy(features[support]))
    result = []
    for start in range(0, len(queries), 512):
        asked = net.encode(torch.from_numpy(features[queries[start : start + 512]]))
        scored = net(
            evidence,
            torch.from_numpy(np.nan_to_num(scores) * (weights > 0)),
            torch.from_numpy(weights),
            asked,
        )
        result.append(torch.cat([scored.base[None], scored.offsets, scored.variance[None]]).numpy())
    return np.concatenate(result, 2)


@torch.inference_mode()
def encodings(net: EvidenceNetwork, features: np.ndarray) -> dict[str, np.ndarray]:
    """What the body says of every item, float16; the constants of the kernels are fitted on these."""
    encoded = net.encode(torch.from_numpy(features))
    return {
        "difficulty": encoded.difficulty.numpy().astype(np.float32),
        "gain": encoded.gain.numpy().astype(np.float16),
        "keys": encoded.keys[: net.kernels if net.own_keys else 1].numpy().astype(np.float16),
    }


def evidence_weights(
    bundle: Bundle, support: np.ndarray, *, few: int | None = None, seed: int = 0
) -> np.ndarray:
    """[candidate, support]: 1 where there is an outcome; with `few`, so many of each dataset at random."""
    known = ~np.isnan(bundle.scores[:, support])
    if few is None:
        return known.astype(np.float32)
    rng, weights = np.random.default_rng(seed), np.zeros(known.shape, np.float32)
    order = rng.permutation(len(support))
    for name in np.unique(bundle.dataset[support]):
        at = order[bundle.dataset[support][order] == name]
        for row in range(len(known)):
            weights[row, at[known[row, at]][:few]] = 1
    return weights


def arguments() -> argparse.ArgumentParser:
    """Settings of the head and its tuning."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, default=Path("bundle.npz"))
    parser.add_argument("--features", nargs="+", type=Path, required=True)
    parser.add_argument("--folds", default="0,1,2,3,4")
    parser.add_argument("--part", default="crossfit", choices=("crossfit", "test"))
    parser.add_argument("--seed", type=int, default=0)
    for name, default in {
        "steps": 1500, "pool": 1200, "origins": 3, "candidates": 10, "hidden": 256, "key": 64, "kernels": 2,
    }.items():  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=default)
    for name, default in {"lr": 1.5e-3, "decay": 0.02, "dropout": 0.2, "rank": 0.3, "choice": 2.0}.items():
        parser.add_argument(f"--{name}", type=float, default=default)
    parser.add_argument("--own-keys", action="store_true")
    parser.add_argument(
        "--bodies-only", action="store_true", help="write encodings of every fold, no predictions"
    )
    parser.add_argument("-o", "--output", type=Path, required=True)
    return parser


def load_features(paths: list[Path]) -> np.ndarray:
    """Features side by side, each centred and scaled to unit variance."""
    blocks = []
    for path in paths:
        block = np.load(path).astype(np.float32)
        blocks.append((block - block.mean(0)) / (block.std() + 1e-6))
    return np.concatenate(blocks, 1)


def main() -> None:
    """Predictions for every item of the folds (or of test), with different evidence; see `table.py`."""
    args = arguments().parse_args()
    bundle, features = Bundle(args.bundle), load_features(args.features)
    folds = [int(fold) for fold in args.folds.split(",")] if args.part == "crossfit" else [None]
    count = args.kernels + 2
    kinds = ("all", "few", "exam", "others")
    result = {
        kind: np.full((count, len(bundle.models), len(bundle.ids)), np.nan, np.float16) for kind in kinds
    }
    for fold in folds:
        net = train(bundle, features, fold, args)
        if args.bodies_only:
            constants = {
                n: p.detach().numpy() for n, p in net.named_parameters() if p.ndim <= 1 and "." not in n
            }
            np.savez(
                f"{args.output}-{'final' if fold is None else fold}.npz",
                **encodings(net, features),
                **constants,
            )
            continue
        if fold is None:
            support = np.flatnonzero(bundle.part == "tuning")
            queries = np.flatnonzero(np.isin(bundle.part, ("test", "beyond")))
            torch.save(net.state_dict(), args.output.with_suffix(".pt"))
        else:
            support = np.flatnonzero(bundle.inside & (bundle.fold != fold))
            queries = np.flatnonzero(bundle.inside & (bundle.fold == fold))
        evidence = bundle.scores[:, support]
        result["all"][:, :, queries] = predict(
            net, features, evidence, evidence_weights(bundle, support), support, queries
        )
        few = evidence_weights(bundle, support, few=50)
        for name in np.unique(bundle.dataset[queries]):
            mine = queries[bundle.dataset[queries] == name]
            same = bundle.dataset[support] == name
            if same.any():
                result["few"][:, :, mine] = predict(net, features, evidence, few * same, support, mine)
            if (few * ~same).any():
                all_others = evidence_weights(bundle, support) * ~same
                result["others"][:, :, mine] = predict(net, features, evidence, all_others, support, mine)
        exam = np.flatnonzero(bundle.part == "exam")
        mine = queries[bundle.dataset[queries] == "mmlu_pro"]
        result["exam"][:, :, mine] = predict(
            net, features, bundle.scores[:, exam], evidence_weights(bundle, exam), exam, mine
        )
        print("fold", fold, "predicted", flush=True)
    if not args.bodies_only:
        np.savez_compressed(args.output, **result)


if __name__ == "__main__":
    main()
