"""Building an engine: packaged weights and a checkpoint's adapters become graphs."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from modelsat.errors import CheckpointError
from modelsat.onnx.decoder import build_decoder
from modelsat.onnx.gguf_file import GGUFFile
from modelsat.onnx.sentence import EncoderSizes, build_sentence_encoder
from modelsat.onnx.sizes import (
    DECODER_FILE,
    ENCODER_WEIGHTS,
    SENTENCE_FILE,
    STUDENT_FILE,
    TOKENIZER_FILE,
    DecoderSizes,
    Precision,
)
from modelsat.onnx.student_graph import build_student
from modelsat.onnx.tokens import DecoderTokens
from modelsat.scoring.checkpoint import CONFIG_FILE, WEIGHTS_FILE, Checkpoint, embedding_projection_of
from modelsat.scoring.weights import EMBEDDED_ENCODER, encoder_folder, weights_identity
from modelsat.types import FloatArray


def build_engine(checkpoint: Checkpoint, source: Path, target: Path, *, precision: Precision) -> DecoderSizes:
    """Write two graphs and the backbone's tokenizer.

    Args:
        checkpoint: The router.
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
    _check_identity(checkpoint, file, tokens, layers)
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
        raise _unfit(checkpoint, merged.left)
    (target / DECODER_FILE).write_bytes(decoder.SerializeToString())
    tokens.save(target / TOKENIZER_FILE)
    encoder = Path(encoder_folder(EMBEDDED_ENCODER))
    sentence = build_sentence_encoder(_encoder_sizes(encoder), _encoder_weights(encoder), precision=precision)
    (target / SENTENCE_FILE).write_bytes(sentence.SerializeToString())
    return file.sizes


def build_student_engine(checkpoint: Checkpoint, target: Path, *, precision: Precision) -> None:
    """Write a student's graph, and the whole sentence encoder for cards of other exams.

    Args:
        checkpoint: The router.
        target: Where to write.
        precision: Of linear maps.

    Raises:
        CheckpointError: The adapters belong to other encoder weights, or do not fit them.
    """
    encoder = Path(encoder_folder(EMBEDDED_ENCODER))
    sizes, weights = _encoder_sizes(encoder), _encoder_weights(encoder)
    cut = replace(sizes, layers=checkpoint.config.layers or 0)
    names = {
        name: f"layers.{name.removeprefix('encoder.layer.')}" if name.startswith("encoder.layer.") else name
        for name in weights
        if name.startswith("embeddings.")
        or any(name.startswith(f"encoder.layer.{layer}.") for layer in range(cut.layers))
    }
    identity = weights_identity((named, weights[name]) for name, named in names.items())
    if identity != checkpoint.backbone_identity:
        raise _foreign("sentence encoder", identity, checkpoint)
    left = {name.rpartition(".")[0] for name in checkpoint.adapters}
    adapted = dict(weights)
    for name, named in names.items():
        module = named.removesuffix(".weight")
        if module in left:
            adapted[name] = weights[name] + _delta(
                checkpoint.adapters, module, weights[name], alpha=checkpoint.config.lora_alpha
            )
            left.discard(module)
    if left:
        raise _unfit(checkpoint, left)
    student = build_student(cut, adapted, embedding_projection_of(checkpoint), precision=precision)
    (target / STUDENT_FILE).write_bytes(student.SerializeToString())
    sentence = build_sentence_encoder(sizes, weights, precision=precision)
    (target / SENTENCE_FILE).write_bytes(sentence.SerializeToString())


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
                weights[name] = weight + _delta(self._adapters, module, weight, alpha=self._alpha)
                self.left.discard(module)
        return weights


def _delta(adapters: Mapping[str, FloatArray], module: str, weight: FloatArray, *, alpha: int) -> FloatArray:
    a, b = adapters.get(f"{module}.A"), adapters.get(f"{module}.B")
    if a is None or b is None:
        raise CheckpointError(f"adapter '{module}': A and B must be stored together.")
    if (b.shape[0], a.shape[1]) != weight.shape or a.shape[0] != b.shape[1]:
        raise CheckpointError(
            f"adapter '{module}': A is {list(a.shape)} and B is {list(b.shape)}; the weight is {list(weight.shape)}."
        )
    return np.asarray((alpha / a.shape[0]) * (b @ a), dtype=np.float32)


def _unfit(checkpoint: Checkpoint, left: set[str]) -> CheckpointError:
    return CheckpointError(
        f"{checkpoint.folder / WEIGHTS_FILE}: adapter '{sorted(left)[0]}' fits no linear map of the backbone."
    )


def _foreign(what: str, identity: str, checkpoint: Checkpoint) -> CheckpointError:
    return CheckpointError(
        f"{checkpoint.folder / CONFIG_FILE}: field 'backbone_identity' is {checkpoint.backbone_identity[:12]}..., but "
        f"the embedded {what} found here is {identity[:12]}...; install the version it was tuned with."
    )


def _check_identity(checkpoint: Checkpoint, file: GGUFFile, tokens: DecoderTokens, layers: int) -> None:
    yes = file.output_direction(tokens.encode("Yes", budget=8)[0])
    identity = weights_identity([*file.named_weights(layers), ("yes_direction", yes)])
    if identity != checkpoint.backbone_identity:
        raise _foreign("backbone", identity, checkpoint)


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
        for name, value in load_file(folder / ENCODER_WEIGHTS).items()
        if value.dtype.kind == "f"
    }
