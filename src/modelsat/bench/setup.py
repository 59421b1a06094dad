"""What a benchmark works on: data, router, cards, prices; and the hashes that name them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from modelsat.bench.baselines.by_name import Embed
from modelsat.bench.cache import CachedEmbed, RowCache, digest, folder_digest
from modelsat.bench.prices import PriceTable
from modelsat.bench.scoring import CachedScorer
from modelsat.cache import cache_folder
from modelsat.capability.aptitude import AptitudeTest
from modelsat.capability.card import card_object
from modelsat.errors import DataError
from modelsat.network.pretrained import require_torch
from modelsat.progress import Progress, no_progress
from modelsat.records.models import ModelFacts, read_models
from modelsat.records.outputs import read_outputs
from modelsat.records.splits import Splits, read_splits
from modelsat.records.store import OutcomeDirectory
from modelsat.routing.load import load_tuned
from modelsat.routing.scorer import Scorer
from modelsat.scoring.checkpoint import load_checkpoint, shipped_folder
from modelsat.scoring.config import NetworkConfig
from modelsat.scoring.scorer import TwoPhaseScorer
from modelsat.types import CapabilityProfile, FloatArray

_DATA_FILES = ("instructions", "outcomes", "models", "outputs")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Setup:
    """Everything that does not depend on the suite.

    Attributes:
        directory: Instructions and outcomes.
        splits: Held-out candidates, categories, datasets, and zoos.
        exam: The router's exam.
        profiles: Candidates with a card of it.
        prices: For the cost tables.
        facts: Release dates and sizes, where known.
        outputs: Candidates' answers, where known.
        scorer: The router, through the cache.
        others: More routers by name.
        config: The router's network.
        tuned_on: What its checkpoint says of its tuning.
        embed: Texts to sentence embeddings, through the cache.
        data_hash: Of data, splits, cards and prices.
        checkpoint_hash: Of the router's weights.
    """

    directory: OutcomeDirectory
    splits: Splits
    exam: AptitudeTest
    profiles: tuple[CapabilityProfile, ...]
    prices: PriceTable
    facts: Mapping[str, ModelFacts]
    outputs: Mapping[tuple[str, str], str]
    scorer: CachedScorer
    others: Mapping[str, CachedScorer]
    config: NetworkConfig
    tuned_on: Mapping[str, Any]
    embed: "ItemsKnown"
    data_hash: str
    checkpoint_hash: str


class ItemsKnown:
    """Sentence embeddings; those of the exam's items come with the checkpoint.

    Args:
        embed: Embeds all other texts.
        rows: Text to embedding.
    """

    def __init__(self, embed: CachedEmbed, rows: Mapping[str, FloatArray]) -> None:
        self._embed = embed
        self._rows = rows

    def __call__(self, texts: Sequence[str]) -> FloatArray:
        """Embed texts, [text, d]."""
        missing = [text for text in texts if text not in self._rows]
        found = dict(zip(missing, self._embed(missing), strict=True)) if missing else {}
        return np.stack([self._rows[text] if text in self._rows else found[text] for text in texts])

    def report_to(self, progress: Progress) -> None:
        """Tell someone else how embedding gets on."""
        self._embed.progress = progress


def load_setup(
    outcomes: Path,
    *,
    splits: Path | None,
    checkpoint: Path | None,
    others: Mapping[str, Path],
    exam: AptitudeTest,
    profiles: Sequence[CapabilityProfile],
    prices: PriceTable,
    fresh: bool,
) -> Setup:
    """Read data and routers.

    Args:
        outcomes: Folder of instructions and outcomes; `models` and `outputs` there are optional.
        splits: By default `splits.json` in that folder.
        checkpoint: Folder of the router; the shipped one by default.
        others: Folders of more routers by name, each a row in the main tables.
        exam: That the cards are from.
        profiles: The cards.
        prices: For the cost tables.
        fresh: Keep scores and embeddings in memory only.

    Raises:
        CheckpointError: A checkpoint is damaged.
        DataError: A file is missing or malformed, or the router was tuned with another exam.
        MissingExtraError: torch is not installed.
    """
    require_torch()
    splits_file = outcomes / "splits.json" if splits is None else splits
    read = read_splits(splits_file)
    directory = OutcomeDirectory.load(outcomes)
    folder = checkpoint or shipped_folder()
    loaded = load_checkpoint(folder)
    if loaded.statistics.exam_hash != exam.hash:
        raise DataError(
            f"{folder}: tuned with the exam {loaded.statistics.exam_hash}, but the cards are of {exam.name} "
            f"({exam.hash}); give the exam and cards that belong to it."
        )
    cache = None if fresh else cache_folder()
    scorer = load_tuned(folder)
    encoder = loaded.config.text_encoder
    name = digest(encoder, _engine_of(scorer))
    rows = RowCache(None if cache is None else cache / "embeddings" / f"{name}-alone.npz")
    texts = {row.id: row.text for row in directory.instructions}
    items = loaded.head.get("item_embeddings")
    known: dict[str, FloatArray] = {}
    if items is not None and all(item.id in texts for item in exam.items):
        known = {texts[item.id]: row for item, row in zip(exam.items, np.asarray(items), strict=True)}
    return Setup(
        directory=directory,
        splits=read,
        exam=exam,
        profiles=tuple(profiles),
        prices=prices,
        facts=read_models(outcomes),
        outputs=read_outputs(outcomes),
        scorer=_cached(scorer, folder, cache, rows),
        others={label: _cached(load_tuned(path), path, cache, None) for label, path in others.items()},
        config=loaded.config,
        tuned_on=loaded.tuning,
        embed=ItemsKnown(CachedEmbed(lambda: _one_by_one(scorer, encoder), rows), known),
        data_hash=digest(
            *(path.read_bytes() for path in _data_files(outcomes)),
            splits_file.read_bytes(),
            exam.hash,
            *(repr(card_object(profile)) for profile in profiles),
            repr(prices),
        ),
        checkpoint_hash=folder_digest(folder),
    )


def _data_files(folder: Path) -> list[Path]:
    names = [f"{stem}{ending}" for stem in _DATA_FILES for ending in (".parquet", ".jsonl")]
    return [folder / name for name in names if (folder / name).exists()]


def through_cache(scorer: Scorer, folder: Path, *, progress: Progress = no_progress) -> CachedScorer:
    """A router with the user's cache before it.

    Args:
        scorer: The router.
        folder: Its checkpoint.
        progress: Called with (instructions read, instructions in all).
    """
    cached = _cached(scorer, folder, cache_folder(), None)
    cached.progress = progress
    return cached


def _cached(scorer: Scorer, folder: Path, cache: Path | None, embeddings: RowCache | None) -> CachedScorer:
    # Two engines agree but for the last bits, which a benchmark must not mix.
    identity = digest(folder_digest(folder), _engine_of(scorer))
    return CachedScorer(scorer, folder=cache, identity=identity, embeddings=embeddings)


def _engine_of(scorer: Scorer) -> str:
    return scorer.encoder.runtime if isinstance(scorer, TwoPhaseScorer) else type(scorer).__name__


def _one_by_one(scorer: Scorer, encoder: str) -> Callable[[Sequence[str]], FloatArray]:
    """The router's own sentence encoder, one text at a time: in a batch the last bits depend on company."""
    if isinstance(scorer, TwoPhaseScorer):
        embed: Embed = scorer.encoder.embed
        return lambda texts: np.concatenate([embed([text]) for text in texts])
    from modelsat.network.encoder import load_encoder

    return partial(load_encoder(encoder).encode, batch_size=1)
