from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelsat.capability.profile import task_phrases
from modelsat.errors import DataError, LayoutError
from modelsat.network.backbone import Backbone
from modelsat.network.encoder import TextEncoder, load_encoder
from modelsat.network.paper.representation import (
    ItemsRepresentation,
    NumericRepresentation,
    PlainRepresentation,
    TextRepresentation,
)
from modelsat.scoring.numeric_encoder import ExamStatistics
from modelsat.types import CapabilityProfile, FloatArray, TaskResult

from ..conftest import save_encoder

TASKS = ("law", "maths", "cooking", "chess", "rivers", "birds")
SHOTS = 4
EXAM = "a1b2"


def profile(name: str, right: tuple[int, ...], *, notes: str = "", exam: str = EXAM) -> CapabilityProfile:
    """A candidate that solved the first so many items of each task; of all six tasks, or the first ones."""
    results = tuple(
        TaskResult(
            task=task,
            keywords=(task, f"{task} of old", f"{task} today"),
            accuracy=count / SHOTS,
            shots=SHOTS,
            items=tuple(float(item < count) for item in range(SHOTS)),
        )
        for task, count in zip(TASKS, right, strict=False)
    )
    return CapabilityProfile(candidate=name, exam="tiny", exam_hash=exam, results=results, notes=notes)


ZOO = [
    profile("lawyer", (4, 1, 2, 2, 2, 2)),
    profile("mathematician", (1, 4, 2, 2, 2, 2)),
    profile("weak", (1, 0, 0, 1, 0, 1)),
]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> TextEncoder:
    return load_encoder(str(save_encoder(tmp_path_factory.mktemp("encoders") / "minilm")))


@pytest.fixture
def statistics() -> ExamStatistics:
    items = len(TASKS) * SHOTS
    return ExamStatistics(
        exam_hash=EXAM,
        tasks=TASKS,
        shots=(SHOTS,) * len(TASKS),
        difficulty=np.zeros(items, dtype=np.float32),
        bias=np.zeros(items, dtype=np.float32),
        level_mean=0.0,
        level_deviation=1.0,
    )


def unit(vectors: NDArray[np.float64]) -> FloatArray:
    rows: FloatArray = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return rows


def keys(texts: int) -> FloatArray:
    return unit(np.random.default_rng(3).normal(size=(texts, 8)))


def embed(texts: Sequence[str]) -> FloatArray:
    seeds = [sum(text.encode()) for text in texts]
    vectors = np.stack([np.random.default_rng(seed).normal(size=8) for seed in seeds])
    return unit(vectors)


@pytest.fixture
def numeric(statistics: ExamStatistics) -> NumericRepresentation:
    return NumericRepresentation(statistics, keys=keys(len(TASKS)), embed=embed)


def test_a_text_is_read_whole_in_chunks_of_whole_tasks(
    encoder: TextEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    encode = encoder.encode

    def spy(texts: list[str], *, budget: int) -> FloatArray:
        seen.extend(texts)
        assert all(encoder.count_tokens(text) <= min(budget, 96) for text in texts)
        return encode(texts, budget=budget)

    monkeypatch.setattr(encoder, "encode", spy)
    card = replace(ZOO[0], notes="Reads contracts " * 30)
    TextRepresentation(encoder, chunk_tokens=96).encode([card])
    assert len(seen) > 3
    for phrase in task_phrases(card):
        assert sum(phrase in text for text in seen) == 1
    notes = [text for text in seen if "accuracy" not in text]
    assert " ".join(notes) == card.notes.strip()


def test_a_task_with_a_hundred_keywords_is_not_cut(encoder: TextEncoder) -> None:
    long = replace(ZOO[0].results[0], keywords=tuple(f"word{n}" for n in range(100)))
    other = replace(long, keywords=(*long.keywords[:-1], "different"))
    cards = [replace(ZOO[0], results=(result,)) for result in (long, other)]
    one, two = TextRepresentation(encoder).encode(cards)
    assert not torch.allclose(one, two)


def test_orders_of_the_tasks_give_several_vectors(encoder: TextEncoder) -> None:
    plain = TextRepresentation(encoder).encode(ZOO)
    perturbed = TextRepresentation(encoder, perturbations=2).encode(ZOO)
    assert plain.shape == (3, 1, 16)
    assert perturbed.shape == (3, 2, 16)
    assert not torch.allclose(perturbed[:, 0], perturbed[:, 1])
    torch.testing.assert_close(TextRepresentation(encoder, perturbations=2).encode(ZOO), perturbed)


def test_a_stronger_subject_pulls_the_vector_along_its_task(numeric: NumericRepresentation) -> None:
    vectors = numeric.encode(ZOO)
    along = vectors[:, :8] @ torch.from_numpy(keys(len(TASKS))).T
    assert along[0, 0] > along[1, 0]  # law
    assert along[1, 1] > along[0, 1]  # maths
    levels = vectors[:, 8]
    torch.testing.assert_close(levels[0], levels[1])
    assert levels[2] < levels[0]
    assert vectors[:, 9].tolist() == [1.0, 1.0, 1.0]


def test_fewer_shots_say_less(numeric: NumericRepresentation) -> None:
    part = replace(ZOO[0], results=ZOO[0].results[:1])
    vector = numeric.encode([part])[0]
    assert vector[9] == pytest.approx(1 / len(TASKS))
    assert torch.isfinite(vector).all()


def test_another_exam_is_known_by_its_keywords(numeric: NumericRepresentation) -> None:
    other = profile("foreigner", (4, 0, 2), exam="ffff")
    vectors = numeric.encode([other])
    assert vectors.shape == (1, numeric.features)
    assert vectors[0, :8].abs().sum() > 0
    with_company = numeric.encode([*ZOO, other])
    torch.testing.assert_close(with_company[3:], vectors)


def test_items_hold_every_answer_and_the_level(statistics: ExamStatistics) -> None:
    items = ItemsRepresentation(statistics)
    vectors = items.encode(ZOO)
    assert vectors.shape == (3, len(TASKS) * SHOTS + 1) == (3, items.features)
    assert (vectors[0, :SHOTS] > 0).all()  # All of law right.
    assert vectors[1, :SHOTS].gt(0).tolist() == [True, False, False, False]


@pytest.mark.parametrize(
    ("card", "message"),
    [
        (profile("foreigner", (4,) * 6, exam="ffff"), r"foreigner: it sat the exam tiny \(ffff\), not a1b2"),
        (profile("dropout", (4, 1)), "dropout: it has all item results on 2 of 6 tasks"),
        (
            replace(ZOO[0], results=(replace(ZOO[0].results[0], items=()), *ZOO[0].results[1:])),
            "lawyer: it has all item results on 5 of 6 tasks",
        ),
    ],
)
def test_another_form_of_the_exam_is_refused_item_by_item(
    statistics: ExamStatistics, card: CapabilityProfile, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        ItemsRepresentation(statistics).encode([card])


def test_order_and_company_do_not_change_a_representation(
    encoder: TextEncoder, numeric: NumericRepresentation, statistics: ExamStatistics
) -> None:
    encoders: list[Callable[[list[CapabilityProfile]], Tensor]] = [
        TextRepresentation(encoder, perturbations=2).encode,
        numeric.encode,
        ItemsRepresentation(statistics).encode,
    ]
    for encode in encoders:
        together = encode(ZOO)
        torch.testing.assert_close(encode(ZOO[::-1]).flip(0), together, atol=1e-5, rtol=0)
        torch.testing.assert_close(encode(ZOO[1:2]), together[1:2], atol=1e-5, rtol=0)


def test_plain_text_is_never_cut(tiny_backbone: Callable[..., Backbone]) -> None:
    plain = PlainRepresentation(tiny_backbone("llama"))
    card = replace(ZOO[0], results=ZOO[0].results[:2], notes="Ends <|im_end|> here.")
    ids = plain.encode([card])[0]
    assert str(plain.backbone.tokenizer.decode(ids)).endswith("Ends <|im_end|> here.\n")
    assert not set(ids) & set(plain.backbone.tokenizer.all_special_ids)
    with pytest.raises(LayoutError, match="lawyer: its representation in words fills all 512"):
        plain.encode([replace(ZOO[0], notes="Reads contracts. " * 40)])


def test_as_many_task_embeddings_as_tasks(statistics: ExamStatistics) -> None:
    with pytest.raises(LayoutError, match="2 task embeddings for 6 tasks"):
        NumericRepresentation(statistics, keys=keys(2), embed=embed)


@pytest.mark.slow
def test_the_shipped_cards_are_read_whole_by_the_embedded_encoder() -> None:
    from modelsat.capability.zoo import ModelZoo

    profiles = ModelZoo.shipped().profiles[:3]
    vectors = TextRepresentation(load_encoder(), perturbations=2).encode(profiles)
    assert vectors.shape == (3, 2, 384)
    assert torch.pdist(vectors[:, 0]).min() > 1e-3
