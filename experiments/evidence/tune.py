"""Tune an encoder end to end with the evidence network, on a GPU (or, slowly, a CPU).

    python tune.py FOLDER --job minilm:6:0:120 --job e5:6:0:120 -o OUT     # encoder:layers:fold:seconds[:setting=value...]

FOLDER is what `pack.py` wrote. A job runs for its seconds or `limit` steps; the learning rate follows the clock, so
that jobs that share a GPU are comparable. Each writes its encodings of all items, its constants, and (fold "final") its weights.
"""

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from encoders import Encoder, mean_pool
from episodes import Episodes, Losses, World, loss_of
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its common name

from network import EvidenceNetwork

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
KIND = torch.bfloat16 if DEVICE == "cuda" else torch.float32
SKETCH = 96  # width of what is kept of the sentence embedding
DEFAULTS = {
    "rank": 32, "pool": 768, "lr": 6e-4, "head_lr": 1.5e-3, "decay": 0.02, "dropout": 0.2, "rank_weight": 0.3, "choice": 0.0,
    "imitation": 0.5, "hidden": 256, "key": 64, "kernels": 2, "stem": 0.3, "seed": 0, "origins": 4, "own": 0, "limit": 900,
}  # fmt: skip


def restore(path: Path) -> dict[str, np.ndarray]:
    """Tensors from 8 bits a weight with a scale a block."""
    raw = np.load(path)
    tensors = {}
    for name in raw.files:
        if not name.endswith("//scale"):
            tensors[name] = raw[name].astype(np.float32)
            if f"{name}//scale" in raw:
                scale = raw[f"{name}//scale"].astype(np.float32)
                blocks = tensors[name].reshape(len(scale), scale.shape[1], -1) * scale[..., None]
                tensors[name] = blocks.reshape(tensors[name].shape)
    return tensors


class Texts:
    """Token ids of all items, and of their stems where they have options.

    Args:
        path: From `pack.py`.
    """

    def __init__(self, path: Path) -> None:
        raw = np.load(path)
        self.ids, self.start = (
            torch.from_numpy(raw["ids"].astype(np.int32)).to(DEVICE),
            np.cumsum([0, *raw["lengths"]]),
        )
        self.stem_of = raw["stem_of"]  # [item] row of its stem, or itself

    def batches(self, rows: np.ndarray, *, tokens: int) -> list[tuple[np.ndarray, Tensor, Tensor]]:
        """(positions in rows, ids, present) of similar length."""
        length = self.start[rows + 1] - self.start[rows]
        order = np.argsort(-length, kind="stable")
        result, at = [], 0
        while at < len(order):
            longest = int(length[order[at]])
            mine = order[at : at + max(1, tokens // longest)]
            at += len(mine)
            first = torch.from_numpy(self.start[rows[mine]]).to(DEVICE)
            much = torch.from_numpy(length[mine]).to(DEVICE)
            step = torch.arange((longest + 7) // 8 * 8, device=DEVICE)
            present = step < much[:, None]
            where = (first[:, None] + step).clamp(max=len(self.ids) - 1)
            result.append((mine, self.ids[where].long() * present, present))
        return result


class Model(nn.Module):
    """Encoder, head, and the sketch of the frozen sentence embedding."""

    def __init__(self, encoder: Encoder, setting: dict[str, float]) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = EvidenceNetwork(
            384, hidden=int(setting["hidden"]), key=int(setting["key"]), kernels=int(setting["kernels"]),
            own_keys=bool(setting["own"]), dropout=setting["dropout"],
        )  # fmt: skip
        self.sketch = nn.Linear(384, SKETCH)

    def pooled(self, texts: Texts, rows: np.ndarray, *, tokens: int = 49152) -> Tensor:
        """[row, width] mean states."""
        parts, order, weights = [], [], self.encoder.weights(KIND)
        for at, ids, present in texts.batches(rows, tokens=tokens):
            parts.append(mean_pool(self.encoder(ids, present, weights=weights).float(), present))
            order.append(at)
        back = np.argsort(np.concatenate(order))
        return torch.cat(parts)[torch.from_numpy(back).to(DEVICE)]


@torch.inference_mode()
def sentence_sketch(encoder: Encoder, texts: Texts, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Frozen sentence embeddings in their first principal directions, unit vectors; mean and directions."""
    rows, found, weights = np.arange(count), torch.zeros(count, 384, device=DEVICE), encoder.weights(KIND)
    for at, ids, present in texts.batches(rows, tokens=131072):
        found[torch.from_numpy(at).to(DEVICE)] = mean_pool(
            encoder(ids, present, weights=weights).float(), present
        )
    found = F.normalize(found, dim=1)
    mean = found.mean(0)
    _, vectors = torch.linalg.eigh((found - mean).T @ (found - mean))
    directions = vectors[:, -SKETCH:]
    return F.normalize((found - mean) @ directions, dim=1), mean, directions


def read_job(text: str) -> tuple[str, int, str, float, dict[str, float]]:
    """encoder:layers:fold:seconds[:setting=value...]."""
    encoder, layers, fold, seconds, *rest = text.split(":")
    return (
        encoder,
        int(layers),
        fold,
        float(seconds),
        DEFAULTS | {k: float(v) for k, v in (part.split("=") for part in rest)},
    )


def quantised(values: np.ndarray) -> np.ndarray:
    """Unit vectors in 8 bits."""
    return np.round(values * 127).astype(np.int8)


def run(folder: Path, job: str, target: Path) -> None:
    """Tune, then write."""
    name, layers, fold, seconds, setting = read_job(job)
    torch.manual_seed(int(setting["seed"]))
    data = np.load(folder / "world.npz")
    scores = np.full((len(data["models"]), len(data["part"])), np.nan, np.float32)
    scores[data["model"], data["item"]] = data["score"]
    use = np.isin(data["part"], ("tuning", "validation")) & data["permissive"]
    if fold != "final":
        use &= data["fold"] != int(fold)
    at, seen = np.flatnonzero(use), np.flatnonzero(~data["any_unseen"])
    group = np.char.add(np.char.add(data["dataset"], "|"), data["group"])
    world = World(
        scores[np.ix_(seen, at)],
        np.where(data["origin"] == "shaberi_ja", "shaberi_ja", data["dataset"])[at],
        group[at],
        data["by_task"][at],
    )
    texts = Texts(folder / f"{name}-texts.npz")
    tensors = restore(folder / f"{name}.npz")
    depth = 1 + max(int(key.split(".")[1]) for key in tensors if key.startswith("layer"))
    whole = Encoder(tensors, layers=depth).to(DEVICE).eval()
    wanted, mean, directions = sentence_sketch(whole, texts, len(data["part"]))
    encoder = Encoder(tensors, layers=layers)
    model = Model(encoder, setting)
    if setting["rank"]:
        encoder.adapt(int(setting["rank"]))
    else:
        for key, value in encoder.tensors.items():
            value.requires_grad_(key.startswith("layer"))
    model = model.to(DEVICE).train()
    tuned = [p for p in encoder.parameters() if p.requires_grad]
    head = [p for n, p in model.named_parameters() if not n.startswith("encoder.") and p.ndim > 1]
    rest = [p for n, p in model.named_parameters() if not n.startswith("encoder.") and p.ndim <= 1]
    rates = (setting["lr"], setting["head_lr"], setting["head_lr"])
    opt = torch.optim.AdamW(
        [
            {"params": tuned, "weight_decay": setting["decay"]},
            {"params": head, "weight_decay": setting["decay"]},
            {"params": rest, "weight_decay": 0.0},
        ]
    )
    episodes = Episodes(
        world, pool=int(setting["pool"]), origins=int(setting["origins"]), seed=int(setting["seed"])
    )
    losses = Losses(rank=setting["rank_weight"], choice=setting["choice"])
    start, step, log = time.time(), 0, []
    while (spent := max((time.time() - start) / seconds, step / setting["limit"])) < 1:
        rate = min(1.0, step / 30) * 0.5 * (1 + math.cos(math.pi * spent))
        for part, base in zip(opt.param_groups, rates, strict=True):
            part["lr"] = base * rate
        episode = episodes.draw()
        rows = at[episode.items]
        read = np.where(episodes.rng.random(len(rows)) < setting["stem"], texts.stem_of[rows], rows)
        pooled = model.pooled(texts, read)
        encoded = model.head.encode(pooled)
        asked, support = (
            torch.arange(episode.asked, device=DEVICE),
            torch.arange(episode.asked, len(rows), device=DEVICE),
        )
        scored = model.head(
            encoded[support],
            torch.from_numpy(episode.scores[:, episode.asked :] * (episode.weights > 0)).to(DEVICE),
            torch.from_numpy(episode.weights).to(DEVICE),
            encoded[asked],
        )
        parts = loss_of(scored, episode, losses, rng=episodes.rng, device=DEVICE)
        imitated = F.normalize(model.sketch(pooled), dim=1)
        parts["imitation"] = 1 - (imitated * wanted[torch.from_numpy(rows).to(DEVICE)]).sum(1).mean()
        loss = parts["loss"] + setting["imitation"] * parts["imitation"]
        opt.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        step += 1
        log.append(torch.stack([parts[key].detach() for key in ("bce", "rank", "choice", "imitation")]))
        if step % 50 == 0:
            means = torch.stack(log[-50:]).mean(0).tolist()
            print(
                f"{job} step {step} {time.time() - start:.0f}s bce {means[0]:.4f} rank {means[1]:.4f} choice {means[2]:+.4f} imitation {means[3]:.3f}",
                flush=True,
            )
    model.eval()
    with torch.inference_mode():
        pooled = model.pooled(texts, np.arange(len(data["part"])), tokens=131072)
        encoded = model.head.encode(pooled)
        imitated = F.normalize(model.sketch(pooled), dim=1)
        label = job.replace(":", "_").replace("=", "-")
        constants = {n: p.detach().cpu().numpy() for n, p in model.head.named_parameters() if "." not in n}
        np.savez_compressed(
            target / f"{label}.npz",
            difficulty=encoded.difficulty.cpu().numpy(),
            gain=encoded.gain.cpu().numpy().astype(np.float16),
            keys=quantised(encoded.keys[: int(setting["kernels"]) if setting["own"] else 1].cpu().numpy()),
            raw=quantised(imitated.cpu().numpy()),
            **constants,
        )
    if fold == "final":
        weights = {
            n: p.detach().cpu().numpy().astype(np.float16)
            for n, p in model.named_parameters()
            if p.requires_grad
        }
        np.savez(
            target / f"{label}-weights.npz",
            **weights,
            sketch_mean=mean.cpu().numpy(),
            sketch_directions=directions.cpu().numpy(),
        )
    print(json.dumps({"job": job, "steps": step, "seconds": round(time.time() - start)}), flush=True)


def main() -> None:
    """Run jobs one after another."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--job", action="append", required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    for job in args.job:
        run(args.folder, job, args.output)


if __name__ == "__main__":
    main()
