"""States of the frozen layers, computed once and kept on disk.

Tuning leaves the backbone's first layers as they are, so that what they make of an instruction never changes: computing
it once saves more than half of every epoch. Shards are written whole, so that an interrupted run resumes after the last
one.
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from modelsat.network.backbone import Backbone, TokenBatch, causal_visibility, pad
from modelsat.progress import Progress, no_progress

SHARD = 512
BATCH = 16


def token_key(ids: Sequence[int]) -> str:
    """Name of a token sequence in the cache."""
    return hashlib.sha256(np.asarray(ids, dtype=np.int32).tobytes()).hexdigest()[:24]


class StateCache:
    """States [position, hidden] after the frozen layers, fp16, by token sequence.

    Args:
        folder: Where shards are kept; one folder belongs to one backbone and depth.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._files: list[Any] = []
        self._file_of: dict[str, int] = {}
        for path in sorted(folder.glob("shard-*.safetensors")):
            self._open(path)

    def _open(self, path: Path) -> None:
        file: Any = safe_open(path, framework="pt")
        for key in file.keys():  # noqa: SIM118  (safe_open is no mapping)
            self._file_of[key] = len(self._files)
        self._files.append(file)

    def __contains__(self, key: str) -> bool:
        return key in self._file_of

    def add(self, states: dict[str, Tensor]) -> None:
        """Write one shard."""
        path = self.folder / f"shard-{len(self._files):05d}.safetensors"
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        save_file({key: value.half().contiguous() for key, value in states.items()}, temporary)
        temporary.rename(path)
        self._open(path)

    def get(self, key: str) -> Tensor:
        """The states under one key, fp32."""
        tensor: Tensor = self._files[self._file_of[key]].get_tensor(key)
        return tensor.float()

    def read(self, sequences: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """States of several sequences, padded at the end.

        Returns:
            [batch, position, hidden] fp32 and lengths [batch].
        """
        rows = [self.get(token_key(ids)) for ids in sequences]
        return (
            torch.nn.utils.rnn.pad_sequence(rows, batch_first=True),
            torch.tensor([len(row) for row in rows]),
        )


@torch.inference_mode()
def fill_states(
    cache: StateCache,
    backbone: Backbone,
    sequences: Sequence[Sequence[int]],
    *,
    stop: int,
    progress: Progress = no_progress,
) -> None:
    """Compute what the cache lacks.

    Args:
        cache: Filled in place, shard by shard.
        backbone: The backbone without adapters.
        sequences: Token sequences.
        stop: How many layers are frozen.
        progress: Called with (sequences done, sequences missing at the start).
    """
    missing = {token_key(ids): ids for ids in sequences}
    missing = {key: ids for key, ids in missing.items() if key not in cache}
    order = sorted(missing, key=lambda key: len(missing[key]))
    for shard in range(0, len(order), SHARD):
        states: dict[str, Tensor] = {}
        for start in range(shard, min(shard + SHARD, len(order)), BATCH):
            keys = order[start : min(start + BATCH, shard + SHARD)]
            batch = pad([missing[key] for key in keys])
            output = frozen_states(backbone, batch, stop=stop)
            for key, row, length in zip(keys, output, batch.lengths.tolist(), strict=True):
                states[key] = row[:length].clone()
        cache.add(states)
        progress("states of the frozen layers", min(shard + SHARD, len(order)), len(order))


def frozen_states(backbone: Backbone, batch: TokenBatch, *, stop: int) -> Tensor:
    """[batch, position, hidden] after the first `stop` layers."""
    positions = torch.arange(batch.ids.shape[1])[None].expand(len(batch.ids), -1)
    return backbone.run(
        backbone.embed(batch.ids),
        positions=positions,
        visible=causal_visibility(batch.present),
        stop=stop,
    )
