"""Instructions as tuning reads them: cached states and sentence embeddings, with and without options."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelsat.network.backbone import Backbone, causal_visibility, pad
from modelsat.network.encoder import TextEncoder
from modelsat.network.exam_network import pool
from modelsat.progress import Progress, no_progress
from modelsat.scoring.weights import weights_identity
from modelsat.tuning.precision import backbone_precision
from modelsat.tuning.states import StateCache, fill_states, token_key

_CHUNK = 256


class InstructionStore:
    """Tuning or validation instructions, ready for the head.

    Args:
        texts: With options.
        stems: Without.
        backbone: The backbone; adapters may be added after construction.
        encoder: The sentence encoder.
        tokens: Token budget.
        frozen_layers: Layers whose states are cached.
        folder: Cache folder of this backbone and token budget; sentence embeddings, which depend on neither, go
            beside it.
        progress: Called with (what, done, in all).
    """

    def __init__(
        self,
        texts: Sequence[str],
        stems: Sequence[str],
        *,
        backbone: Backbone,
        encoder: TextEncoder,
        tokens: int,
        frozen_layers: int,
        folder: Path,
        progress: Progress,
    ) -> None:
        self.backbone = backbone
        self.frozen_layers = frozen_layers
        self.folder = folder
        self._progress = progress
        self._tokens = {
            False: [backbone.tokenize(text, budget=tokens) for text in texts],
            True: [backbone.tokenize(stem, budget=tokens) for stem in stems],
        }
        self.lengths = np.array([len(ids) for ids in self._tokens[False]])
        self._states = self._frozen_states() if frozen_layers else None
        self._embeddings = {
            False: self.embed(encoder, texts),
            True: self.embed(encoder, stems),
        }

    def embeddings(self, rows: NDArray[np.intp], *, stem: bool) -> Tensor:
        """[row, text] sentence embeddings."""
        return self._embeddings[stem][torch.from_numpy(rows)]

    def pooled(self, rows: NDArray[np.intp], *, stem: bool) -> Tensor:
        """[row, 2 hidden] pooled final states through the tuned layers, with gradients."""
        sequences = [self._tokens[stem][row] for row in rows]
        batch = pad(sequences)
        with backbone_precision():
            final = self.backbone.run(
                self.backbone.embed(batch.ids) if self._states is None else self._states.read(sequences)[0],
                positions=torch.arange(batch.ids.shape[1])[None].expand(len(rows), -1),
                visible=causal_visibility(batch.present),
                start=self.frozen_layers,
            )
        return pool(final.float(), batch.lengths)

    def _frozen_states(self) -> StateCache:
        states = StateCache(self.folder / f"states-{self.frozen_layers}")
        fill_states(
            states,
            self.backbone,
            [*self._tokens[False], *self._tokens[True]],
            stop=self.frozen_layers,
            progress=self._progress,
        )
        return states

    @torch.no_grad()
    def all_pooled(self, what: str) -> Tensor:
        """[instruction, 2 hidden] of every instruction with options, without gradients."""
        order = np.argsort(self.lengths, kind="stable")
        pooled = torch.zeros(len(order), 2 * self.backbone.hidden_size)
        for start in range(0, len(order), 32):
            rows = order[start : start + 32]
            pooled[torch.from_numpy(rows)] = self.pooled(rows, stem=False)
            self._progress(what, min(start + 32, len(order)), len(order))
        return pooled

    def untuned_pooled(self) -> Tensor:
        """[instruction, 2 hidden] pooled states of the untuned backbone, cached on disk."""
        cache = StateCache(self.folder / f"pooled-{len(self.backbone.layers)}")
        missing = [row for row, ids in enumerate(self._tokens[False]) if token_key(ids) not in cache]
        for start in range(0, len(missing), _CHUNK):
            rows = np.array(missing[start : start + _CHUNK])
            rows = rows[np.argsort(self.lengths[rows])]
            found: dict[str, Tensor] = {}
            with torch.no_grad():
                for at in range(0, len(rows), 32):
                    part = rows[at : at + 32]
                    values = self.pooled(part, stem=False)
                    for row, value in zip(part, values, strict=True):
                        found[token_key(self._tokens[False][row])] = value[None].clone()
            cache.add(found)
            self._progress("states of the untuned backbone", min(start + _CHUNK, len(missing)), len(missing))
        return cache.read(self._tokens[False])[0][:, 0]

    def embed(self, encoder: TextEncoder, texts: Sequence[str]) -> Tensor:
        """[text, hidden] sentence embeddings, cached on disk."""
        return SentenceEmbeddings(encoder, self.folder.parent).get(texts, progress=self._progress)


class SentenceEmbeddings:
    """Embeddings of texts by one sentence encoder, kept on disk in fp16.

    Args:
        encoder: The sentence encoder.
        folder: Under which they are kept, by the encoder's weights.
    """

    def __init__(self, encoder: TextEncoder, folder: Path) -> None:
        identity = weights_identity(
            (name, value.detach().float().cpu().numpy()) for name, value in encoder.model.named_parameters()
        )
        self._encoder = encoder
        self._cache = StateCache(folder / f"embeddings-{encoder.pooling}-{identity[:16]}")

    def get(self, texts: Sequence[str], *, progress: Progress = no_progress) -> Tensor:
        """[text, hidden] unit vectors; progress is called with (what, done, in all)."""
        read = [(self._encoder.prefix + text).encode("utf-8", "replace") for text in texts]
        keys = [hashlib.sha256(text).hexdigest()[:24] for text in read]
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._cache}
        order = sorted(missing, key=lambda key: len(missing[key]))
        for start in range(0, len(order), _CHUNK):
            part = order[start : start + _CHUNK]
            vectors = torch.from_numpy(self._encoder.encode([missing[key] for key in part]))
            self._cache.add({key: vector[None].clone() for key, vector in zip(part, vectors, strict=True)})
            progress("sentence embeddings", min(start + _CHUNK, len(order)), len(order))
        return torch.cat([self._cache.get(key) for key in keys])
