"""Tiny random backbones and encoders with in-memory tokenizers, saved as folders: no downloads."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    AutoModelForCausalLM,
    BertConfig,
    BertModel,
    Gemma2Config,
    GemmaConfig,
    LlamaConfig,
    Phi3Config,
    PreTrainedTokenizerFast,
    Qwen2Config,
)

from modelsat.network.backbone import Backbone, load_backbone

CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "</s>")
_SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}
_GEMMA: dict[str, Any] = {"head_dim": 8, "pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 0}
# Sliding layers have a window of 4: shorter than any instruction in the tests.
_CONFIGS: dict[str, Callable[[int], Any]] = {
    "llama": lambda vocabulary: LlamaConfig(vocab_size=vocabulary, **_SIZES),
    "qwen2": lambda vocabulary: Qwen2Config(
        vocab_size=vocabulary, use_sliding_window=True, sliding_window=4, max_window_layers=2, **_SIZES
    ),
    "phi3": lambda vocabulary: Phi3Config(
        vocab_size=vocabulary, sliding_window=4, pad_token_id=0, bos_token_id=0, eos_token_id=0, **_SIZES
    ),
    "phi3-longrope": lambda vocabulary: Phi3Config(
        vocab_size=vocabulary,
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=0,
        original_max_position_embeddings=64,
        rope_parameters={
            "rope_type": "longrope",
            "rope_theta": 10000.0,
            "short_factor": [1.0] * 4,
            "long_factor": [4.0] * 4,
            "original_max_position_embeddings": 64,
        },
        **_SIZES,
    ),
    "gemma": lambda vocabulary: GemmaConfig(vocab_size=vocabulary, **_GEMMA, **_SIZES),
    "gemma2": lambda vocabulary: Gemma2Config(vocab_size=vocabulary, sliding_window=4, **_GEMMA, **_SIZES),
}
FAMILIES = ("llama", "qwen2", "phi3", "gemma", "gemma2")


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer with one token per byte, a token 'Yes', and control tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*CONTROL, *alphabet, "Ye", "Yes"]
    core = Tokenizer(
        models.BPE(vocab={word: index for index, word in enumerate(words)}, merges=[("Y", "e"), ("Ye", "s")])
    )
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=core,
        eos_token=CONTROL[0],
        pad_token=CONTROL[0],
        extra_special_tokens=list(CONTROL[1:]),
    )


def save_backbone(folder: Path, family: str, *, seed: int = 0) -> Path:
    """Write a tiny random backbone of a family with its tokenizer."""
    tokenizer = byte_tokenizer()
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(_CONFIGS[family](len(tokenizer)))  # type: ignore[no-untyped-call]
    with torch.no_grad():
        for parameter in model.parameters():
            # Wide enough that attention is far from uniform: a wrong mask must show.
            parameter.normal_(0, 0.3)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def backbone_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folder of a tiny backbone by family."""
    made: dict[str, Path] = {}

    def folder(family: str) -> Path:
        if family not in made:
            made[family] = save_backbone(tmp_path_factory.mktemp(family), family)
        return made[family]

    return folder


@pytest.fixture
def tiny_backbone(backbone_folder: Callable[[str], Path]) -> Callable[..., Backbone]:
    """Load a fresh tiny backbone by family."""

    def load(family: str, *, layers: int | None = None) -> Backbone:
        return load_backbone(str(backbone_folder(family)), layers=layers).eval()

    return load


def letter_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer with one token per letter, as BERT marks texts and pairs."""
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = list("abcdefghijklmnopqrstuvwxyz0123456789.,:%\"'?")
    words = [*marks, *letters, *[f"##{letter}" for letter in letters]]
    core = Tokenizer(
        models.WordPiece(
            vocab={word: index for index, word in enumerate(words)},
            unk_token="[UNK]",
            max_input_chars_per_word=100,
        )
    )
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=core, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )


def small_bert(tokenizer: PreTrainedTokenizerFast, **settings: Any) -> BertConfig:
    """A configuration of two narrow layers."""
    return BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=256,
        **settings,
    )


def save_encoder(folder: Path) -> Path:
    """Write a tiny random BERT encoder with a tokenizer of letters."""
    tokenizer = letter_tokenizer()
    torch.manual_seed(1)
    BertModel(small_bert(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
