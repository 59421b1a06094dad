"""Within-candidate order on Korean, English and Japanese items, for several runs.

python languages.py crossfit|test NAME=RUN.npz ...
"""

import sys
from pathlib import Path

import numpy as np
from crossfit import Bundle
from measure import within


def main(part: str, runs: dict[str, Path]) -> None:
    """Print one row per group of items."""
    bundle = Bundle(Path("bundle.npz"))
    inside = bundle.inside if part == "crossfit" else bundle.part == "test"
    korean = np.char.endswith(bundle.task, "_ko")
    puzzles = bundle.dataset == "haerae_logical_puzzles"
    groups = {
        "haerae, Korean": inside & puzzles & korean,
        "haerae, English": inside & puzzles & ~korean,
        "shaberi, Japanese": inside & (bundle.origin == "shaberi_ja"),
    }
    loaded = {name: np.load(path)["all"].astype(np.float32) for name, path in runs.items()}
    for label, mask in groups.items():
        at = np.flatnonzero(mask & np.all([~np.isnan(v[0]).all(0) for v in loaded.values()], 0))
        row = []
        for name, values in loaded.items():
            table = values[2] if name == "knn" else values[:-1].sum(0)
            row.append(f"{name} {within(bundle.scores[:, at], np.nan_to_num(table[:, at]))[0]:.3f}")
        print(label, len(at), *row)


if __name__ == "__main__":
    main(sys.argv[1], {name: Path(path) for name, path in (text.split("=") for text in sys.argv[2:])})
