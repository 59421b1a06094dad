"""Low-rank adapters of a backbone or a student's encoder: where they go, how they are put in, read out and merged.

Tuning adds them with peft. Routing merges their tensors into the weights and needs no peft. This module does
not know how adapters are trained or stored.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from modelsat.errors import CheckpointError, LayoutError, MissingExtraError
from modelsat.network.backbone import Backbone
from modelsat.network.student import TruncatedEncoder

_SPLIT = ("q_proj", "v_proj", "o_proj", "up_proj", "down_proj")
_FUSED = ("qkv_proj", "o_proj", "gate_up_proj", "down_proj")
# Which linear maps of a layer are adapted. Phi-3 fuses query, key and value, and gate and up.
_TARGETS: dict[str, tuple[str, ...]] = {
    "llama": _SPLIT,
    "mistral": _SPLIT,
    "qwen2": _SPLIT,
    "qwen3": _SPLIT,
    "gemma": _SPLIT,
    "gemma2": _SPLIT,
    "phi3": _FUSED,
    "bert": ("query", "key", "value", "dense"),
}
Adaptable = Backbone | TruncatedEncoder
_PEFT_NAME = re.compile(r"(?P<module>layers\.\d+\..+)\.lora_(?P<part>[AB])\.default\.weight")
_NAME = re.compile(r"(?P<module>layers\.\d+\..+)\.(?P<part>[AB])")


def lora_targets(model_type: str) -> tuple[str, ...]:
    """Names of the linear maps of a layer that adapters go on.

    Args:
        model_type: The architecture as transformers names it, e.g. "llama".

    Raises:
        LayoutError: The architecture is not in the table.
    """
    if model_type not in _TARGETS:
        raise LayoutError(
            f"backbone of type {model_type!r} has no adapter table; known types: "
            f"{', '.join(sorted(_TARGETS))}. Tune with lora_rank 0, or choose a backbone of a known type."
        )
    return _TARGETS[model_type]


def add_adapters(backbone: Adaptable, *, rank: int, alpha: int, start_layer: int = 0) -> None:
    """Put trainable adapters into a backbone; at first they change nothing.

    Args:
        backbone: Changed in place.
        rank: Rank of each adapter, at least 1.
        alpha: An adapter's output counts alpha / rank times.
        start_layer: First layer to adapt; those before stay as they are.

    Raises:
        LayoutError: The architecture is unknown, or no layer is left to adapt.
        MissingExtraError: peft is not installed.
    """
    targets = lora_targets(backbone.config.model_type)
    if not 0 <= start_layer < len(backbone.layers):
        raise LayoutError(
            f"backbone {backbone.name} has {len(backbone.layers)} layers; none is left to adapt from layer "
            f"{start_layer} on."
        )
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise MissingExtraError("torch", "tuning adapters") from error
    layers = "|".join(str(layer) for layer in range(start_layer, len(backbone.layers)))
    config = LoraConfig(
        r=rank, lora_alpha=alpha, target_modules=rf"layers\.({layers})\..*\.({'|'.join(targets)})"
    )
    inject_adapter_in_model(config, backbone)
    for parameter in backbone.parameters():
        if parameter.requires_grad:  # adapters learn in fp32, whatever the backbone is kept in
            parameter.data = parameter.data.float()


def adapter_tensors(backbone: Adaptable) -> dict[str, Tensor]:
    """The adapters of a backbone, to be stored.

    Returns:
        By layer and module, e.g. "layers.8.self_attn.q_proj.A": A is [rank, in], B is [out, rank], both fp32
        on the CPU; empty where the backbone has no adapter.
    """
    found = ((_PEFT_NAME.fullmatch(name), value) for name, value in backbone.named_parameters())
    return {
        f"{match['module']}.{match['part']}": value.detach().float().cpu().clone()
        for match, value in found
        if match
    }


@torch.no_grad()
def set_adapters(backbone: Adaptable, tensors: Mapping[str, Tensor]) -> None:
    """Give the adapters that `add_adapters` put in the values of others, to go on tuning from there.

    Args:
        backbone: Changed in place.
        tensors: As `adapter_tensors` returns them.

    Raises:
        CheckpointError: A tensor is missing or has another shape, or is of a place without an adapter.
    """
    own = adapter_tensors(backbone)
    for name in sorted(own.keys() | tensors.keys()):
        found, expected = (None if name not in held else list(held[name].shape) for held in (tensors, own))
        if found != expected:
            raise CheckpointError(f"adapter tensor {name!r} is {found}; expected {expected}.")
    for name, value in backbone.named_parameters():
        if match := _PEFT_NAME.fullmatch(name):
            value.copy_(tensors[f"{match['module']}.{match['part']}"])


@torch.no_grad()
def merge_adapters(backbone: Adaptable, tensors: Mapping[str, Tensor], *, alpha: int) -> None:
    """Add adapters to the weights for good: W + alpha / rank * B A, summed in fp32.

    Args:
        backbone: A backbone without adapters, changed in place.
        tensors: As `adapter_tensors` returns them.
        alpha: As in `add_adapters`.

    Raises:
        CheckpointError: A tensor names no linear map of the backbone, lacks its partner, or has another
            shape.
    """
    # All are checked before the first is merged: an error must not leave a half-merged backbone.
    merges = [_resolve(backbone, module, tensors) for module in _module_names(tensors)]
    for linear, a, b in merges:
        weight = linear.weight
        delta = (alpha / a.shape[0]) * (b.float() @ a.float()).to(weight.device)
        weight.copy_((weight.float() + delta).to(weight.dtype))


def _module_names(tensors: Mapping[str, Tensor]) -> list[str]:
    modules = set()
    for name in tensors:
        match = _NAME.fullmatch(name)
        if match is None:
            raise CheckpointError(
                f"adapter tensor {name!r}: expected a name like 'layers.8.self_attn.q_proj.A' or '.B'."
            )
        modules.add(match["module"])
    return sorted(modules)


def _resolve(
    backbone: Adaptable, module: str, tensors: Mapping[str, Tensor]
) -> tuple[nn.Linear, Tensor, Tensor]:
    for part in ("A", "B"):
        if f"{module}.{part}" not in tensors:
            raise CheckpointError(f"adapter tensor '{module}.{part}' is missing; store A and B together.")
    a, b = tensors[f"{module}.A"], tensors[f"{module}.B"]
    try:
        linear = backbone.get_submodule(module)
    except AttributeError:
        linear = None
    if not isinstance(linear, nn.Linear):
        raise CheckpointError(
            f"adapter tensor '{module}.A': backbone {backbone.name} has no linear map {module!r} "
            f"({len(backbone.layers)} layers of type {backbone.config.model_type})."
        )
    rank = a.shape[0] if a.ndim == 2 else -1
    expected = ((rank, linear.in_features), (linear.out_features, rank))
    if (tuple(a.shape), tuple(b.shape)) != expected:
        raise CheckpointError(
            f"adapter '{module}': A is {list(a.shape)} and B is {list(b.shape)}; expected [rank, "
            f"{linear.in_features}] and [{linear.out_features}, rank]."
        )
    return linear, a, b
