"""One run of the benchmark: data, routers and settings, and what is made of them when it is first needed."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from modelsat.bench.baselines import fit_baselines
from modelsat.bench.cache import (
    CachedEmbed,
    CachedScorer,
    RowCache,
    digest,
    folder_digest,
    runtime_of,
    through_cache,
)
from modelsat.bench.evaluation_set import EvaluationSet, Part, core_set, source_set
from modelsat.bench.methods import MODEL_SAT, Method, router_methods
from modelsat.bench.prices import PriceTable
from modelsat.bench.results import Split, Suite
from modelsat.cache import cache_folder
from modelsat.capability.aptitude import AptitudeTest
from modelsat.capability.card import card_object
from modelsat.errors import DataError
from modelsat.progress import Progress, no_progress
from modelsat.records.side_tables import ModelFacts, read_models, read_outputs
from modelsat.records.splits import Splits, read_splits
from modelsat.records.store import OutcomeDirectory
from modelsat.routing.load import CASCADE, DEFAULT_ROUTER, checkpoint_folder, load_tuned
from modelsat.routing.scorer import Scorer
from modelsat.scoring.checkpoint import load_checkpoint
from modelsat.scoring.config import NetworkConfig
from modelsat.scoring.scorer import TwoPhaseScorer
from modelsat.types import CapabilityProfile, FloatArray

_DATA_FILES = ("instructions", "outcomes", "models", "outputs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """Sizes of a suite that its sections share; sizes of one section are in its file.

    Attributes:
        suite: Its name.
        routed: Instructions to route per part; None routes all.
        learned: Tuning instructions that baselines learn from; None takes all.
        beyond: Whether out-of-domain datasets, with candidates of their own, are routed.
        streams: Groups of models that share instructions (protocols), each with a release stream if the data has it.
        stream_learned: Tuning instructions of a stream; None takes all.
        pairs: Pairs of instruction and candidate that learners with the card learn from.
        trees: Of a random forest.
        shuffles: Of cards, for the controls.
    """

    suite: Suite
    routed: int | None
    learned: int | None
    beyond: bool
    streams: tuple[str, ...]
    stream_learned: int | None
    pairs: int
    trees: int
    shuffles: int = 8


EFFORTS: dict[Suite, Effort] = {
    "quick": Effort(
        suite="quick",
        routed=150,
        learned=400,
        beyond=False,
        streams=("zeroeval",),
        stream_learned=200,
        pairs=5_000,
        trees=30,
    ),
    "full": Effort(
        suite="full",
        routed=None,
        learned=None,
        beyond=True,
        streams=("mmlu_pro", "zeroeval"),
        stream_learned=None,
        pairs=20_000,
        trees=100,
    ),
}


@dataclass(kw_only=True, eq=False)
class BenchmarkRun:
    """Data, routers and settings of one run.

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
        tuned_on: Record of its tuning in the checkpoint.
        embed: Texts to sentence embeddings, through the cache.
        data_hash: Of data, splits, cards and prices.
        checkpoint_hash: Of the router's weights.
        split: `development` routes validation instructions, `test` those of the final test.
        seed: Of everything random.
        effort: Sizes; see `EFFORTS`.
        datasets: Route these in the core set; by default the exam's own.
        stem_only: Drop the lettered options from the core set.
        baselines: Names of the baselines to fit; None fits all.
        with_router: Whether the router is measured, or only baselines.
        folder: Keeps what takes long, so that a killed run resumes; None keeps nothing.
        progress: Reports steps.
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
    embed: CachedEmbed
    data_hash: str
    checkpoint_hash: str
    split: Split = "development"
    seed: int = 0
    effort: Effort = EFFORTS["quick"]
    datasets: tuple[str, ...] = ()
    stem_only: bool = False
    baselines: Collection[str] | None = None
    with_router: bool = True
    folder: Path | None = None
    progress: Progress = no_progress

    def __post_init__(self) -> None:
        self._methods: dict[str, tuple[Method, ...]] = {}
        readers: list[CachedScorer | CachedEmbed] = [self.scorer, *self.others.values(), self.embed]
        for reader in readers:
            reader.progress = lambda step, done, total: self.progress(step, done, total)

    @cached_property
    def core(self) -> EvaluationSet:
        """The exam's own dataset, with the zoos of the splits."""
        return core_set(
            self.directory,
            self.profiles,
            exam=self.exam,
            splits=self.splits,
            datasets=self.datasets,
            part=self._part,
            limit=self.effort.routed,
            learn=self.effort.learned,
            stem_only=self.stem_only,
            rng=self._rng("core"),
        )

    @cached_property
    def beyond(self) -> tuple[EvaluationSet, ...]:
        """Protocols with datasets that tuning leaves out; those too small for an exam are passed over."""
        sets = []
        for source, there in sorted(self._sources().items()) if self.effort.beyond else ():
            datasets = sorted(there & set(self.splits.out_of_domain_datasets))
            found = self._source_set(source, name=source, datasets=datasets) if datasets else None
            sets += [] if found is None else [found]
        return tuple(sets)

    @cached_property
    def cutoffs(self) -> dict[str, str]:
        """Month by which half of a protocol's dated candidates were released, by protocol.

        A stream's router may have seen candidates released up to it.
        """
        outcomes = self.directory.outcomes
        found: dict[str, str] = {}
        for source in self.effort.streams:
            if source in outcomes.sources:
                inside = outcomes.source_index == outcomes.sources.index(source)
                names = [outcomes.candidates[at] for at in np.unique(outcomes.candidate_index[inside])]
                dates = sorted(self.facts[name].released for name in names if name in self.facts)
                dates = [date for date in dates if date]
                found |= {source: dates[(len(dates) - 1) // 2]} if dates else {}
        return found

    @cached_property
    def streams(self) -> dict[str, EvaluationSet]:
        """Release streams, whose exam and router know candidates up to the cutoff only, by protocol."""
        sets: dict[str, EvaluationSet] = {}
        for source, cutoff in self.cutoffs.items():
            known = [name for name, fact in self.facts.items() if fact.released and fact.released <= cutoff]
            found = self._source_set(
                source, name=f"{source} stream", exam_candidates=known, learn=self.effort.stream_learned
            )
            sets |= {} if found is None else {source: found}
        return sets

    def methods(self, routed: EvaluationSet) -> tuple[Method, ...]:
        """Every method on one of the run's sets, the router first; fitted when first asked for."""
        if routed.name not in self._methods:
            self._methods[routed.name] = tuple(self._fitted(routed))
        return self._methods[routed.name]

    @property
    def method_notes(self) -> dict[str, str]:
        """How each method of the core set was fitted; empty as long as none was."""
        return {method.name: method.note for method in self._methods.get(self.core.name, ())}

    def _fitted(self, routed: EvaluationSet) -> list[Method]:
        baselines = fit_baselines(
            routed,
            self.embed,
            items=self.directory.instructions,
            outputs=self.outputs,
            pairs=self.effort.pairs,
            trees=self.effort.trees,
            seed=self.seed,
            only=self.baselines,
            progress=self.progress,
        )
        if routed in self.streams.values():
            return [*self._stream_router(routed), *baselines]
        if not self.with_router:
            return baselines
        core = routed is self.core
        own, *controls = router_methods(
            routed,
            self.scorer,
            note="The tuned router, with the candidates' own cards.",
            seed=self.seed,
            shuffles=self.effort.shuffles if core else 0,
        )
        others = [
            method
            for name, scorer in (self.others.items() if core else ())
            for method in router_methods(
                routed, scorer, note=f"Another router: {name}.", seed=self.seed, name=f"{MODEL_SAT}, {name}"
            )
        ]
        return [own, *others, *baselines, *controls]

    def _stream_router(self, routed: EvaluationSet) -> list[Method]:
        """A router tuned on what a stream's cutoff allows."""
        from modelsat.tuning.embedding_router import EmbeddingRouter

        self.progress("tuning a stream's router", 0, 1)
        router = EmbeddingRouter(
            routed.exam,
            routed.learning,
            routed.seen_profiles,
            items=self.directory.instructions,
            embed=self.embed,
            seed=self.seed,
        )
        return router_methods(routed, router, note=f"{router.name}, frozen at the cutoff.", seed=self.seed)

    @property
    def _part(self) -> Part:
        return "validation" if self.split == "development" else "test"

    def _source_set(
        self,
        source: str,
        *,
        name: str,
        datasets: Sequence[str] | None = None,
        exam_candidates: Sequence[str] | None = None,
        learn: int | None = None,
    ) -> EvaluationSet | None:
        """A set of one protocol; None if it has too few outcomes for one."""
        try:
            return source_set(
                self.directory,
                source,
                name=name,
                splits=self.splits,
                part=self._part,
                datasets=datasets,
                exam_candidates=exam_candidates,
                limit=self.effort.routed,
                learn=learn,
                rng=self._rng(name),
            )
        except DataError:
            return None

    def _sources(self) -> dict[str, set[str]]:
        """Datasets of each protocol."""
        outcomes = self.directory.outcomes
        dataset_of = {row.id: row.dataset for row in self.directory.instructions}
        datasets = np.array([dataset_of[row] for row in outcomes.instruction_ids], dtype=np.str_)
        return {
            source: set(
                np.unique(datasets[outcomes.instruction_index[outcomes.source_index == code]]).tolist()
            )
            for code, source in enumerate(outcomes.sources)
        }

    def _rng(self, what: str) -> np.random.Generator:
        """Randomness of one set's own, so that it does not depend on which others are made, and when."""
        return np.random.default_rng([self.seed, *what.encode()])


def load_run(
    outcomes: Path,
    *,
    splits: Path | None = None,
    router: str | Path = DEFAULT_ROUTER,
    others: Mapping[str, str | Path] | None = None,
    exam: AptitudeTest,
    profiles: Sequence[CapabilityProfile],
    prices: PriceTable,
    fresh: bool = False,
    **settings: Any,  # noqa: ANN401 - fields of BenchmarkRun
) -> BenchmarkRun:
    """Read data and routers.

    Args:
        outcomes: Folder of instructions and outcomes; `models` and `outputs` there are optional.
        splits: By default `splits.json` in that folder; without such a file nothing is held out but the test split,
            and all candidates are one zoo.
        router: Name or folder of a tuned router.
        others: Names or folders of more routers by label, each a row in the main tables.
        exam: The exam of the cards.
        profiles: The cards.
        prices: For the cost tables.
        fresh: Keep scores and embeddings in memory only.
        settings: Of `BenchmarkRun`, from `split` on.

    Raises:
        CheckpointError: A checkpoint is damaged.
        DataError: A file is missing or malformed, the router was tuned with another exam, or one is the cascade.
    """
    if CASCADE in map(str, (router, *(others or {}).values())):
        raise DataError(
            f"the router {CASCADE!r} cannot be measured: its scores depend on the candidates at hand, which every zoo "
            "changes; give its two routers, fast and accurate, one by one."
        )
    splits_file = outcomes / "splits.json" if splits is None else splits
    held = read_splits(splits_file) if splits is not None or splits_file.exists() else Splits()
    directory = OutcomeDirectory.load(outcomes)
    folder = checkpoint_folder(router)
    loaded = load_checkpoint(folder)
    if loaded.statistics.exam_hash != exam.hash:
        raise DataError(
            f"{folder}: tuned with the exam {loaded.statistics.exam_hash}, but the cards are of {exam.name} "
            f"({exam.hash}); give the exam and cards that belong to it."
        )
    scorer = load_tuned(folder)
    encoder = loaded.config.text_encoder
    name = digest(encoder, runtime_of(scorer))
    rows = RowCache(None if fresh else cache_folder() / "embeddings" / f"{name}-alone.npz")
    texts = {row.id: row.text for row in directory.instructions}
    items = loaded.head.get("item_embeddings")
    if items is not None and all(item.id in texts for item in exam.items):
        # The checkpoint's own embeddings of its exam's items.
        rows.add([texts[item.id] for item in exam.items], np.asarray(items), save=False)
    data_files = (outcomes / f"{stem}{ending}" for stem in _DATA_FILES for ending in (".parquet", ".jsonl"))
    return BenchmarkRun(
        directory=directory,
        splits=held,
        exam=exam,
        profiles=tuple(profiles),
        prices=prices,
        facts=read_models(outcomes),
        outputs=read_outputs(outcomes),
        scorer=through_cache(scorer, folder, fresh=fresh, embeddings=rows),
        others={
            label: through_cache(load_tuned(other), checkpoint_folder(other), fresh=fresh)
            for label, other in (others or {}).items()
        },
        config=loaded.config,
        tuned_on=loaded.tuning,
        embed=CachedEmbed(lambda: _one_by_one(scorer, encoder), rows),
        data_hash=digest(
            *(path.read_bytes() for path in data_files if path.exists()),
            splits_file.read_bytes() if splits_file.exists() else b"",
            exam.hash,
            *(repr(card_object(profile)) for profile in profiles),
            repr(prices),
        ),
        checkpoint_hash=folder_digest(folder),
        **settings,
    )


def _one_by_one(scorer: Scorer, encoder: str) -> Callable[[Sequence[str]], FloatArray]:
    """The router's own sentence encoder, one text at a time: in a batch the last bits depend on the other texts."""
    if isinstance(scorer, TwoPhaseScorer):
        embed = scorer.encoder.embed
        return lambda texts: np.concatenate([embed([text]) for text in texts])
    from modelsat.network.encoder import load_encoder

    return partial(load_encoder(encoder).encode, batch_size=1)
