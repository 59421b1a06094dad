"""Frozen features of all items: mean-pooled states of an encoder after some depths, float16.

python features.py bundle.npz minilm 3,6 OUT      # OUT/minilm-3.npy, OUT/minilm-6.npy, OUT/minilm-ids.npz
"""

import os
import sys
from pathlib import Path

import numpy as np
import torch
from encoders import Encoder, e5_file, read_e5, read_minilm, token_ids

BUDGET, TOKENS_A_BATCH = int(os.environ.get("BUDGET", "128")), 8192


def padded(rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids [text, token] and where they are no padding."""
    length = max(map(len, rows))
    ids = torch.zeros(len(rows), length, dtype=torch.long)
    present = torch.zeros(len(rows), length, dtype=torch.bool)
    for at, row in enumerate(rows):
        ids[at, : len(row)] = torch.tensor(row)
        present[at, : len(row)] = True
    return ids, present


@torch.inference_mode()
def main(
    bundle: Path, name: str, depths: tuple[int, ...], target: Path, shard: int = 0, shards: int = 1
) -> None:
    """Write features and token ids."""
    texts = np.load(bundle)["text"].tolist()
    tensors, tokenizer = read_minilm() if name == "minilm" else read_e5(e5_file())
    rows = token_ids(texts, encoder=name, tokenizer=tokenizer, budget=BUDGET)
    lengths = np.array([len(row) for row in rows])
    np.savez_compressed(
        target / f"{name}-ids.npz",
        ids=np.concatenate(rows).astype(np.int32),
        lengths=lengths.astype(np.int16),
    )
    print(
        f"{name}: {lengths.mean():.0f} tokens a text, {len(np.unique(np.concatenate(rows)))} kinds",
        flush=True,
    )
    if not depths:
        return
    encoder = Encoder(tensors, layers=max(depths)).eval()
    weights = encoder.weights(torch.bfloat16)
    found = np.zeros((len(depths), len(rows), 384), np.float16)
    order = np.argsort(lengths)[shard::shards]
    start = 0
    while start < len(order):
        longest = lengths[order[min(start + 64, len(order) - 1)]]
        at = order[start : start + max(8, TOKENS_A_BATCH // longest)]
        start += len(at)
        for depth, values in enumerate(
            encoder(*padded([rows[i] for i in at]), weights=weights, depths=depths)
        ):
            found[depth, at] = values.float().numpy()
        if start % 4096 < len(at):
            print(start, flush=True)
    for depth, values in zip(depths, found, strict=True):
        np.save(
            target / (f"{name}-{depth}.npy" if shards == 1 else f"{name}-{depth}.part{shard}.npy"), values
        )


if __name__ == "__main__":
    wanted = tuple(int(part) for part in sys.argv[3].split(",") if part)
    main(Path(sys.argv[1]), sys.argv[2], wanted, Path(sys.argv[4]), *map(int, sys.argv[5:]))
