"""What predictions are worth: order of instructions within a candidate, and the score of the chosen candidate."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.stats import rankdata

LEAST = 100  # test instructions of a dataset with a row of its own
OFFICIAL = {
    "smaller_scale": "llama-3.1-8b-instruct phi-3-mini-4k-instruct llama-3-8b-base gemma-7b-base mistral-7b-instruct-v0.2",
    "smaller_mixed": "llama-3.1-8b-instruct phi-3-mini-4k-instruct llama-3-8b-base gemma-7b-base mistral-7b-instruct-v0.2 "
    "yi-6b-chat llama-2-7b-base mistral-7b-instruct-v0.1",
    "smaller_seen": "phi-3-mini-4k-instruct llama-3-8b-base llama-3.1-8b-base mistral-7b-v0.2-base yi-6b-chat "
    "mistral-7b-instruct-v0.1",
    "middle_mixed": "llama-3.1-8b-instruct phi-3-mini-4k-instruct llama-3-8b-base gemma-7b-base mistral-7b-instruct-v0.2 "
    "c4ai-command-r-v01 mixtral-8x7b-instruct-v0.1",
    "larger_mixed": "llama-3.1-8b-instruct phi-3-mini-4k-instruct llama-3-8b-base gemma-7b-base mistral-7b-instruct-v0.2 "
    "c4ai-command-r-v01 mixtral-8x7b-instruct-v0.1 llama-3.1-70b-instruct qwen1.5-72b-chat qwen1.5-110b-base llama-3-70b-base",
    "high_performance": "llama-3.1-70b-instruct qwen1.5-110b-base qwen1.5-72b-chat gemini-1.5-flash gemini-1.5-pro",
}


def concordance(scores: np.ndarray, values: np.ndarray) -> tuple[float, np.ndarray]:
    """Share of pairs of unlike scores that values order alike, and each item's influence on it.

    Binary scores: the AUC. The influence sums to 0; the variance of the share is the sum of its squares.
    """
    binary = set(np.unique(scores)) <= {0.0, 1.0}
    if binary:
        right, wrong = scores == 1, scores == 0
        p, n = right.sum(), wrong.sum()
        if not p or not n:
            return np.nan, np.zeros(len(scores))
        ranks = rankdata(values)
        share = np.empty(len(scores))
        share[right] = (ranks[right] - rankdata(values[right])) / n
        share[wrong] = 1 - (ranks[wrong] - rankdata(values[wrong])) / p
        mean = share[right].mean()
        influence = np.where(right, (share - mean) / p, (share - mean) / n)
        return float(mean), influence
    lead = np.sign(scores[:, None] - scores)
    agree = (np.sign(values[:, None] - values) * lead + 1) / 2 * (lead != 0)
    pairs = (lead != 0).sum()
    if not pairs:
        return np.nan, np.zeros(len(scores))
    mean = agree.sum() / pairs
    return float(mean), 2 * (agree.sum(1) - mean * (lead != 0).sum(1)) / pairs


def within(scores: np.ndarray, values: np.ndarray, *, least: int = 20) -> tuple[float, np.ndarray, int]:
    """Mean concordance over candidates [candidate, item] (NaN: no outcome), influence of each item, candidates."""
    means, total = [], np.zeros(scores.shape[1])
    for y, z in zip(scores, values, strict=True):
        there = ~np.isnan(y)
        if there.sum() < least:
            continue
        mean, influence = concordance(y[there], z[there])
        if np.isnan(mean):
            continue
        means.append(mean)
        total[there] += influence
    return (float(np.mean(means)), total / len(means), len(means)) if means else (np.nan, total, 0)


def interval(values: np.ndarray) -> tuple[float, float]:
    """Mean and 1.96 standard errors, in points."""
    return 100 * float(values.mean()), 196 * float(values.std(ddof=1)) / len(values) ** 0.5


def zoo_gain(scores: np.ndarray, choice: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Score of the chosen candidate less that of the reference, [item]."""
    at = np.arange(scores.shape[1])
    return scores[choice, at] - scores[reference, at]


def guarded(
    logits: np.ndarray, reference: np.ndarray, variance: np.ndarray, *, kappa: float, margin: float
) -> np.ndarray:
    """Leave the reference [item] only where the lead's lower bound exceeds the margin; [item]."""
    at = np.arange(logits.shape[1])
    lead = logits - logits[reference, at]
    deviation = np.sqrt(variance + variance[reference, at])
    bound = lead - kappa * deviation - margin
    bound[reference, at] = 0
    return np.argmax(bound, 0)


def random_zoos(
    scores: np.ndarray,
    level: np.ndarray,
    choose: Callable[[np.ndarray], np.ndarray],
    *,
    draws: int = 60,
    least: int = 20,
) -> list[np.ndarray]:
    """Gain over the best single by level [candidate, item], five of eight neighbours by it; per-item gains of each draw.

    `choose(zoo)` gives the chosen position within the zoo of each of the dataset's items.
    """
    rng, gains, order = np.random.default_rng(1), [], np.argsort(-level.mean(1))
    for _ in range(draws):
        start = rng.integers(0, max(1, len(order) - 7))
        zoo = rng.choice(order[start : start + 8], min(5, len(order)), replace=False)
        full = ~np.isnan(scores[zoo]).any(0)
        if full.sum() < least:
            continue
        gain = np.full(scores.shape[1], np.nan)
        best = np.argmax(level[zoo][:, full], 0)
        gain[full] = zoo_gain(scores[zoo][:, full], choose(zoo)[full], best)
        gains.append(gain)
    return gains


def pooled_gain(gains: list[np.ndarray]) -> tuple[float, float, int]:
    """Mean over draws, 1.96 standard errors over items (an item's mean over draws), items."""
    table = np.stack(gains)
    weight = (~np.isnan(table)).sum(0)
    there = weight > 0
    mean = np.nanmean(np.nanmean(table, 1))
    item = np.nansum(table, 0)[there] - weight[there] * mean
    error = np.sqrt((item**2).sum()) / weight.sum()
    return 100 * float(mean), 196 * float(error), int(there.sum())


def broad_zoos(shared: Path) -> dict[str, tuple[list[str], list[str]]]:
    """Candidates and datasets of the nine zoos."""
    zoos = json.loads((shared / "broad" / "splits.json").read_text("utf-8"))["zoos"]
    return {name: (zoo["candidates"], zoo["datasets"]) for name, zoo in zoos.items()}
