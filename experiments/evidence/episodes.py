"""Episodes: a pool of items from a few origins, some asked, the others evidence; candidates, real and virtual."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - its common name

from network import Scored


@dataclass(frozen=True)
class World:
    """What may be learnt from: items, candidates, and the score of each on each (NaN: none).

    `source` is an item's origin, `group` its task within it, `twin` what may not be asked beside itself (a stem).
    """

    scores: np.ndarray  # [candidate, item] float32
    source: np.ndarray
    group: np.ndarray
    by_task: np.ndarray  # [item] bool: whole tasks are asked

    @property
    def sources(self) -> list[str]:
        return sorted(set(self.source.tolist()))


@dataclass(frozen=True)
class Episode:
    """`items` are positions in the world; the first `asked` of them are queries, the rest support."""

    items: np.ndarray
    asked: int
    scores: np.ndarray  # [candidate, item], 0 where unknown
    known: np.ndarray  # [candidate, item] bool
    weights: np.ndarray  # [candidate, support]
    parts: list[tuple[np.ndarray, np.ndarray]]  # (candidates, queries) of each source


class Episodes:
    """Draws episodes.

    Args:
        world: To draw from.
        pool: Items an episode.
        origins: Sources an episode.
        candidates: Real candidates of each source, as many virtual ones are made.
        seed: Of the draws.
    """

    def __init__(
        self, world: World, *, pool: int, origins: int = 3, candidates: int = 12, seed: int = 0
    ) -> None:
        self.world, self.pool, self.origins, self.candidates = world, pool, origins, candidates
        self.rng = np.random.default_rng(seed)
        known = ~np.isnan(world.scores)
        self.at = {name: np.flatnonzero(world.source == name) for name in world.sources}
        self.who = {name: np.flatnonzero(known[:, at].sum(1) >= 20) for name, at in self.at.items()}
        self.names = [name for name in world.sources if len(self.who[name]) >= 4]
        size = np.array([len(self.at[n]) ** 0.5 * min(len(self.who[n]), 40) ** 0.5 for n in self.names])
        self.share = size / size.sum()

    def draw(self) -> Episode:
        """One episode."""
        rng, world = self.rng, self.world
        names = rng.choice(self.names, min(self.origins, len(self.names)), replace=False, p=self.share)
        asked, support = [], []
        for name in names:
            at = rng.permutation(self.at[name])[: self.pool // len(names)]
            if world.by_task[at[0]] and rng.random() < 0.5:
                tasks = np.unique(world.group[at])
                out = np.isin(world.group[at], rng.choice(tasks, max(1, len(tasks) // 3), replace=False))
            else:
                out = rng.random(len(at)) < 0.35
            asked.append(at[out])
            support.append(at[~out])
        items = np.concatenate(asked + support)
        queries = np.concatenate(asked)
        rows, home = [], []
        for name in names:
            who = rng.permutation(self.who[name])[: self.candidates]
            rows.append(who)
            home += [name] * len(who)
        real = np.concatenate(rows)
        scores = world.scores[np.ix_(real, items)]
        # A virtual candidate follows one parent in some tasks and another in others.
        second = np.concatenate([rng.permutation(who) for who in rows])
        names_of, group = np.unique(world.group[items], return_inverse=True)
        follow = rng.random((len(real), len(names_of))) < 0.5
        mixed = np.where(follow[:, group], scores, world.scores[np.ix_(second, items)])
        scores = np.concatenate([scores, mixed])
        home = np.array(home * 2)
        known = ~np.isnan(scores)
        weights = np.zeros((len(scores), len(items) - len(queries)), np.float32)
        origin = world.source[items[len(queries) :]]
        for row in range(len(scores)):
            free = known[row, len(queries) :].copy()
            mode = rng.random()
            if mode < 0.5:
                free &= origin == home[row]
            elif mode < 0.7 and (free & (origin != home[row])).sum() >= 8:
                free &= origin != home[row]
            at = np.flatnonzero(free)
            wanted = int(np.exp(rng.uniform(np.log(8), np.log(max(self.pool, 16)))))
            weights[row, rng.permutation(at)[:wanted]] = 1
        parts = []
        for name in names:
            who, what = np.flatnonzero(home == name), np.flatnonzero(world.source[queries] == name)
            if len(what):
                parts.append((who, what))
        return Episode(items, len(queries), np.nan_to_num(scores), known, weights, parts)


@dataclass(frozen=True)
class Losses:
    """Weights of the parts of the loss."""

    rank: float = 0.3
    choice: float = 2.0
    sharpness: float = 4.0


def loss_of(
    scored: Scored, episode: Episode, weights: Losses, *, rng: np.random.Generator, device: str
) -> dict[str, Tensor]:
    """BCE, ranking of candidates within a query, and the expected score of a softmax choice among like candidates."""
    scores = torch.from_numpy(episode.scores[:, : episode.asked].astype(np.float32)).to(device)
    known = torch.from_numpy(episode.known[:, : episode.asked]).to(device)
    logits = scored.logits
    total: dict[str, Tensor] = {name: torch.zeros((), device=device) for name in ("bce", "rank", "choice")}
    for who, what in episode.parts:
        at = np.ix_(who, what)
        z, y, m = logits[at], scores[at], known[at]
        if not m.any():
            continue
        total["bce"] = (
            total["bce"] + (F.binary_cross_entropy_with_logits(z, y, reduction="none") * m).sum() / m.sum()
        )
        first = torch.from_numpy(rng.permutation(len(who)))
        gap, lead = z - z[first], y - y[first]
        both = m & m[first]
        rank = (
            F.binary_cross_entropy_with_logits(gap, (lead > 0).float(), reduction="none") * lead.abs() * both
        )
        total["rank"] = total["rank"] + rank.sum() / (lead.abs() * both).sum().clamp(min=1)
        if not weights.choice:
            continue
        level = (y * m).sum(1) / m.sum(1).clamp(min=1)
        order = torch.argsort(level).cpu().numpy()
        gains = []
        for _ in range(6):
            start = rng.integers(0, max(1, len(order) - 7))
            zoo = rng.permutation(order[start : start + 8])[:5]
            full = m[zoo].all(0)
            if full.sum() < 5:
                continue
            chance = torch.softmax(weights.sharpness * z[zoo][:, full], 0)
            mine = y[zoo][:, full]
            gains.append((chance * (mine - mine.mean(0))).sum(0).mean())
        if gains:
            total["choice"] = total["choice"] - torch.stack(gains).mean()
    count = max(1, len(episode.parts))
    total = {name: value / count for name, value in total.items()}
    total["loss"] = total["bce"] + weights.rank * total["rank"] + weights.choice * total["choice"]
    return total
