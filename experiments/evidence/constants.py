"""Fit the few constants of the kernels out of sample, and predict with them.

Bodies have seen the outcomes of their own items, so that on these nothing is left for kernels to explain: constants
fitted there trust difficulty too much. Here queries are of the fold that a body never saw, evidence of the others, as
dense as in use. Fold f is predicted with the constants of the other folds.

    python constants.py BODIES --raw minilm-6.npy -o OUT.npz      # BODIES-0.npz ... from crossfit.py --bodies-only
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from crossfit import Bundle, evidence_weights
from episodes import Losses
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its common name


class Constants(nn.Module):
    """The constants of the levels of the hierarchy, wide to near.

    Each level is a kernel exp(s_raw (cos_raw - 1) + s_key (cos_key - 1)) over sentence embeddings and tuned keys. The
    ability around x at a level has the ability at the wider one as its prior mean, with precision `prior`. The
    correction of difficulty around x, the same for all candidates, has a kernel and a prior of its own.
    """

    def __init__(self, levels: int, *, correct: bool = True) -> None:
        super().__init__()
        self.correct = correct
        self.log_raw = nn.Parameter(torch.linspace(0.7, 2.3, levels))
        self.log_key = nn.Parameter(torch.linspace(0.0, 2.0, levels))
        self.log_prior = nn.Parameter(torch.linspace(1.0, 2.0, levels))
        self.slope = nn.Parameter(torch.tensor(0.9))
        self.level_mean, self.log_precision = nn.Parameter(torch.tensor(0.0)), nn.Parameter(torch.tensor(0.0))
        self.fix_raw, self.fix_key = nn.Parameter(torch.tensor(2.3)), nn.Parameter(torch.tensor(2.0))
        self.fix_prior, self.fix_weight = nn.Parameter(torch.tensor(1.0)), nn.Parameter(torch.tensor(0.8))

    def forward(
        self,
        support: dict[str, Tensor],
        scores: Tensor,
        weights: Tensor,
        query: dict[str, Tensor],
        bank: dict[str, Tensor] | None = None,
    ) -> Tensor:
        """[2 + levels, candidate, query]: base, each level's change of ability, variance of the sum.

        Args:
            support: Evidence items: difficulty (with the crowd's correction where there is one), key, raw.
            scores: [candidate, item], 0 where the weight is 0.
            weights: [candidate, item].
            query: Likewise, and gain.
            bank: Items with the crowd's correction and its reliability: key, raw, correction, reliability.
        """
        d = support["difficulty"]
        precision, level = self.log_precision.exp(), self.level_mean.expand(len(scores))
        for _ in range(8):
            solved = torch.sigmoid(level[:, None] - d)
            slope = (weights * (scores - solved)).sum(1) - precision * (level - self.level_mean)
            curvature = (weights * solved * (1 - solved)).sum(1) + precision
            level = level + (slope / curvature).clamp(-1.5, 1.5)
        solved = torch.sigmoid(level[:, None] - d)
        residual, information = weights * (scores - solved), weights * solved * (1 - solved)
        difficulty = query["difficulty"]
        if bank is not None and self.correct:
            pull = kernel(query, bank, self.fix_raw.exp(), self.fix_key.exp()) * bank["reliability"]
            difficulty = difficulty + self.fix_weight * (pull @ bank["correction"]) / (
                pull.sum(1) + self.fix_prior.exp() * 0.1
            )
        gain = self.slope * (1 + query["gain"])
        base = gain * (level[:, None] - difficulty)
        moved = torch.zeros_like(base)
        variance = (1 / curvature)[:, None].expand_as(base)
        changes = []
        for at in range(len(self.log_prior)):
            pull = kernel(query, support, self.log_raw[at].exp(), self.log_key[at].exp())
            mass, prior = information @ pull.T, self.log_prior[at].exp()
            change = (residual @ pull.T - moved * mass) / (mass + prior)
            variance = 1 / (mass + prior) + (prior / (mass + prior)) ** 2 * variance
            moved = moved + change
            changes.append(gain * change)
        return torch.stack([base, *changes, gain**2 * variance])


def kernel(query: dict[str, Tensor], support: dict[str, Tensor], raw: Tensor, key: Tensor) -> Tensor:
    """[query, item]."""
    return torch.exp(
        raw * (query["raw"] @ support["raw"].T - 1) + key * (query["key"] @ support["key"].T - 1)
    )


def crowd(
    difficulty: Tensor, scores: Tensor, known: Tensor, *, spread: float, rounds: int = 3
) -> tuple[Tensor, Tensor]:
    """How much harder items are than their text says, by those who answered them: correction and reliability, [item].

    Args:
        difficulty: [item] by the text.
        scores: [candidate, item], 0 where unknown.
        known: [candidate, item], 1 or 0.
        spread: Prior variance of a correction.
    """
    correction = torch.zeros_like(difficulty)
    level = torch.zeros(len(scores))
    information = torch.zeros_like(difficulty)
    for _ in range(rounds):
        for _ in range(4):
            solved = torch.sigmoid(level[:, None] - difficulty - correction)
            slope = (known * (scores - solved)).sum(1) - level * 0.3
            level = level + (slope / ((known * solved * (1 - solved)).sum(1) + 0.3)).clamp(-1.5, 1.5)
        solved = torch.sigmoid(level[:, None] - difficulty - correction)
        information = (known * solved * (1 - solved)).sum(0)
        slope = (known * (solved - scores)).sum(0) - correction / spread
        correction = correction + (slope / (information + 1 / spread)).clamp(-1.5, 1.5)
    return correction, information / (information + 1 / spread)


class Fold:
    """A body's encodings, the items that it may have learnt from, and those that it never saw."""

    def __init__(
        self, bundle: Bundle, path: Path, raw: Tensor, *, support: np.ndarray, queries: np.ndarray
    ) -> None:
        loaded = np.load(path)
        key = torch.from_numpy(loaded["keys"][0].astype(np.float32))
        self.encoded = {
            "difficulty": torch.from_numpy(loaded["difficulty"].astype(np.float32)),
            "gain": torch.from_numpy(loaded["gain"].astype(np.float32)),
            "key": F.normalize(key, dim=1),
            "raw": F.normalize(torch.from_numpy(loaded["raw"].astype(np.float32)), dim=1)
            if "raw" in loaded
            else raw,
        }
        self.support, self.queries, self.bundle = support, queries, bundle
        self.correction, self.reliability = torch.zeros(len(bundle.ids)), torch.zeros(len(bundle.ids))

    def ask_crowd(self, items: np.ndarray, spread: float) -> None:
        """Correct the difficulty of items by what seen candidates made of them; each dataset with levels of its own."""
        bundle = self.bundle
        seen = ~bundle.any_unseen
        for name in np.unique(bundle.dataset[items]):
            mine = items[bundle.dataset[items] == name]
            scores = bundle.scores[:, mine]
            who = seen & ((~np.isnan(scores)).sum(1) >= 10)
            if not who.any():
                continue
            known = torch.from_numpy((~np.isnan(scores[who])).astype(np.float32))
            found = crowd(
                self.encoded["difficulty"][mine],
                torch.from_numpy(np.nan_to_num(scores[who])),
                known,
                spread=spread,
            )
            self.correction[mine], self.reliability[mine] = found

    def bank(self, items: np.ndarray) -> dict[str, Tensor]:
        """The items that the crowd answered."""
        at = torch.from_numpy(items[(self.reliability[items] > 0).numpy()])
        return {
            "raw": self.encoded["raw"][at],
            "key": self.encoded["key"][at],
            "correction": self.correction[at],
            "reliability": self.reliability[at],
        }

    def evidence(self, where: np.ndarray, *, corrected: np.ndarray | None = None) -> dict[str, Tensor]:
        """Encodings of evidence items, with the crowd's difficulty (of those `corrected`, by default all)."""
        found = self.at(where)
        use = (
            torch.ones(len(where))
            if corrected is None
            else torch.from_numpy(corrected[where].astype(np.float32))
        )
        found["difficulty"] = found["difficulty"] + self.correction[torch.from_numpy(where)] * use
        return found

    def at(self, where: np.ndarray) -> dict[str, Tensor]:
        return {name: value[torch.from_numpy(where)] for name, value in self.encoded.items()}


def step_loss(
    constants: Constants,
    fold: Fold,
    name: str,
    who: np.ndarray,
    rng: np.random.Generator,
    weights: Losses,
    args: argparse.Namespace,
) -> Tensor:
    """Loss of some queries of a dataset with thinned evidence."""
    bundle = fold.bundle
    mine = fold.queries[bundle.dataset[fold.queries] == name]
    asked = rng.permutation(mine)[:96]
    who = rng.permutation(who)[:24]
    known = ~np.isnan(bundle.scores[np.ix_(who, fold.support)])
    same = bundle.dataset[fold.support] == name
    thin = np.zeros(known.shape, np.float32)
    for row in range(len(who)):
        mode = rng.random()
        free = known[row] & (
            same if mode < 0.25 else ~same if mode < 0.4 and (known[row] & ~same).sum() >= 20 else True
        )
        at = np.flatnonzero(free)
        wanted = (
            len(at) if rng.random() < 0.5 else int(np.exp(rng.uniform(np.log(16), np.log(max(len(at), 17)))))
        )
        thin[row, rng.permutation(at)[:wanted]] = 1
    use = thin.any(0)
    support = fold.support[use]
    scores = np.nan_to_num(bundle.scores[np.ix_(who, support)])
    reach = fold.support if rng.random() < 0.7 else fold.support[~same]
    reach = reach[rng.random(len(reach)) < 8000 / len(reach)] if len(reach) > 8000 and args.fast else reach
    parts = constants(
        fold.evidence(support),
        torch.from_numpy(scores),
        torch.from_numpy(np.ascontiguousarray(thin[:, use])),
        fold.at(asked),
        fold.bank(reach),
    )
    z = parts[:-1].sum(0)
    y = bundle.scores[np.ix_(who, asked)]
    m = torch.from_numpy(~np.isnan(y))
    y = torch.from_numpy(np.nan_to_num(y))
    loss = (F.binary_cross_entropy_with_logits(z, y, reduction="none") * m).sum() / m.sum().clamp(min=1)
    if weights.rank:
        other = torch.from_numpy(rng.permutation(len(asked)))
        lead, both = y - y[:, other], m & m[:, other]
        rank = (
            F.binary_cross_entropy_with_logits(z - z[:, other], (lead > 0).float(), reduction="none")
            * lead.abs()
            * both
        )
        loss = loss + weights.rank * rank.sum() / (lead.abs() * both).sum().clamp(min=1)
    level = (y * m).sum(1) / m.sum(1).clamp(min=1)
    order, gains = torch.argsort(level).numpy(), []
    for _ in range(6):
        start = rng.integers(0, max(1, len(order) - 7))
        zoo = rng.permutation(order[start : start + 8])[:5]
        full = m[zoo].all(0)
        if len(zoo) > 1 and full.sum() >= 5:
            chance = torch.softmax(weights.sharpness * z[zoo][:, full], 0)
            gains.append((chance * (y[zoo][:, full] - y[zoo][:, full].mean(0))).sum(0).mean())
    return loss - weights.choice * torch.stack(gains).mean() if gains else loss


def fit(folds: list[Fold], args: argparse.Namespace, *, permissive_only: bool = True) -> Constants:
    """Fit constants on the held-out queries of some folds."""
    torch.manual_seed(0)
    rng, bundle = np.random.default_rng(args.seed), folds[0].bundle
    constants = Constants(args.levels, correct=not args.no_correction)
    opt = torch.optim.Adam(constants.parameters(), 0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(opt, 0.05, total_steps=args.steps)
    usable = bundle.permissive if permissive_only else np.ones(len(bundle.ids), bool)
    names = []
    for fold in folds:
        mine = fold.queries[usable[fold.queries]]
        for name, count in zip(*np.unique(bundle.dataset[mine], return_counts=True), strict=True):
            at = mine[bundle.dataset[mine] == name]
            who = np.flatnonzero((~np.isnan(bundle.scores[:, at])).sum(1) >= 10)
            who = who[~bundle.any_unseen[who]]
            if len(who) >= 4 and count >= 10:
                names.append((fold, name, who, min(count, 1000) ** 0.5))
    share = np.array([n[3] for n in names])
    weights = Losses(rank=args.rank, choice=args.choice)
    for _ in range(args.steps):
        fold, name, who, _ = names[rng.choice(len(names), p=share / share.sum())]
        loss = step_loss(constants, fold, name, who, rng, weights, args)
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(constants.parameters(), 1.0)
        opt.step()
        schedule.step()
    return constants.eval()


@torch.inference_mode()
def predict(
    constants: Constants,
    fold: Fold,
    weights: np.ndarray,
    who: np.ndarray,
    support: np.ndarray,
    queries: np.ndarray,
    bank: np.ndarray,
    *,
    corrected: np.ndarray | None = None,
) -> np.ndarray:
    """[2 + levels, candidate, query], from evidence [candidate, support] of candidates `who` and the crowd's items `bank`.

    The crowd's difficulty is known of the items `corrected`, by default those of the bank.
    """
    use = weights.any(0)
    inside = np.zeros(len(fold.bundle.ids), bool)
    inside[bank if corrected is None else corrected] = True
    evidence = fold.evidence(support[use], corrected=inside)
    thin = torch.from_numpy(np.ascontiguousarray(weights[:, use]))
    filled = torch.from_numpy(np.nan_to_num(fold.bundle.scores[np.ix_(who, support[use])])) * (thin > 0)
    known = fold.bank(bank)
    blocks = [
        constants(
            evidence,
            filled,
            thin,
            fold.at(queries[start : start + 512]),
            known if len(known["key"]) else None,
        ).numpy()
        for start in range(0, len(queries), 512)
    ]
    return np.concatenate(blocks, 2)


def arguments() -> argparse.ArgumentParser:
    """Settings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bodies", type=Path)
    parser.add_argument("--bundle", type=Path, default=Path("bundle.npz"))
    parser.add_argument("--raw", type=Path, default=Path("minilm-6.npy"))
    parser.add_argument("--levels", type=int, default=2)
    parser.add_argument("--spread", type=float, default=1.0)
    parser.add_argument("--no-correction", action="store_true")
    parser.add_argument("--fast", action="store_true")
    parser.add_argument("--folds", default="0,1,2,3,4")
    parser.add_argument(
        "--all-origins", action="store_true", help="fit on origins that may only be measured, too"
    )
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rank", type=float, default=0.3)
    parser.add_argument("--choice", type=float, default=2.0)
    parser.add_argument(
        "--final", type=Path, help="score test with this body, once; constants from all of the folds"
    )
    parser.add_argument("-o", "--output", type=Path, required=True)
    return parser


def raw_keys(path: Path) -> Tensor:
    """Centred unit vectors."""
    raw = torch.from_numpy(np.load(path).astype(np.float32))
    raw = F.normalize(raw, dim=1)
    return F.normalize(raw - raw.mean(0), dim=1)


def main() -> None:
    """Cross-fitted predictions, as `crossfit.py` writes them."""
    args = arguments().parse_args()
    bundle, raw = Bundle(args.bundle), raw_keys(args.raw)
    numbers = [int(fold) for fold in args.folds.split(",")]
    folds = {}
    for number in numbers:
        inside = bundle.inside
        folds[number] = Fold(
            bundle,
            Path(f"{args.bodies}-{number}.npz"),
            raw,
            support=np.flatnonzero(inside & (bundle.fold != number)),
            queries=np.flatnonzero(inside & (bundle.fold == number)),
        )
    kinds = ("all", "few", "exam", "others")
    count = args.levels + 2
    exam = np.flatnonzero(bundle.part == "exam")
    for fold in folds.values():
        fold.ask_crowd(np.concatenate([fold.support, exam]), args.spread)
    result = {
        kind: np.full((count, len(bundle.models), len(bundle.ids)), np.nan, np.float16) for kind in kinds
    }
    if args.final:
        constants = fit(list(folds.values()), args, permissive_only=not args.all_origins)
        torch.save(constants.state_dict(), args.output.with_suffix(".constants.pt"))
        learnt, asked = (
            np.flatnonzero(bundle.part == "tuning"),
            np.flatnonzero(np.isin(bundle.part, ("test", "beyond"))),
        )
        last = Fold(bundle, args.final, raw, support=learnt, queries=asked)
        last.ask_crowd(np.concatenate([learnt, exam]), args.spread)
        print(
            "final", *(f"{name} {value.tolist()}" for name, value in constants.named_parameters()), flush=True
        )
        predict_kinds(bundle, constants, last, result)
        np.savez_compressed(args.output, **result)
        return
    for number, fold in folds.items():
        start = time.time()
        others = [f for n, f in folds.items() if n != number] or [fold]
        constants = fit(others, args, permissive_only=not args.all_origins)
        print(
            number,
            f"{time.time() - start:.0f}s",
            *(
                f"{name} {value.detach().numpy().round(2).tolist()}"
                for name, value in constants.named_parameters()
            ),
            flush=True,
        )
        predict_kinds(bundle, constants, fold, result)
    np.savez_compressed(args.output, **result)


def predict_kinds(bundle: Bundle, constants: Constants, fold: Fold, result: dict[str, np.ndarray]) -> None:
    """Fill in the predictions of a fold's queries from all evidence, few, other datasets', and the exam's."""
    support, queries = fold.support, fold.queries
    full, few = evidence_weights(bundle, support), evidence_weights(bundle, support, few=50)
    exam = np.flatnonzero(bundle.part == "exam")
    for name in np.unique(bundle.dataset[queries]):
        mine = queries[bundle.dataset[queries] == name]
        who = np.flatnonzero((~np.isnan(bundle.scores[:, mine])).any(1))
        same = bundle.dataset[support] == name
        # With few items the bank is what ships: items of origins whose outcomes may ship.
        banks = {"all": support, "others": support[~same], "few": support[bundle.permissive[support]]}
        todo = {"all": full, "others": full * ~same, "few": few * same}
        for kind, weights in todo.items():
            if weights[who].any():
                at = np.ix_(np.arange(len(result[kind])), who, mine)
                result[kind][at] = predict(constants, fold, weights[who], who, support, mine, banks[kind])
        if name == "mmlu_pro":
            # The exam's items were selected, half right and half wrong: their corrections are biased as a sample.
            at = np.ix_(np.arange(len(result["exam"])), who, mine)
            weights = evidence_weights(bundle, exam)[who]
            result["exam"][at] = predict(
                constants, fold, weights, who, exam, mine, banks["few"], corrected=exam
            )


if __name__ == "__main__":
    main()
