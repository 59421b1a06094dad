"""kNN on sentence embeddings, fitted on each candidate's own outcomes: the baseline, cached beside the predictions.

python neighbours.py crossfit|test minilm-6.npy OUT.npz
"""

import sys
from pathlib import Path

import numpy as np
from crossfit import Bundle, evidence_weights

SIZES, REACH = (20, 50, 100, 200), 2500


def neighbours(
    bundle: Bundle, embeddings: np.ndarray, weights: np.ndarray, support: np.ndarray, queries: np.ndarray
) -> np.ndarray:
    """[size, candidate, query]: mean score of the nearest items that a candidate has; at most a quarter of them."""
    result = np.full((len(SIZES), len(bundle.models), len(queries)), np.nan, np.float16)
    for name in np.unique(bundle.dataset[queries]):
        mine = np.flatnonzero(bundle.dataset[queries] == name)
        who = np.flatnonzero((~np.isnan(bundle.scores[:, queries[mine]])).any(1) & (weights.sum(1) >= 5))
        for start in range(0, len(mine), 512):
            block = mine[start : start + 512]
            close = embeddings[queries[block]] @ embeddings[support].T
            reach = min(REACH, close.shape[1])
            near = np.argpartition(-close, reach - 1, 1)[:, :reach]
            near = np.take_along_axis(near, np.argsort(-np.take_along_axis(close, near, 1), 1), 1)
            for row in who:
                has = weights[row, near] > 0
                rank = np.cumsum(has, 1)
                value = np.nan_to_num(bundle.scores[row, support])[near]
                for at, size in enumerate(SIZES):
                    use = has & (rank <= min(size, max(5, int(weights[row].sum()) // 4)))
                    found = use.sum(1)
                    result[at, row, block] = np.where(
                        found > 0, (value * use).sum(1) / np.maximum(found, 1), np.nan
                    )
    return result


def main(part: str, features: Path, target: Path) -> None:
    """Write kNN's predictions with the kinds of evidence of `crossfit.py`."""
    bundle = Bundle(target.parent / "bundle.npz")
    embeddings = np.load(features).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    kinds = ("all", "few", "others")
    result = {
        kind: np.full((len(SIZES), len(bundle.models), len(bundle.ids)), np.nan, np.float16) for kind in kinds
    }
    for fold in range(5) if part == "crossfit" else [None]:
        if fold is None:
            support = np.flatnonzero(bundle.part == "tuning")
            queries = np.flatnonzero(np.isin(bundle.part, ("test", "beyond")))
        else:
            support = np.flatnonzero(bundle.inside & (bundle.fold != fold))
            queries = np.flatnonzero(bundle.inside & (bundle.fold == fold))
        full = evidence_weights(bundle, support)
        result["all"][:, :, queries] = neighbours(bundle, embeddings, full, support, queries)
        few = evidence_weights(bundle, support, few=50)
        for name in np.unique(bundle.dataset[queries]):
            mine = queries[bundle.dataset[queries] == name]
            same = bundle.dataset[support] == name
            if same.any():
                result["few"][:, :, mine] = neighbours(bundle, embeddings, few * same, support, mine)
            result["others"][:, :, mine] = neighbours(bundle, embeddings, full * ~same, support, mine)
        print("fold", fold, flush=True)
    np.savez_compressed(target, **result)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
