"""Building engines: stored weights and a checkpoint's adapters become graphs."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from modelsat.errors import CheckpointError
from modelsat.onnx.decoder import decoder_graph
from modelsat.onnx.sizes import DecoderSizes, EncoderSizes, Precision
from modelsat.onnx.text_encoder import sentence_graph, student_graph
from modelsat.onnx.tokens import DecoderTokens
from modelsat.progress import Progress, no_progress
from modelsat.scoring.checkpoint import CONFIG_FILE, WEIGHTS_FILE, Checkpoint, embedding_projection_of
from modelsat.scoring.weights import TOKENIZER_FILE, StoredWeights, array_digest, joint_identity
from modelsat.types import FloatArray

# From the names that transformers stores to those of adapters and identities.
BUILDING = "Building the router's engine, once"
_PREFIXES = (("model.", ""), ("encoder.layer.", "layers."))


def build_backbone(
    checkpoint: Checkpoint, stored: StoredWeights, *, precision: Precision, progress: Progress = no_progress
) -> bytes:
    """The backbone as a graph, up to the router's layer and with its adapters merged.

    Args:
        checkpoint: The router.
        stored: The backbone.
        precision: Of linear maps.
        progress: Called for each array that is in the graph.

    Raises:
        CheckpointError: The backbone has fewer layers, or the adapters belong to other weights or do not fit these.
    """
    sizes = DecoderSizes.of(stored.path.parent)
    layers = checkpoint.config.layers or sizes.layers
    if layers > sizes.layers:
        raise CheckpointError(
            f"{checkpoint.folder / CONFIG_FILE}: field 'network.layers' is {layers}; the embedded backbone has "
            f"{sizes.layers} layers in this installation."
        )
    weights = _MergedWeights(stored, layers=layers, checkpoint=checkpoint, progress=progress)
    graph = decoder_graph(sizes, layers=layers, weights=weights, precision=precision)
    yes = DecoderTokens(stored.path.parent / TOKENIZER_FILE).encode("Yes", budget=8)[0]
    output = "lm_head.weight" if "lm_head.weight" in stored else "model.embed_tokens.weight"
    weights.digests["yes_direction"] = array_digest("yes_direction", stored[output][yes])
    weights.check(joint_identity(weights.digests.values()), "backbone")
    return bytes(graph.SerializeToString())


def build_student(
    checkpoint: Checkpoint, stored: StoredWeights, *, precision: Precision, progress: Progress = no_progress
) -> bytes:
    """A student as a graph; arguments and errors as for `build_backbone`, `stored` being the sentence encoder."""
    sizes = replace(EncoderSizes.of(stored.path.parent), layers=checkpoint.config.layers or 0)
    weights = _MergedWeights(stored, layers=sizes.layers, checkpoint=checkpoint, progress=progress)
    graph = student_graph(sizes, weights, embedding_projection_of(checkpoint), precision=precision)
    weights.check(
        stored.identity(sizes.layers) or joint_identity(weights.digests.values()), "sentence encoder"
    )
    return bytes(graph.SerializeToString())


def build_sentence_encoder(
    stored: StoredWeights, *, precision: Precision, progress: Progress = no_progress
) -> bytes:
    """The whole sentence encoder as a graph; arguments as for `build_backbone`."""
    sizes = EncoderSizes.of(stored.path.parent)
    weights = _MergedWeights(stored, layers=sizes.layers, progress=progress)
    return bytes(sentence_graph(sizes, weights, precision=precision).SerializeToString())


class _MergedWeights(Mapping[str, FloatArray]):
    """Stored weights up to a layer with a checkpoint's adapters merged: W + alpha / rank * B A, in fp32.

    Attributes:
        digests: Of the stored arrays that were read, by name.
    """

    def __init__(
        self,
        stored: StoredWeights,
        *,
        layers: int,
        checkpoint: Checkpoint | None = None,
        progress: Progress = no_progress,
    ) -> None:
        self._stored, self._checkpoint, self._progress = stored, checkpoint, progress
        self._adapters = {} if checkpoint is None else checkpoint.adapters
        self._left = {name.rpartition(".")[0] for name in self._adapters}
        self._names: dict[str, str] = {}
        for name in stored:
            for prefix, becomes in _PREFIXES:
                named = becomes + name.removeprefix(prefix) if name.startswith(prefix) else name
                if named != name:
                    break
            first, _, rest = named.partition(".")
            if first in ("embed_tokens", "embeddings", "norm") or (
                first == "layers" and int(rest.partition(".")[0]) < layers
            ):
                self._names[named] = name
        self.digests: dict[str, str] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, name: str) -> FloatArray:
        weight = self._stored[self._names[name]]
        self.digests[name] = array_digest(name, weight)
        self._progress(BUILDING, len(self.digests), len(self))
        module = name.removesuffix(".weight")
        if module not in self._left or self._checkpoint is None:
            return weight
        self._left.discard(module)
        a, b = self._adapters.get(f"{module}.A"), self._adapters.get(f"{module}.B")
        if a is None or b is None:
            raise CheckpointError(f"adapter '{module}': A and B must be stored together.")
        if (b.shape[0], a.shape[1]) != weight.shape or a.shape[0] != b.shape[1]:
            raise CheckpointError(
                f"adapter '{module}': A is {list(a.shape)} and B is {list(b.shape)}; the weight is "
                f"{list(weight.shape)}."
            )
        return weight + np.float32(self._checkpoint.config.lora_alpha / a.shape[0]) * (b @ a)

    def check(self, identity: str, model: str) -> None:
        """Refuse weights that a checkpoint was not tuned on, and adapters that nothing took."""
        checkpoint = self._checkpoint
        if checkpoint is None:
            return
        if identity != checkpoint.backbone_identity:
            raise CheckpointError(
                f"{checkpoint.folder / CONFIG_FILE}: field 'backbone_identity' is "
                f"{checkpoint.backbone_identity[:12]}..., but the embedded {model} found here is {identity[:12]}...; "
                "install the version it was tuned with."
            )
        if self._left:
            raise CheckpointError(
                f"{checkpoint.folder / WEIGHTS_FILE}: adapter '{min(self._left)}' fits no linear map of the {model}."
            )
