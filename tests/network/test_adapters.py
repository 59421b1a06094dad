from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from modelsat.errors import CheckpointError, LayoutError
from modelsat.network.adapters import (
    adapter_tensors,
    add_adapters,
    lora_targets,
    merge_adapters,
    set_adapters,
)
from modelsat.network.backbone import Backbone, causal_visibility, pad

from .conftest import FAMILIES

TinyBackbone = Callable[..., Backbone]


def forward(backbone: Backbone) -> Tensor:
    batch = pad([list(range(10, 20)), list(range(30, 36))])
    positions = torch.arange(batch.ids.shape[1]).expand(batch.ids.shape)
    with torch.inference_mode():
        return backbone.run(
            backbone.embed(batch.ids), positions=positions, visible=causal_visibility(batch.present)
        )[batch.present]


def randomise_adapters(backbone: Backbone) -> None:
    torch.manual_seed(3)
    for name, parameter in backbone.named_parameters():
        if "lora_" in name:
            parameter.data.normal_(0, 0.05)


@pytest.mark.parametrize("family", FAMILIES)
def test_merged_adapters_equal_injected_ones(tiny_backbone: TinyBackbone, family: str) -> None:
    tuned, plain = tiny_backbone(family), tiny_backbone(family)
    before = forward(plain)
    add_adapters(tuned, rank=2, alpha=4, start_layer=1)
    torch.testing.assert_close(forward(tuned), before)  # A fresh adapter changes nothing.
    randomise_adapters(tuned)
    merge_adapters(plain, adapter_tensors(tuned), alpha=4)
    assert (forward(plain) - before).abs().max() > 1e-2
    torch.testing.assert_close(forward(plain), forward(tuned), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_adapters_sit_on_every_target_of_the_layers_asked_for(
    tiny_backbone: TinyBackbone, family: str
) -> None:
    backbone = tiny_backbone(family)
    add_adapters(backbone, rank=2, alpha=4, start_layer=2)
    tensors = adapter_tensors(backbone)
    targets = lora_targets(backbone.config.model_type)
    assert len(tensors) == 2 * 2 * len(targets)
    assert {name.split(".")[1] for name in tensors} == {"2", "3"}
    assert {name.split(".")[-2] for name in tensors} == set(targets)


def test_only_adapters_are_trainable(tiny_backbone: TinyBackbone) -> None:
    backbone = tiny_backbone("llama")
    add_adapters(backbone, rank=2, alpha=4)
    trainable = [name for name, value in backbone.named_parameters() if value.requires_grad]
    assert trainable
    assert all("lora_" in name for name in trainable)


def test_adapters_go_on_where_others_stopped(tiny_backbone: TinyBackbone) -> None:
    tuned, other = tiny_backbone("llama"), tiny_backbone("llama")
    add_adapters(tuned, rank=2, alpha=4, start_layer=1)
    randomise_adapters(tuned)
    add_adapters(other, rank=2, alpha=4, start_layer=1)
    set_adapters(other, adapter_tensors(tuned))
    torch.testing.assert_close(forward(other), forward(tuned))


@pytest.mark.parametrize(
    ("rank", "start_layer", "fault"),
    [(3, 1, r"A' is \[2, 48\]; expected \[3, 48\]"), (2, 0, "is None"), (2, 2, "expected None")],
)
def test_adapters_of_other_places_or_ranks_are_refused(
    tiny_backbone: TinyBackbone, rank: int, start_layer: int, fault: str
) -> None:
    tuned, other = tiny_backbone("llama"), tiny_backbone("llama")
    add_adapters(tuned, rank=2, alpha=4, start_layer=1)
    add_adapters(other, rank=rank, alpha=4, start_layer=start_layer)
    before = adapter_tensors(other)
    with pytest.raises(CheckpointError, match=fault):
        set_adapters(other, adapter_tensors(tuned))
    assert all(torch.equal(value, before[name]) for name, value in adapter_tensors(other).items())


def test_the_identity_of_a_backbone_ignores_its_adapters(tiny_backbone: TinyBackbone) -> None:
    backbone = tiny_backbone("phi3")
    identity = backbone.identity()
    add_adapters(backbone, rank=2, alpha=4)
    randomise_adapters(backbone)
    assert backbone.identity() == identity


def test_an_unknown_architecture_lists_the_known_ones() -> None:
    with pytest.raises(LayoutError, match=r"'mamba'.*gemma.*llama.*phi3.*qwen2"):
        lora_targets("mamba")


def test_no_layer_left_to_adapt_is_one_clear_error(tiny_backbone: TinyBackbone) -> None:
    with pytest.raises(LayoutError, match="4 layers"):
        add_adapters(tiny_backbone("llama"), rank=2, alpha=4, start_layer=4)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"layers.0.self_attn.q_proj.C": (2, 32)}, "expected a name like"),
        ({"layers.0.self_attn.q_proj.A": (2, 32)}, r"q_proj\.B' is missing"),
        ({"layers.9.self_attn.q_proj.A": (2, 32), "layers.9.self_attn.q_proj.B": (32, 2)}, "no linear map"),
        ({"layers.0.self_attn.A": (2, 32), "layers.0.self_attn.B": (32, 2)}, "no linear map"),
        ({"layers.0.self_attn.q_proj.A": (2, 31), "layers.0.self_attn.q_proj.B": (32, 2)}, r"\[2, 31\]"),
        ({"layers.0.self_attn.q_proj.A": (32,), "layers.0.self_attn.q_proj.B": (32, 2)}, r"A is \[32\]"),
    ],
)
def test_adapters_of_another_backbone_change_nothing_and_say_what_is_wrong(
    tiny_backbone: TinyBackbone, tensors: dict[str, tuple[int, ...]], message: str
) -> None:
    backbone = tiny_backbone("llama")
    identity = backbone.identity()
    good = {"layers.0.mlp.up_proj.A": torch.ones(2, 32), "layers.0.mlp.up_proj.B": torch.ones(48, 2)}
    wrong = {name: torch.ones(shape) for name, shape in tensors.items()}
    with pytest.raises(CheckpointError, match=message):
        merge_adapters(backbone, good | wrong, alpha=4)
    assert backbone.identity() == identity
