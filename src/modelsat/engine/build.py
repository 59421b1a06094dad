"""Building an engine: packaged weights and a checkpoint's adapters become graphs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from modelsat.engine.cache import DECODER_FILE, SENTENCE_FILE, TOKENIZER_FILE
from modelsat.engine.decoder import build_decoder
from modelsat.engine.gguf_file import GGUFFile
from modelsat.engine.sentence import EncoderSizes, build_sentence_encoder
from modelsat.engine.sizes import DecoderSizes, Precision
from modelsat.engine.tokens import DecoderTokens
from modelsat.errors import CheckpointError
from modelsat.network.checkpoint import CONFIG_FILE, WEIGHTS_FILE, Checkpoint
from modelsat.network.weights import EMBEDDED_ENCODER, encoder_folder, weights_identity
from modelsat.types import FloatArray


def build_engine(
    checkpoint: Checkpoint, folder: Path, source: Path, target: Path, *, precision: Precision
) -> DecoderSizes:
    """Write two graphs and the backbone's tokenizer.

    Args:
        checkpoint: What was read from `folder`.
        folder: The checkpoint's folder, for errors.
        source: The backbone as GGUF.
        target: Where to write.
        precision: Of linear maps.

    Returns:
        Sizes of the backbone.

    Raises:
        CheckpointError: The adapters belong to other backbone weights, or do not fit them.
    """
    file = GGUFFile(source)
    layers = checkpoint.config.layers or file.sizes.layers
    tokens = DecoderTokens.from_gguf(file)
    _check_identity(checkpoint, folder, file, tokens, layers)
    merged = _Adapted(file, checkpoint.adapters, alpha=checkpoint.config.lora_alpha)
    decoder = build_decoder(
        file.sizes,
        layers=layers,
        embeddings=file.embeddings(),
        layer=merged.layer,
        final_norm=file.final_norm(),
        precision=precision,
    )
    if merged.left:
        raise CheckpointError(
            f"{folder / WEIGHTS_FILE}: adapter '{sorted(merged.left)[0]}' fits no linear map of the backbone."
        )
    (target / DECODER_FILE).write_bytes(decoder.SerializeToString())
    tokens.save(target / TOKENIZER_FILE)
    encoder = Path(encoder_folder(EMBEDDED_ENCODER))
    sentence = build_sentence_encoder(_encoder_sizes(encoder), _encoder_weights(encoder), precision=precision)
    (target / SENTENCE_FILE).write_bytes(sentence.SerializeToString())
    return file.sizes


class _Adapted:
    """Layers with a checkpoint's adapters merged: W + alpha / rank * B A, in fp32.

    Attributes:
        left: Adapters that no layer took yet.
    """

    def __init__(self, file: GGUFFile, adapters: Mapping[str, FloatArray], *, alpha: int) -> None:
        self._file, self._adapters, self._alpha = file, adapters, alpha
        self.left = {name.rpartition(".")[0] for name in adapters}

    def layer(self, index: int) -> dict[str, FloatArray]:
        weights = self._file.layer(index)
        for name, weight in weights.items():
            module = f"layers.{index}.{name}"
            if module in self.left:
                weights[name] = weight + self._delta(module, weight)
                self.left.discard(module)
        return weights

    def _delta(self, module: str, weight: FloatArray) -> FloatArray:
        a, b = self._adapters.get(f"{module}.A"), self._adapters.get(f"{module}.B")
        if a is None or b is None:
            raise CheckpointError(f"adapter '{module}': A and B must be stored together.")
        if (b.shape[0], a.shape[1]) != weight.shape or a.shape[0] != b.shape[1]:
            raise CheckpointError(
                f"adapter '{module}': A is {list(a.shape)} and B is {list(b.shape)}; "
                f"the weight is {list(weight.shape)}."
            )
        return np.asarray((self._alpha / a.shape[0]) * (b @ a), dtype=np.float32)


def _check_identity(
    checkpoint: Checkpoint, folder: Path, file: GGUFFile, tokens: DecoderTokens, layers: int
) -> None:
    yes = file.output_direction(tokens.encode("Yes", budget=8)[0])
    identity = weights_identity([*file.named_weights(layers), ("yes_direction", yes)])
    if identity != checkpoint.backbone_identity:
        raise CheckpointError(
            f"{folder / CONFIG_FILE}: field 'backbone_identity' is {checkpoint.backbone_identity[:12]}..., but the "
            f"embedded backbone found here is {identity[:12]}...; install the version it was tuned with."
        )


def _encoder_sizes(folder: Path) -> EncoderSizes:
    config: dict[str, Any] = json.loads((folder / "config.json").read_text("utf-8"))
    return EncoderSizes(
        layers=int(config["num_hidden_layers"]),
        hidden=int(config["hidden_size"]),
        heads=int(config["num_attention_heads"]),
        epsilon=float(config["layer_norm_eps"]),
    )


def _encoder_weights(folder: Path) -> dict[str, FloatArray]:
    from safetensors.numpy import load_file

    return {
        name.removeprefix("bert."): value.astype(np.float32)
        for name, value in load_file(folder / "model.safetensors").items()
        if value.dtype.kind == "f"
    }
