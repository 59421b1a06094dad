"""The settings of one benchmark and what was let loose in them, each made when it is first asked for."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from modelsat.bench.arena import Arena, core_arena, source_arena
from modelsat.bench.baselines import rivals
from modelsat.bench.contenders import model_sat
from modelsat.bench.effort import Effort
from modelsat.bench.embedding_router import EmbeddingRouter
from modelsat.bench.heldout import Part
from modelsat.bench.methods import MODEL_SAT, Method
from modelsat.bench.results import Split
from modelsat.bench.scoring import CachedScorer
from modelsat.bench.setup import ItemsKnown, Setup
from modelsat.bench.stream import cutoff_of
from modelsat.bench.zoos import Contest
from modelsat.errors import DataError
from modelsat.progress import Progress, no_progress
from modelsat.types import ScoreMatrix

# What is going on, done, in all.


class Contests:
    """Arenas and contests of one run.

    Args:
        setup: Data and routers.
        effort: Sizes of the suite.
        split: `development` routes validation instructions, `test` those of the final test.
        seed: Of everything random.
        folder: Keeps what takes long, so that a killed run goes on; None keeps nothing.
    """

    def __init__(
        self, setup: Setup, *, effort: Effort, split: Split, seed: int, folder: Path | None = None
    ) -> None:
        self.setup = setup
        self.effort = effort
        self.split: Split = split
        self.seed = seed
        self.folder = folder
        self.progress: Progress = no_progress
        self._part: Part = "validation" if split == "development" else "test"

    def report(self, step: str, done: int, total: int) -> None:
        """Tell how a step gets on."""
        self.progress(step, done, total)

    @property
    def scorer(self) -> CachedScorer:
        """The router, reporting how reading gets on."""
        self.setup.scorer.progress = self.report
        return self.setup.scorer

    @cached_property
    def core(self) -> Arena:
        """The exam's own dataset, with the zoos of the splits."""
        return core_arena(
            self.setup.directory,
            self.setup.profiles,
            exam=self.setup.exam,
            splits=self.setup.splits,
            part=self._part,
            limit=self.effort.routed,
            learn=self.effort.learnt,
            rng=self._rng("core"),
        )

    @cached_property
    def beyond(self) -> tuple[Arena, ...]:
        """Protocols with datasets that tuning leaves out; those too small for an exam are passed over."""
        arenas = []
        for source in sorted(self._sources()) if self.effort.beyond else ():
            datasets = sorted(self._sources()[source] & set(self.setup.splits.out_of_domain_datasets))
            if datasets:
                arena = self._source_arena(source, name=source, datasets=datasets)
                arenas += [] if arena is None else [arena]
        return tuple(arenas)

    @cached_property
    def cutoffs(self) -> dict[str, str]:
        """Month up to which a stream's router may have seen candidates, by protocol."""
        directory, facts = self.setup.directory, self.setup.facts
        found: dict[str, str] = {}
        for source in self.effort.streams:
            if source in directory.outcomes.sources:
                code = directory.outcomes.sources.index(source)
                inside = np.unique(
                    directory.outcomes.candidate_index[directory.outcomes.source_index == code]
                )
                cutoff = cutoff_of([directory.outcomes.candidates[at] for at in inside], facts)
                found |= {source: cutoff} if cutoff else {}
        return found

    @cached_property
    def streams(self) -> dict[str, Arena]:
        """Arenas of the release streams, whose exam and router know candidates up to the cutoff only."""
        arenas = {}
        for source, cutoff in self.cutoffs.items():
            known = [
                name for name, fact in self.setup.facts.items() if fact.released and fact.released <= cutoff
            ]
            arena = self._source_arena(
                source,
                name=f"{source} stream",
                exam_candidates=known,
                learn=self.effort.stream_learnt,
            )
            if arena is not None:
                arenas[source] = arena
        return arenas

    @cached_property
    def main(self) -> Contest:
        """The core arena with every method."""
        arena, (own, *controls) = self.core, self._own(self.core, shuffles=self.effort.shuffles)
        others = [
            method
            for name, scorer in self.setup.others.items()
            for method in model_sat(
                arena,
                scorer,
                note=f"Another checkpoint: {name}.",
                seed=self.seed,
                name=f"{MODEL_SAT}, {name}",
            )
        ]
        return Contest(arena=arena, methods=(own, *others, *self._rivals(arena), *controls))

    @property
    def own_scores(self) -> ScoreMatrix:
        """The router's scores on the core arena."""
        return self.main.method().scores[0]

    @property
    def notes(self) -> dict[str, str]:
        """How each method was fitted."""
        return {method.name: method.note for method in self.main.methods}

    @cached_property
    def beyond_contests(self) -> tuple[Contest, ...]:
        """Out-of-domain datasets: the router as it is, rivals fitted there."""
        return tuple(
            Contest(arena=arena, methods=(*self._own(arena), *self._rivals(arena))) for arena in self.beyond
        )

    @cached_property
    def stream_contests(self) -> dict[str, Contest]:
        """Release streams, each with a router tuned up to its cutoff."""
        contests = {}
        for source, arena in self.streams.items():
            self.report(f"tuning up to {self.cutoffs[source]}", 0, 1)
            router = EmbeddingRouter(arena, self.setup.directory.instructions, self._embed, seed=self.seed)
            own = model_sat(arena, router, note=f"{router.name}, frozen at the cutoff.", seed=self.seed)
            contests[source] = Contest(arena=arena, methods=(*own, *self._rivals(arena)))
        return contests

    def _own(self, arena: Arena, *, shuffles: int = 0) -> list[Method]:
        return model_sat(
            arena,
            self.scorer,
            note="The tuned router, with the candidates' own cards.",
            seed=self.seed,
            shuffles=shuffles,
        )

    def _rivals(self, arena: Arena) -> list[Method]:
        return rivals(
            arena,
            self._embed,
            items=self.setup.directory.instructions,
            outputs=self.setup.outputs,
            effort=self.effort.rivals,
            seed=self.seed,
            progress=lambda step, done, total: self.report(f"fitting baselines on {arena.name}", done, total),
        )

    @property
    def _embed(self) -> ItemsKnown:
        self.setup.embed.report_to(lambda step, done, total: self.report("embedding", done, total))
        return self.setup.embed

    def _source_arena(
        self,
        source: str,
        *,
        name: str,
        datasets: Sequence[str] | None = None,
        exam_candidates: Sequence[str] | None = None,
        learn: int | None = None,
    ) -> Arena | None:
        """An arena of one protocol; None where it has too few outcomes for one."""
        try:
            return source_arena(
                self.setup.directory,
                source,
                name=name,
                splits=self.setup.splits,
                part=self._part,
                datasets=datasets,
                part_name=None if datasets is None else "ood_datasets",
                exam_candidates=exam_candidates,
                limit=self.effort.routed,
                learn=learn,
                rng=self._rng(name),
            )
        except DataError:
            return None

    def _sources(self) -> dict[str, set[str]]:
        """Datasets of each protocol."""
        outcomes = self.setup.directory.outcomes
        dataset_of = {row.id: row.dataset for row in self.setup.directory.instructions}
        datasets = np.array([dataset_of[row] for row in outcomes.instruction_ids], dtype=np.str_)
        return {
            source: set(
                np.unique(datasets[outcomes.instruction_index[outcomes.source_index == code]]).tolist()
            )
            for code, source in enumerate(outcomes.sources)
        }

    def _rng(self, what: str) -> np.random.Generator:
        """Randomness of one arena's own, so that it does not depend on which others are made, and when."""
        return np.random.default_rng([self.seed, *what.encode()])
