"""Cross-encoders: pairs in any order and company score the same; what is no re-ranker is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertForSequenceClassification

from modelsat.errors import CheckpointError
from modelsat.network.paper.cross_encoder import load_cross_encoder

from ..conftest import letter_tokenizer, small_bert

INSTRUCTIONS = ["what is law", "a", "count to three", "what is law"]
OUTPUTS = ["a rule", "b " * 400, "1 2 3", "[SEP] a rule"]


def save_classifier(folder: Path, *, labels: int) -> str:
    tokenizer = letter_tokenizer()
    torch.manual_seed(2)
    BertForSequenceClassification(small_bert(tokenizer, num_labels=labels)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def test_pairs_score_alike_alone_and_in_a_batch(tmp_path: Path) -> None:
    encoder = load_cross_encoder(save_classifier(tmp_path / "one", labels=1))
    together = encoder(INSTRUCTIONS, OUTPUTS, batch_size=3)
    assert together.shape == (4,)
    for at, pair in enumerate(zip(INSTRUCTIONS, OUTPUTS, strict=True)):
        np.testing.assert_allclose(encoder([pair[0]], [pair[1]])[0], together[at], atol=1e-5)
    assert len(set(together.tolist())) == 4


def test_a_classifier_of_several_outputs_is_no_reranker(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="has 3 outputs; a re-ranker has one"):
        load_cross_encoder(save_classifier(tmp_path / "three", labels=3))


def test_a_name_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        load_cross_encoder(str(tmp_path / "nowhere"))
