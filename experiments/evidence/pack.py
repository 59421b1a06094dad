"""Everything that `tune.py` reads, small enough to carry: outcomes, token ids, encoders in 8 bits a weight.

python pack.py bundle.npz FOLDER
"""

import sys
from pathlib import Path

import numpy as np
from encoders import e5_file, read_e5, read_minilm, token_ids

from modelsat.records.splits import question_of

BUDGET = 128


def main(bundle: Path, target: Path) -> None:
    """Write the folder."""
    target.mkdir(parents=True, exist_ok=True)
    raw = np.load(bundle)
    texts = raw["text"].tolist()
    np.savez_compressed(
        target / "world.npz",
        **{
            name: raw[name]
            for name in ("models", "dataset", "origin", "part", "fold", "permissive", "model", "item")
        },
        score=raw["score"].astype(np.float16),
        any_unseen=raw["unseen"] | raw["unseen_validation"],
        group=np.where(raw["dataset"] == "mmlu_pro", raw["category"], raw["task"]),
        by_task=np.isin(raw["origin"], ("reasoning_gym", "haerae_logical_puzzles")),
    )
    stems = {at: question_of(text) for at, text in enumerate(texts) if question_of(text) != text}
    for name, read in (("minilm", read_minilm), ("e5", lambda: read_e5(e5_file()))):
        tensors, tokenizer = read()
        rows = token_ids(texts + list(stems.values()), encoder=name, tokenizer=tokenizer, budget=BUDGET)
        stem_of = np.arange(len(texts))
        stem_of[list(stems)] = len(texts) + np.arange(len(stems))
        flat = np.concatenate(rows)
        used, ids = np.unique(flat, return_inverse=True)
        np.savez_compressed(
            target / f"{name}-texts.npz",
            ids=ids.astype(np.uint16),
            lengths=np.array([len(row) for row in rows], np.uint16),
            stem_of=stem_of,
            used=used,
        )
        small = {}
        for key, value in tensors.items():
            value = value[used] if key == "word" else value
            if value.ndim == 2 and min(value.shape) > 2:
                # e5's blocks of 32 weights have 16 values each, which compress to 4 bits again.
                block, most = (32, 8) if name == "e5" else (value.shape[1], 127)
                blocks = value.reshape(len(value), -1, block)
                scale = np.abs(blocks).max(2, keepdims=True) / most + 1e-12
                small[key] = np.round(blocks / scale).astype(np.int8).reshape(value.shape)
                small[f"{key}//scale"] = scale[..., 0].astype(np.float16)
            else:
                small[key] = value.astype(np.float32)
        np.savez_compressed(target / f"{name}.npz", **small)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
