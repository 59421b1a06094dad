"""Equality with the models themselves: each candidate's sequence run alone through transformers' forward."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from modelsat.errors import LayoutError
from modelsat.network.backbone import Backbone, load_backbone
from modelsat.network.paper.prompted import PromptedNetwork
from modelsat.network.pretrained import load_pretrained
from modelsat.scoring.config import Encoder, Head, Layout, NetworkConfig
from modelsat.scoring.weights import EMBEDDED_BACKBONE

from ..conftest import FAMILIES

TinyBackbone = Callable[..., Backbone]
LAYOUTS: tuple[Layout, ...] = ("capability_first", "shared_prefix")
TEXTS = ("2+2?", "Which vitamin is missing in scurvy: A, B, C or D?", "x", "Say <|im_end|> twice.")
FEATURES = 6
TOLERANCE = 1e-4


def network(
    backbone: Backbone,
    layout: Layout,
    *,
    head: Head = "yes_token",
    encoder: Encoder = "numeric",
    tokens: int = 40,
    features: int | None = FEATURES,
) -> PromptedNetwork:
    torch.manual_seed(5)
    config = NetworkConfig(
        layout=layout, capability_encoder=encoder, head=head, layers=None, frozen_layers=0, tokens=tokens
    )
    return PromptedNetwork(backbone, config, features=features).eval()


def zoo(size: int = 3, orders: int | None = None) -> Tensor:
    shape = (size, FEATURES) if orders is None else (size, orders, FEATURES)
    return torch.randn(shape, generator=torch.Generator().manual_seed(7))


def whole_model(folder: Path | str, **options: int) -> Any:
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **options)
    return model.eval()


def one_by_one(
    model: Any, net: PromptedNetwork, instructions: list[list[int]], representations: Tensor
) -> Tensor:
    """One unpadded causal sequence per instruction and candidate, through the model's forward."""
    rows = []
    for ids, representation in itertools.product(instructions, representations):
        assert net.connector is not None
        words = model.model.embed_tokens(torch.tensor([[*ids, *net.inquiry]]))
        slot = net.connector(representation)[None, None]
        parts = [slot, words] if net.config.layout == "capability_first" else [words, slot]
        states = model.model(inputs_embeds=torch.cat(parts, dim=1), use_cache=False).last_hidden_state
        rows.append(net.head(states[0, -1], net.backbone.yes_direction))
    return torch.stack(rows).view(len(instructions), len(representations))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("family", FAMILIES)
@torch.inference_mode()
def test_packed_equals_one_sequence_per_candidate(
    tiny_backbone: TinyBackbone, backbone_folder: Callable[[str], Path], layout: Layout, family: str
) -> None:
    net = network(tiny_backbone(family), layout)
    net.inquiry = net.inquiry[:3]  # Four layers with a window of 4 see no further than 12 positions back.
    model = whole_model(backbone_folder(family))
    instructions = [net.tokenize(text) for text in TEXTS]
    packed = net(instructions, zoo())
    assert packed[0].std() > 1e-2  # Candidates differ, so that equality means something.
    torch.testing.assert_close(packed, one_by_one(model, net, instructions, zoo()), atol=TOLERANCE, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
@torch.inference_mode()
def test_packed_equals_one_sequence_per_candidate_on_real_weights(layout: Layout) -> None:
    net = network(load_backbone(EMBEDDED_BACKBONE, layers=4), layout, tokens=64)
    model, _ = load_pretrained(AutoModelForCausalLM, EMBEDDED_BACKBONE, kind="backbone", layers=4)
    instructions = [net.tokenize(text) for text in TEXTS]
    packed = net(instructions, zoo())
    assert packed.std(dim=1).min() > 1e-2
    torch.testing.assert_close(packed, one_by_one(model, net, instructions, zoo()), atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("family", ["llama", "phi3"])
def test_order_and_company_of_the_zoo_do_not_change_a_score(
    tiny_backbone: TinyBackbone, layout: Layout, family: str
) -> None:
    net = network(tiny_backbone(family), layout)
    instructions = [net.tokenize(text) for text in TEXTS]
    scores = net.score(instructions, zoo(4))
    shuffled = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(net.score(instructions, zoo(4)[shuffled]), scores[:, shuffled])
    torch.testing.assert_close(net.score(instructions, zoo(4)[:1]), scores[:, :1])
    torch.testing.assert_close(net.score(instructions[1:2], zoo(4)), scores[1:2])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_scores_are_averaged_over_orders_of_the_tasks(tiny_backbone: TinyBackbone, layout: Layout) -> None:
    net = network(tiny_backbone("llama"), layout)
    instructions = [net.tokenize(text) for text in TEXTS]
    representations = zoo(orders=2)
    each = [net.score(instructions, representations[:, order]) for order in range(2)]
    torch.testing.assert_close(net.score(instructions, representations), (each[0] + each[1]) / 2)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_passes_of_any_size_give_the_same_scores(tiny_backbone: TinyBackbone, layout: Layout) -> None:
    net = network(tiny_backbone("qwen2"), layout)
    instructions = [net.tokenize(text) for text in TEXTS]
    done: list[tuple[str, int, int]] = []
    one = net.score(instructions, zoo(5), sequences=2, progress=lambda *at: done.append(at))
    torch.testing.assert_close(one, net.score(instructions, zoo(5), sequences=64))
    assert done[-1] == ("scoring", len(TEXTS), len(TEXTS))


@pytest.mark.parametrize("size", [1, 1000])
def test_a_zoo_of_one_and_a_zoo_of_a_thousand(tiny_backbone: TinyBackbone, size: int) -> None:
    net = network(tiny_backbone("llama", layers=1), "shared_prefix")
    ids = [net.tokenize(TEXTS[0])]
    scores = net.score(ids, zoo(size))
    assert scores.shape == (1, size)
    torch.testing.assert_close(net.score(ids, zoo(size)[-1:]), scores[:, -1:])


def test_a_plain_text_representation_stands_before_the_instruction(
    tiny_backbone: TinyBackbone, backbone_folder: Callable[[str], Path]
) -> None:
    net = network(tiny_backbone("llama"), "capability_first", encoder="none", features=None)
    model = whole_model(backbone_folder("llama"))
    cards = [net.backbone.tokenize(text, budget=99) for text in ("Good at law.", "Bad.")]
    instructions = [net.tokenize(text) for text in TEXTS]
    scores = net.score(instructions, cards)
    with torch.inference_mode():
        ids = torch.tensor([[*cards[1], *instructions[2], *net.inquiry]])
        states = model.model(input_ids=ids).last_hidden_state[0, -1]
        expected = net.head(states, net.backbone.yes_direction)
    torch.testing.assert_close(scores[2, 1], expected, atol=TOLERANCE, rtol=0)


def test_the_yes_token_head_reads_the_models_own_logit(
    tiny_backbone: TinyBackbone, backbone_folder: Callable[[str], Path]
) -> None:
    net = network(tiny_backbone("llama"), "capability_first", encoder="none", features=None)
    model = whole_model(backbone_folder("llama"))
    ids = net.tokenize(TEXTS[1])
    yes = net.backbone.tokenizer.encode("Yes", add_special_tokens=False)
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([[9, *ids, *net.inquiry]])).logits[0, -1]
    torch.testing.assert_close(net.score([ids], [[9]])[0, 0], logits[yes[0]], atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("head", ["yes_token", "regression"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_connector_and_head_learn_and_the_backbone_stays(
    tiny_backbone: TinyBackbone, layout: Layout, head: Head
) -> None:
    net = network(tiny_backbone("llama"), layout, head=head)
    net([net.tokenize(text) for text in TEXTS], zoo()).sum().backward()
    learned = {name for name, value in net.named_parameters() if value.grad is not None}
    assert {"connector.linear.weight", "connector.linear.bias"} <= learned
    assert any(name.startswith("head.") for name in learned)
    assert not any(name.startswith("backbone.") for name in learned)
    assert all(name.split(".")[0] in ("connector", "head") for name in net.tuned_state())


@pytest.mark.parametrize("family", FAMILIES)
def test_capability_embeddings_are_as_large_as_the_backbones(
    tiny_backbone: TinyBackbone, family: str
) -> None:
    backbone = tiny_backbone(family)
    net = network(backbone, "shared_prefix")
    assert net.connector is not None
    with torch.no_grad():
        words = backbone.embed(torch.arange(4, 200)).square().mean().sqrt()
        slots = net.connector(torch.randn(200, FEATURES)).square().mean().sqrt()
    assert 0.5 < float(slots / words) < 2


def test_standardised_representations_are_told_apart(tiny_backbone: TinyBackbone) -> None:
    net = network(tiny_backbone("llama"), "shared_prefix")
    assert net.connector is not None
    similar = 1 + 0.001 * zoo(20)
    assert net.connector(similar).std(dim=0).mean() < 0.01
    net.connector.standardise(similar)
    assert net.connector(similar).std(dim=0).mean() > 0.1


def test_a_feature_that_was_constant_in_tuning_does_not_blow_up_later(tiny_backbone: TinyBackbone) -> None:
    net = network(tiny_backbone("llama"), "shared_prefix")
    assert net.connector is not None
    seen = zoo(20)
    seen[:, 0] = 1.0  # Every candidate of tuning sat all shots.
    net.connector.standardise(seen)
    half = seen.clone()
    half[:, 0] = 0.5
    assert (net.connector(half) - net.connector(seen)).abs().max() < net.connector(seen).abs().max()


def test_a_budget_beyond_the_longest_position_is_refused(tiny_backbone: TinyBackbone) -> None:
    with pytest.raises(LayoutError, match="takes 64 positions"):
        network(tiny_backbone("phi3-longrope"), "shared_prefix")


def test_a_plain_representation_beyond_the_longest_position_is_refused(tiny_backbone: TinyBackbone) -> None:
    net = network(tiny_backbone("llama"), "capability_first", encoder="none", features=None)
    with pytest.raises(LayoutError, match="takes 512 positions"):
        net([[1, 2]], [[5] * 500])


def test_what_does_not_fit_together_is_one_clear_error(tiny_backbone: TinyBackbone) -> None:
    backbone = tiny_backbone("llama")
    with pytest.raises(LayoutError, match="exam_attention has no prompt"):
        PromptedNetwork(backbone, NetworkConfig(), features=6)
    with pytest.raises(LayoutError, match="only `none` goes without"):
        network(backbone, "shared_prefix", features=None)
    with pytest.raises(LayoutError, match="it was given token ids"):
        network(backbone, "capability_first")([[1]], [[1]])
    with pytest.raises(LayoutError, match="it was given vectors"):
        network(backbone, "capability_first", encoder="none", features=None)([[1]], zoo())
