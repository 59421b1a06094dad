"""One file of everything tuned, and a check that this machine reads texts as the GPU did.

python export.py WEIGHTS.npz CONSTANTS.pt ENCODINGS.npz bundle.npz TARGET.npz
"""

import sys
from pathlib import Path

import numpy as np
import torch
from encoders import Encoder, e5_file, mean_pool, read_e5, token_ids
from features import padded
from torch.nn import functional as F  # noqa: N812 - its common name

from network import EvidenceNetwork


@torch.inference_mode()
def main(weights: Path, constants: Path, encodings: Path, bundle: Path, target: Path) -> None:
    """Write, then compare 64 items."""
    loaded = dict(np.load(weights))
    kernels = {f"constants.{name}": value.numpy() for name, value in torch.load(constants).items()}
    np.savez(target, **loaded, **kernels)
    tensors, tokenizer = read_e5(e5_file())
    encoder = Encoder(tensors, layers=6)
    encoder.adapt(32)
    for name in encoder.adapters:
        encoder.adapters[name].data = torch.from_numpy(loaded[f"encoder.adapters.{name}"].astype(np.float32))
    head = EvidenceNetwork(384)
    head.load_state_dict(
        {
            n.removeprefix("head."): torch.from_numpy(v.astype(np.float32))
            for n, v in loaded.items()
            if n.startswith("head.")
        }
    )
    head.eval()
    at = np.random.default_rng(0).choice(30000, 64, replace=False)
    texts = np.load(bundle)["text"][at].tolist()
    ids, present = padded(token_ids(texts, encoder="e5", tokenizer=tokenizer, budget=128))
    pooled = mean_pool(encoder(ids, present), present)
    encoded = head.encode(pooled)
    sketch = F.normalize(
        F.linear(
            pooled, *(torch.from_numpy(loaded[f"sketch.{p}"].astype(np.float32)) for p in ("weight", "bias"))
        ),
        dim=1,
    )
    known = np.load(encodings)
    print(
        "difficulty: largest difference",
        float(np.abs(encoded.difficulty.numpy() - known["difficulty"][at]).max()),
        "spread",
        float(known["difficulty"].std()),
    )
    for name, mine in (("keys", encoded.keys[0]), ("raw", sketch)):
        other = F.normalize(
            torch.from_numpy((known[name][0] if name == "keys" else known[name])[at].astype(np.float32)),
            dim=1,
        )
        print(name, "least cosine", float((mine * other).sum(1).min()))


if __name__ == "__main__":
    main(*(Path(part) for part in sys.argv[1:]))
