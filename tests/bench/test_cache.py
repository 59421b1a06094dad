"""A cache before the router: what was read is not read again, and serves any cards."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from modelsat.bench.cache import CachedEmbed, CachedScorer, RowCache, folder_digest
from modelsat.bench.evaluation_set import EvaluationSet
from modelsat.network.load import load_scorer
from modelsat.scoring.scorer import ExamAttentionScorer
from modelsat.types import FloatArray, Instruction, ScoreMatrix
from tests.bench.world import TaskAccuracy
from tests.network.conftest import save_backbone, save_encoder
from tests.network.small_router import save_router, small_profiles

INSTRUCTIONS = [Instruction(id=str(at), text=f"question {at} " * (at + 1)) for at in range(6)]


class Counting:
    """An engine that counts what it reads."""

    runtime = "counting"

    def __init__(self, scorer: ExamAttentionScorer) -> None:
        self.asked: list[list[str]] = []
        self._reader = scorer.encoder
        self.pooled_size, self.text_size = scorer.encoder.pooled_size, scorer.encoder.text_size

    def encode(self, texts: Sequence[str]) -> FloatArray:
        self.asked.append(list(texts))
        return self._reader.encode(texts)

    def embed(self, texts: Sequence[str]) -> FloatArray:
        return self._reader.embed(texts)


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> ExamAttentionScorer:
    folder = tmp_path_factory.mktemp("router")
    backbone, encoder = save_backbone(folder / "backbone", "llama"), save_encoder(folder / "encoder")
    scorer = load_scorer(save_router(folder / "checkpoint", backbone=backbone, encoder=encoder))
    assert isinstance(scorer, ExamAttentionScorer)
    return scorer


def test_one_reading_serves_any_cards_and_is_made_alone(router: ExamAttentionScorer, tmp_path: Path) -> None:
    counting = Counting(router)
    scorer = ExamAttentionScorer(
        encoder=counting,
        head=router.head,
        statistics=router.statistics,
        calibration=router.calibration,
        in_domain_threshold=router.in_domain_threshold,
    )
    embeddings = RowCache(None)
    first = CachedScorer(scorer, folder=tmp_path, identity="x", embeddings=embeddings)
    profiles = small_profiles()
    scores = first.score(INSTRUCTIONS, profiles)
    assert sorted(len(texts) for texts in counting.asked) == [1] * 6
    again = CachedScorer(scorer, folder=tmp_path, identity="x")
    np.testing.assert_array_equal(again.score(INSTRUCTIONS, profiles[:2]).logits, scores.logits[:, :2])
    assert len(counting.asked) == 6
    expected = router.score(INSTRUCTIONS, profiles)
    np.testing.assert_allclose(scores.logits, expected.logits, atol=1e-4)

    def refuse(positions: Sequence[int]) -> FloatArray:
        raise AssertionError("embedded again")

    found = embeddings.get([row.text for row in INSTRUCTIONS], refuse)
    np.testing.assert_allclose(found, router.encoder.embed([row.text for row in INSTRUCTIONS]), atol=1e-5)


def test_another_router_reads_for_itself(router: ExamAttentionScorer, tmp_path: Path) -> None:
    counting = Counting(router)
    scorer = ExamAttentionScorer(
        encoder=counting,
        head=router.head,
        statistics=router.statistics,
        calibration=router.calibration,
        in_domain_threshold=router.in_domain_threshold,
    )
    for identity in ("x", "y"):
        CachedScorer(scorer, folder=tmp_path, identity=identity).score(INSTRUCTIONS, small_profiles())
    assert len(counting.asked) == 12


def test_other_layouts_have_their_scores_kept_by_cards(tmp_path: Path, routed: EvaluationSet) -> None:
    asked: list[int] = []

    class Noting(TaskAccuracy):
        def score(self, instructions: Sequence[Instruction], profiles: object) -> ScoreMatrix:
            asked.append(len(instructions))
            return super().score(instructions, profiles)  # type: ignore[arg-type]

    scorer = CachedScorer(Noting(), folder=tmp_path, identity="x")
    rows, cards = routed.table.instructions[:5], routed.profiles
    first = scorer.score(rows, cards)
    np.testing.assert_array_equal(scorer.score(rows, cards).logits, first.logits)
    assert asked == [5]
    scorer.score(rows, cards[:3])
    assert asked == [5, 5]


def test_embeddings_come_from_the_cache_and_a_damaged_one_is_made_anew(tmp_path: Path) -> None:
    asked: list[str] = []

    def encode(texts: Sequence[str]) -> FloatArray:
        asked.extend(texts)
        return np.array([[len(text), 1.0] for text in texts], dtype=np.float32)

    path = tmp_path / "embeddings.npz"
    texts = ["long text", "x", "long text"]
    np.testing.assert_array_equal(CachedEmbed(lambda: encode, RowCache(path))(texts)[:, 0], [9, 1, 9])
    CachedEmbed(lambda: encode, RowCache(path))(texts)
    assert sorted(asked) == ["long text", "x"]
    path.write_bytes(b"damaged")
    CachedEmbed(lambda: encode, RowCache(path))(texts)
    assert len(asked) == 4


def test_rows_that_are_put_in_are_not_computed() -> None:
    rows = RowCache(None)
    own = np.full((1, 2), 0.5, dtype=np.float32)
    rows.add(["known"], own, save=False)
    asked: list[str] = []

    def encode(texts: Sequence[str]) -> FloatArray:
        asked.extend(texts)
        return np.zeros((len(texts), 2), dtype=np.float32)

    found = CachedEmbed(lambda: encode, rows)(["new", "known"])
    np.testing.assert_array_equal(found, [[0, 0], [0.5, 0.5]])
    assert asked == ["new"]


def test_a_folders_digest_follows_its_files(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"1")
    before = folder_digest(tmp_path)
    (tmp_path / "weights").write_bytes(b"2")
    assert folder_digest(tmp_path) != before
