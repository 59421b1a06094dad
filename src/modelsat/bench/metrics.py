"""What is measured, by its published names; pure numpy.

Everywhere, `scores` is what candidates really achieved (the outcomes), `logits` and `probabilities` are what
a router said, and both are [instruction, candidate]. NaN in `scores` means that there is no outcome; such a
pair is left out.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from modelsat.statistics import DRAWS, Interval

Array = NDArray[np.floating]
Index = NDArray[np.intp]
ECE_BINS = 15
# Draws are made in chunks, so that memory stays at some 30 MB whatever the number of draws.
_CHUNK_CELLS = 1_000_000


def auc(scores: Array, logits: Array) -> float:
    """AUC (area under the ROC curve) over all (instruction, candidate) pairs.

    The probability that a solved pair ranks above a failed one.

    Scores between 0 and 1 count by halves: a pair is solved from 0.5 on. Ties in logits count one half.

    Args:
        scores: Any shape.
        logits: The same shape.

    Returns:
        From 0 to 1; NaN where all pairs are solved or all are failed.
    """
    known = ~np.isnan(scores)
    solved, said = scores[known] >= 0.5, logits[known].astype(np.float64)
    positives = int(solved.sum())
    negatives = len(solved) - positives
    if positives == 0 or negatives == 0:
        return float("nan")
    rank_sum = _mid_ranks(said)[solved].sum()
    return float((rank_sum - positives * (positives + 1) / 2) / (positives * negatives))


def within_candidate_auc(scores: Array, logits: Array) -> float:
    """Mean over candidates of each one's own AUC (wAUC): does the router know which instructions are hard?

    Returns:
        From 0 to 1; candidates that solve or fail everything are left out; NaN where none is left.
    """
    each = [auc(scores[:, column], logits[:, column]) for column in range(scores.shape[1])]
    defined = [value for value in each if not np.isnan(value)]
    return float(np.mean(defined)) if defined else float("nan")


def expected_calibration_error(scores: Array, probabilities: Array, bins: int = ECE_BINS) -> float:
    """ECE: mean gap between probability and mean score over equal-mass bins, weighted by their size.

    The bins hold equally many pairs each (also called adaptive ECE), not equal widths of probability.
    """
    known = ~np.isnan(scores)
    score, probability = scores[known].astype(np.float64), probabilities[known].astype(np.float64)
    if not len(score):
        return float("nan")
    order = np.argsort(probability, kind="stable")
    gaps = [
        abs(probability[part].mean() - score[part].mean()) * len(part)
        for part in np.array_split(order, min(bins, len(order)))
    ]
    return float(np.sum(gaps) / len(score))


def brier(scores: Array, probabilities: Array) -> float:
    """Brier score: mean squared difference between probability and score; lower is better."""
    return float(np.nanmean((probabilities.astype(np.float64) - scores) ** 2))


def achieved(scores: Array, chosen: Index) -> NDArray[np.float64]:
    """Score of the chosen candidate per instruction, [instruction]; its mean is the routing accuracy."""
    picked: NDArray[np.float64] = scores[np.arange(len(scores)), chosen].astype(np.float64)
    return picked


def best_single(tuning_scores: Array) -> int:
    """The best single model: the candidate with the highest mean score on tuning data, never on test data."""
    return int(np.nanmean(tuning_scores.astype(np.float64), axis=0).argmax())


def best_single_per_group(tuning_scores: Array, tuning_groups: Sequence[str], groups: Sequence[str]) -> Index:
    """The best single model per dataset (or category), chosen on tuning data.

    Args:
        tuning_scores: [tuning instruction, candidate].
        tuning_groups: Group of each tuning instruction.
        groups: Group of each instruction to route; one without tuning data falls back to the best single
            model.

    Returns:
        Chosen candidate per instruction to route, [instruction].
    """
    fallback = best_single(tuning_scores)
    membership = np.array(tuning_groups, dtype=np.str_)
    best = {str(group): best_single(tuning_scores[membership == group]) for group in np.unique(membership)}
    return np.array([best.get(group, fallback) for group in groups], dtype=np.intp)


def oracle(scores: Array) -> NDArray[np.float64]:
    """Score of the best candidate per instruction, the upper bound of routing, [instruction]."""
    best: NDArray[np.float64] = np.nanmax(scores.astype(np.float64), axis=1)
    return best


def gap_closed(routed: float, single: float, best_possible: float) -> float:
    """Share of the way from the best single model to the oracle; NaN where the two are equal."""
    distance = best_possible - single
    return float((routed - single) / distance) if distance > 0 else float("nan")


def regret(scores: Array, chosen: Index) -> float:
    """Mean score lost against the oracle."""
    return float((oracle(scores) - achieved(scores, chosen)).mean())


def selection_entropy(chosen: Index, candidates: int) -> float:
    """Entropy of who is chosen over its maximum: 0 (always one candidate) to 1 (all equally often)."""
    if candidates < 2:
        return 0.0
    share = np.bincount(chosen, minlength=candidates) / len(chosen)
    share = share[share > 0]
    return float(max(0.0, -(share * np.log(share)).sum() / np.log(candidates)))


def strongest_call_rate(chosen: Index, strongest: int) -> float:
    """Share of instructions sent to the strongest model, the one that is best on tuning data."""
    return float((chosen == strongest).mean())


def gap_closed_interval(
    routed: Array, single: Array, best_possible: Array, *, rng: np.random.Generator, draws: int = DRAWS
) -> Interval:
    """Gap closed with its paired bootstrap interval: numerator and denominator are resampled together.

    Args:
        routed: Score of the chosen per instruction, [instruction].
        single: Of the best single candidate, [instruction].
        best_possible: Of the oracle, [instruction].
        rng: Randomness.
        draws: How many resamples.
    """
    mean = gap_closed(float(routed.mean()), float(single.mean()), float(best_possible.mean()))
    pair = np.stack([routed - single, best_possible - single], axis=1).astype(np.float64)
    means = _resampled_means(pair, rng=rng, draws=draws)
    usable = means[means[:, 1] > 0]
    if np.isnan(mean) or not len(usable):
        return Interval(mean=mean, low=float("nan"), high=float("nan"))
    low, high = np.quantile(usable[:, 0] / usable[:, 1], [0.025, 0.975])
    return Interval(mean=mean, low=float(low), high=float(high))


def _resampled_means(
    values: NDArray[np.float64], *, rng: np.random.Generator, draws: int
) -> NDArray[np.float64]:
    """Means over rows drawn with replacement, [draw, column]."""
    n = len(values)
    chunk = max(1, _CHUNK_CELLS // n)
    parts = [
        values[rng.integers(0, n, size=(min(chunk, draws - start), n), dtype=np.int32)].mean(axis=1)
        for start in range(0, draws, chunk)
    ]
    means: NDArray[np.float64] = np.concatenate(parts)
    return means


def _mid_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1; equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    middle: NDArray[np.float64] = last - (counts - 1) / 2.0
    return middle[inverse]
