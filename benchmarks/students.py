"""Students beside their teacher: cost and quality of a decision, by depth and token budget, and in a cascade.

Costs are measured here and now, in turns; quality is measured on held-out outcomes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.measure import listed, run
from benchmarks.student_plot import check_plot, student_curve
from benchmarks.texts import CANDIDATES, TEXTS, TOKENS, zoo_of
from modelsat.bench import metrics
from modelsat.bench.cache import through_cache
from modelsat.bench.evaluation_set import EvaluationSet, core_set
from modelsat.bench.methods import choose_in
from modelsat.bench.timing import interleaved, machine, versions
from modelsat.capability.aptitude import AptitudeTest
from modelsat.capability.zoo import ModelZoo
from modelsat.cli.output import print_json, print_table, progress_bars, say
from modelsat.errors import DataError
from modelsat.onnx.tokens import SentenceTokens
from modelsat.records.splits import read_splits
from modelsat.records.store import OutcomeDirectory
from modelsat.routing.load import DEFAULT_ROUTER, checkpoint_folder, load_tuned
from modelsat.routing.router import Router
from modelsat.routing.scorer import Scorer
from modelsat.scoring.checkpoint import load_checkpoint, shipped_folder
from modelsat.scoring.scorer import lead
from modelsat.scoring.weights import EMBEDDED_ENCODER, TOKENIZER_FILE, embedded_folder
from modelsat.statistics import Interval, PairedBootstrap
from modelsat.types import Candidate, ScoreMatrix, column_index

BATCH = 32
TEACHER = "teacher"
_SHIPPED = ("fast", "fastest")
# No text that is counted is longer.
_LONGEST = 512

CountTokens = Callable[[str], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Student:
    """A student to measure.

    Attributes:
        name: In tables.
        scorer: The student through a cache, for quality.
        timed: The student without a cache, for cost.
        layers: Layers of the text encoder.
        tokens: Token budget.
        margin: Below which a cascade asks the teacher; None leaves the cascade out.
    """

    name: str
    scorer: Scorer
    timed: Scorer
    layers: int
    tokens: int
    margin: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionCost:
    """Cost of a decision.

    Attributes:
        milliseconds: One instruction at a time.
        per_second: Decisions a second, one instruction at a time.
        per_second_batched: The same with 32 instructions together.
    """

    milliseconds: float
    per_second: float
    per_second_batched: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentRow:
    """One way to decide, beside the teacher.

    Attributes:
        name: Name of the student, or of its cascade.
        layers: Layers of the text encoder; None for teacher and cascades.
        tokens: Token budget; None for teacher and cascades.
        cost: Cost of a decision.
        cost_share: Share of the teacher's time for one instruction.
        asked: Share of decisions handed to the teacher, mean over zoos; None where there is no cascade.
        auc: AUC by group of candidates; empty for cascades, whose scores are on two scales.
        agreement: Share of decisions that are the teacher's, mean over zoos.
        difference: Accuracy minus the teacher's, in points, mean over zoos.
    """

    name: str
    layers: int | None
    tokens: int | None
    cost: DecisionCost
    cost_share: float
    asked: float | None
    auc: Mapping[str, float]
    agreement: float
    difference: Interval


def main(
    outcomes: Annotated[Path, typer.Option(help="Folder of instructions and outcomes.")],
    splits: Annotated[Path, typer.Option(help="JSON of held-out candidates, categories, datasets and zoos.")],
    student: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FOLDER", help="A student's checkpoint; repeatable (default: as shipped)."),
    ] = None,
    teacher: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Default: as shipped.")] = None,
    part: Annotated[str, typer.Option(help="validation, or test (out-of-domain included).")] = "validation",
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many instructions per part.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Runs of each timing; medians are shown.")] = 5,
    seed: Annotated[int, typer.Option(help="Of subsets and bootstrap.")] = 0,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw cost against quality, as .svg or .png.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure students and cascades beside their teacher: cost here, quality on held-out outcomes."""
    if part not in ("validation", "test"):
        raise DataError(f"--part is {part!r}; expected validation or test.")
    if plot is not None:
        check_plot(plot)
    folders = _folders(student)
    here = machine()
    routed = core_set(
        OutcomeDirectory.load(outcomes),
        ModelZoo.shipped().profiles,
        exam=AptitudeTest.shipped(),
        splits=read_splits(splits),
        part="test" if part == "test" else "validation",
        limit=limit,
        rng=np.random.default_rng(seed),
    )
    timed = load_tuned(teacher or DEFAULT_ROUTER)
    cached = through_cache(timed, teacher or shipped_folder())
    with progress_bars() as advance:
        cached.progress = advance
        rows = measure_students(
            routed,
            cached,
            [_student(name, folder) for name, folder in folders],
            timed_teacher=timed,
            count_tokens=_token_counter(),
            repeats=repeats,
            seed=seed,
        )
    if plot is not None:
        student_curve(rows).save(plot)
        say(f"{plot}: written.")
    if as_json:
        report: dict[str, Any] = {
            "machine": here,
            "versions": versions(("modelsat", "onnxruntime", "numpy")),
            "part": part,
            "instructions": {name: len(positions) for name, positions in routed.parts.items()},
            "rows": [asdict(row) for row in rows],
        }
        print_json(report)
        return
    typer.echo(listed(here))
    _print(rows)


def _folders(given: list[str] | None) -> list[tuple[str, Path]]:
    if not given:
        return [(name, checkpoint_folder(name)) for name in _SHIPPED]
    pairs = []
    for text in given:
        name, _, folder = text.partition("=")
        if not (name and folder):
            raise DataError(f"--student is {text!r}; write NAME=FOLDER.")
        pairs.append((name, Path(folder)))
    return pairs


def _student(name: str, folder: Path) -> Student:
    checkpoint, scorer = load_checkpoint(folder), load_tuned(folder)
    if not checkpoint.config.is_student:
        raise DataError(f"{folder}: not a student's checkpoint; `modelsat distil` makes one.")
    return Student(
        name=name,
        scorer=through_cache(scorer, folder),
        timed=scorer,
        layers=checkpoint.config.layers or 0,
        tokens=checkpoint.config.tokens,
        margin=checkpoint.margin,
    )


def measure_students(
    routed: EvaluationSet,
    teacher: Scorer,
    students: Sequence[Student],
    *,
    timed_teacher: Scorer,
    count_tokens: CountTokens,
    repeats: int = 5,
    seed: int = 0,
) -> list[StudentRow]:
    """Measure a teacher, its students, and a cascade of each student that has a margin.

    Args:
        routed: Outcomes to route.
        teacher: Through a cache, for quality.
        students: The students.
        timed_teacher: Without a cache, for cost.
        count_tokens: Number of tokens of a text.
        repeats: Runs of each timing.
        seed: Of the bootstrap.
    """
    reference = teacher.score(routed.table.instructions, routed.profiles)
    timed = {TEACHER: timed_teacher, **{student.name: student.timed for student in students}}
    costs = _costs(timed, count_tokens, repeats=repeats)
    measured = _Measured(routed, reference, costs[TEACHER], seed)
    rows = [measured.row(TEACHER, reference, costs[TEACHER])]
    for student in students:
        scores = student.scorer.score(routed.table.instructions, routed.profiles)
        row = measured.row(student.name, scores, costs[student.name])
        rows.append(replace(row, layers=student.layers, tokens=student.tokens))
        if student.margin is not None:
            rows.append(
                measured.cascade(f"cascade of {student.name}", scores, costs[student.name], student.margin)
            )
    return rows


@dataclass(frozen=True, slots=True)
class _Measured:
    """Rows against one teacher's scores and cost, on the widest part of the held-out outcomes."""

    routed: EvaluationSet
    reference: ScoreMatrix
    full: DecisionCost
    seed: int

    @property
    def at(self) -> NDArray[np.intp]:
        return [*self.routed.parts.values()][-1]

    def row(self, name: str, scores: ScoreMatrix, cost: DecisionCost) -> StudentRow:
        table = self.routed.table
        auc = {}
        for group, members in self.routed.groups.items():
            cells = np.ix_(self.at, column_index(table.candidates, members))
            auc[group] = metrics.auc(table.scores[cells], scores.logits[cells])
        chosen = {zoo: choose_in(scores, self.at, members) for zoo, members in self.routed.zoos.items()}
        return self._against(name, chosen, cost, auc=auc, asked=None)

    def cascade(self, name: str, scores: ScoreMatrix, cost: DecisionCost, margin: float) -> StudentRow:
        chosen, asked = {}, []
        for zoo, members in self.routed.zoos.items():
            columns = column_index(scores.candidates, members)
            close = lead(scores.logits[np.ix_(self.at, columns)]) < margin
            theirs, ours = (choose_in(each, self.at, members) for each in (self.reference, scores))
            chosen[zoo] = np.where(close, theirs, ours)
            asked.append(float(close.mean()))
        share = float(np.mean(asked))
        milliseconds = cost.milliseconds + share * self.full.milliseconds
        batched = 1 / cost.per_second_batched + share / self.full.per_second_batched
        both = DecisionCost(
            milliseconds=milliseconds, per_second=1000 / milliseconds, per_second_batched=1 / batched
        )
        return self._against(name, chosen, both, auc={}, asked=share)

    def _against(
        self,
        name: str,
        chosen: Mapping[str, NDArray[np.intp]],
        cost: DecisionCost,
        *,
        auc: Mapping[str, float],
        asked: float | None,
    ) -> StudentRow:
        """Compare choices with the teacher's, pooled over zoos."""
        truth = self.routed.table.scores[self.at]
        members = sorted(set().union(*self.routed.zoos.values()))
        known = ~np.isnan(truth[:, column_index(self.routed.table.candidates, members)]).any(axis=1)
        agreements, differences = [], []
        for zoo, names in self.routed.zoos.items():
            ours, theirs = chosen[zoo], choose_in(self.reference, self.at, names)
            agreements.append(float((ours == theirs).mean()))
            differences.append(
                metrics.achieved(truth[known], ours[known]) - metrics.achieved(truth[known], theirs[known])
            )
        points = 100 * np.stack(differences, axis=1)
        return StudentRow(
            name=name,
            layers=None,
            tokens=None,
            cost=cost,
            cost_share=cost.milliseconds / self.full.milliseconds,
            asked=asked,
            auc=auc,
            agreement=float(np.mean(agreements)),
            difference=PairedBootstrap(len(points), rng=np.random.default_rng(self.seed)).interval(points),
        )


def _costs(
    scorers: Mapping[str, Scorer], count_tokens: CountTokens, *, repeats: int
) -> dict[str, DecisionCost]:
    zoo = ModelZoo((Candidate(name=card.candidate), card) for card in zoo_of(CANDIDATES))
    text, numbers = _text(count_tokens), count()

    def single(router: Router) -> Callable[[], object]:
        # No text comes twice: a score cache would answer it.
        return lambda: [router.route(f"{next(numbers)} {text}") for _ in range(4)]

    def batched(router: Router) -> Callable[[], object]:
        return lambda: list(
            router.route_many([f"{next(numbers)} {text}" for _ in range(BATCH)], batch_size=BATCH)
        )

    routers = [Router(scorer=scorer, zoo=zoo) for scorer in scorers.values()]
    alone = interleaved([single(router) for router in routers], repeats=repeats)
    together = interleaved([batched(router) for router in routers], repeats=min(repeats, 3))
    return {
        name: DecisionCost(milliseconds=250 * one, per_second=4 / one, per_second_batched=BATCH / many)
        for name, one, many in zip(scorers, alone, together, strict=True)
    }


def _token_counter() -> CountTokens:
    """Counts tokens as the embedded text encoder does, end markers included."""
    words = SentenceTokens(embedded_folder(EMBEDDED_ENCODER) / TOKENIZER_FILE, budget=_LONGEST)
    return lambda text: len(words.encode([text])[0])


def _text(count_tokens: CountTokens) -> str:
    """Everyday text of as many tokens as are to be timed, with room for a number before it."""
    words = " ".join(TEXTS * 4).split()
    kept = words[:1]
    for word in words[1:]:
        if count_tokens(" ".join([*kept, word])) > TOKENS - 2:
            break
        kept.append(word)
    return " ".join(kept)


def _print(rows: list[StudentRow]) -> None:
    teacher = rows[0].auc
    columns = (
        *("", "layers", "tokens", "ms", "per s", "per s, 32", "cost", "asked"),
        *(f"AUC {group}" for group in teacher),
        *("agrees", "points"),
    )
    cells = [
        (
            row.name,
            "-" if row.layers is None else str(row.layers),
            "-" if row.tokens is None else str(row.tokens),
            f"{row.cost.milliseconds:.1f}",
            f"{row.cost.per_second:.0f}",
            f"{row.cost.per_second_batched:.0f}",
            f"{row.cost_share:.0%}",
            "-" if row.asked is None else f"{row.asked:.0%}",
            *(f"{row.auc[g]:.3f} ({row.auc[g] - teacher[g]:+.3f})" if row.auc else "-" for g in teacher),
            f"{row.agreement:.0%}",
            f"{row.difference.mean:+.2f} [{row.difference.low:+.2f}, {row.difference.high:+.2f}]",
        )
        for row in rows
    ]
    title = f"Cost of a decision, {TOKENS} tokens and {CANDIDATES} candidates; quality against the teacher's choices"
    print_table(columns, cells, title=title, numeric=columns[1:])


if __name__ == "__main__":
    run(main)
