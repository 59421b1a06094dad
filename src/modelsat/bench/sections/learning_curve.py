"""Learning curve: the same router with cards from shorter exams, and from none."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from modelsat.bench import metrics
from modelsat.bench.evaluation_set import EvaluationSet
from modelsat.bench.methods import select
from modelsat.bench.reporting.numbers import count, points, three_decimals
from modelsat.bench.reporting.plots import BASELINE, OTHER, OWN, Plot, draw, label_lines
from modelsat.bench.reporting.rows import grouped, number
from modelsat.bench.reporting.words import Finding
from modelsat.bench.results import BenchmarkResult, Cell, Row, Suite, Table
from modelsat.bench.run import BenchmarkRun
from modelsat.bench.section import Column, Section, TableSpec
from modelsat.errors import DataError
from modelsat.routing.scorer import Scorer
from modelsat.statistics import PairedBootstrap
from modelsat.types import CapabilityProfile, FloatArray, ScoreMatrix, TaskResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Tasks and shots of each, beside the whole exam and no exam.
SHORTER = ((50, 5), (20, 5), (10, 5))
NO_EXAM = "none"


# Shorter exams that are drawn and averaged.
DRAWS: dict[Suite, int] = {"quick": 3, "full": 8}
# Share of the AUC that the longest exam adds to no exam.
_SUFFICIENT = 0.9
_COLOURS = {"seen": OWN, "unseen": BASELINE}

TABLE = TableSpec(
    name="learning_curve",
    title="How much exam does a candidate need?",
    columns=(
        Column("exam"),
        Column("tasks", count),
        Column("shots", count),
        Column("items", count),
        Column("candidates"),
        Column("auc", three_decimals, "AUC"),
        Column("gain", points, "gain, points", ("gain_low", "gain_high")),
    ),
)


def compute(run: BenchmarkRun) -> Iterator[Table]:
    """The learning curve on the core set."""
    yield learning_curve(run.core, run.scorer, draws=DRAWS[run.effort.suite], seed=run.seed)


def learning_curve(routed: EvaluationSet, scorer: Scorer, *, draws: int, seed: int) -> Table:
    """Score a set with cards from exams of several lengths, on the widest part.

    Candidates of one group have the shorter exam; the others in a zoo keep their whole one, as when a new candidate
    joins known ones. Without an exam, a candidate counts as the average of the seen ones.

    Args:
        routed: The evaluation set.
        scorer: The router.
        draws: Shorter exams that are drawn and averaged.
        seed: Of the draws and the bootstrap.
    """
    profiles = routed.profiles
    rng = np.random.default_rng(seed)
    lengths = [(tasks, shots) for tasks, shots in SHORTER for _ in range(draws)]
    shorter = [shorten(profiles, tasks=tasks, shots=shots, rng=rng) for tasks, shots in lengths]
    cards = [
        *profiles,
        *(
            replace(card, candidate=f"{card.candidate} (exam {at})")
            for at, drawn in enumerate(shorter)
            for card in drawn
        ),
        average(routed.seen_profiles, name="(no exam)"),
    ]
    scores = scorer.score(routed.table.instructions, cards)
    count = len(profiles)
    whole = (len(routed.exam.tasks), routed.exam.shots)
    logits = {whole: [scores.logits[:, :count]]}
    for at, length in enumerate(lengths, start=1):
        logits.setdefault(length, []).append(scores.logits[:, at * count : (at + 1) * count])
    logits[0, 0] = [np.repeat(scores.logits[:, -1:], count, axis=1)]
    rows: list[tuple[Cell, ...]] = []
    for group, members in routed.groups.items():
        columns = routed.columns(members)
        for (tasks, shots), matrices in logits.items():
            label = f"{tasks}x{shots}" if tasks else NO_EXAM
            items = len(routed.exam.items) if (tasks, shots) == whole else tasks * shots
            rows.append(
                (label, tasks, shots, items, group, *_measure(routed, scores, matrices, columns, seed))
            )
    return TABLE.table(
        rows,
        f"Tasks x shots; shorter exams are parts of the whole one, mean of {draws} draws. Gain over the best single "
        "candidate, mean over the zoos that hold a candidate of the group; without an exam, ties are broken blindly.",
    )


def shorten(
    profiles: Sequence[CapabilityProfile], *, tasks: int, shots: int, rng: np.random.Generator
) -> list[CapabilityProfile]:
    """Cards as if all candidates had sat the same part of the exam.

    Args:
        profiles: Cards with single results, of one exam.
        tasks: Tasks to keep, drawn at random; all where the exam has no more.
        shots: Items to keep of each.
        rng: Draws both.

    Raises:
        DataError: A card has no single results.
    """
    names = sorted({result.task for card in profiles for result in card.results})
    kept = set(rng.permutation(names)[:tasks].tolist())
    items: dict[str, NDArray[np.intp]] = {}
    for card in profiles:
        for result in card.results:
            if result.task in kept and not result.items:
                raise DataError(
                    f"card of {card.candidate}: no single results on task {result.task!r}; a shorter exam cannot be "
                    "made from it. Grade it again from outcomes."
                )
            if result.task in kept and result.task not in items:
                items[result.task] = rng.permutation(len(result.items))[:shots]
    return [replace(card, results=_part(card, items)) for card in profiles]


def _part(card: CapabilityProfile, items: dict[str, NDArray[np.intp]]) -> tuple[TaskResult, ...]:
    results = []
    for result in card.results:
        kept = set(items.get(result.task, np.empty(0, dtype=np.intp)).tolist())
        answers = tuple(score if at in kept else None for at, score in enumerate(result.items))
        sat = [score for score in answers if score is not None]
        if sat:
            results.append(replace(result, items=answers, shots=len(sat), accuracy=float(np.mean(sat))))
    # A candidate that sat none of the drawn items keeps its results: a card cannot be empty.
    return tuple(results) or card.results


def average(profiles: Sequence[CapabilityProfile], *, name: str) -> CapabilityProfile:
    """The card of an average candidate: the mean of each task, without single results."""
    tasks: dict[str, list[TaskResult]] = {}
    for card in profiles:
        for result in card.results:
            tasks.setdefault(result.task, []).append(result)
    return CapabilityProfile(
        candidate=name,
        exam=profiles[0].exam,
        exam_hash=profiles[0].exam_hash,
        results=tuple(
            TaskResult(
                task=task,
                keywords=results[0].keywords,
                accuracy=float(np.mean([result.accuracy for result in results])),
                shots=max(result.shots for result in results),
            )
            for task, results in tasks.items()
        ),
    )


def _measure(
    routed: EvaluationSet,
    whole: ScoreMatrix,
    matrices: Sequence[FloatArray],
    columns: NDArray[np.intp],
    seed: int,
) -> tuple[float, float, float, float]:
    """AUC of the group, and mean gain with its interval, averaged over draws."""
    rows, truth = routed.widest, routed.table.scores
    cells = np.ix_(rows, columns)
    auc = float(np.mean([metrics.auc(truth[cells], matrix[cells]) for matrix in matrices]))
    gains = []
    for zoo, members in routed.zoos.items():
        inside = routed.columns(members)
        if not set(inside.tolist()) & set(columns.tolist()):
            continue
        single = truth[rows, routed.best_single(zoo)].astype(np.float64)
        for matrix in matrices:
            logits = select(whole, rows, np.arange(truth.shape[1])).logits.copy()
            logits[:, columns] = matrix[cells]
            gains.append(expected_of_best(logits[:, inside], truth[np.ix_(rows, inside)]) - single)
    if not gains:
        nothing = float("nan")
        return auc, nothing, nothing, nothing
    interval = PairedBootstrap(len(rows), rng=np.random.default_rng(seed)).interval(np.mean(gains, axis=0))
    return auc, interval.mean, interval.low, interval.high


def expected_of_best(logits: FloatArray, truth: FloatArray) -> NDArray[np.float64]:
    """Score of the best-scored candidate, [instruction]; the mean over those that share the first place."""
    first = logits == logits.max(axis=1, keepdims=True)
    expected: NDArray[np.float64] = (truth * first).sum(axis=1, dtype=np.float64) / first.sum(axis=1)
    return expected


def sufficient_exam(rows: Sequence[Row]) -> Row | None:
    """The shortest exam that gives nine tenths of the AUC that the longest one adds to no exam.

    Args:
        rows: Of one group of candidates, the row without exam among them.

    Returns:
        The row; None if the longest exam adds nothing.
    """
    by_length = sorted((row for row in rows if row["auc"] is not None), key=lambda row: number(row, "items"))
    if len(by_length) < 2 or number(by_length[0], "items") > 0:
        return None
    without, longest = number(by_length[0], "auc"), number(by_length[-1], "auc")
    enough = without + _SUFFICIENT * (longest - without)
    return next((row for row in by_length if longest > without and number(row, "auc") >= enough), None)


def findings(result: BenchmarkResult) -> Iterator[Finding]:
    """Length of the exam that a new candidate needs."""
    rows = [row for row in result.records("learning_curve") if row["candidates"] == "unseen"]
    enough = sufficient_exam(rows)
    if enough is not None:
        longest = max(rows, key=lambda row: number(row, "items"))
        yield Finding(
            "fact",
            f"A new candidate needs an exam of {count(number(enough, 'items'))} items ({enough['exam']}) for nine "
            f"tenths of the AUC that {count(number(longest, 'items'))} items add to no exam (no interval).",
        )


def plots(result: BenchmarkResult) -> Iterator[Plot]:
    """AUC by length of the exam, for seen and unseen candidates."""
    rows = [row for row in result.records("learning_curve") if row["auc"] is not None]
    lengths = sorted({(number(row, "items"), str(row["exam"])) for row in rows})
    place = {exam: at for at, (_, exam) in enumerate(lengths)}

    def paint(axes: "Axes") -> None:
        for group, line in grouped(rows, "candidates").items():
            points = sorted((place[str(row["exam"])], number(row, "auc")) for row in line)
            axes.plot(
                *zip(*points, strict=True),
                color=_COLOURS.get(group, OTHER),
                marker="o",
                label=f"{group} candidates",
            )
        axes.set_xticks(
            range(len(lengths)),
            [f"{count(items)}\n{exam}" if items else "no exam" for items, exam in lengths],
        )
        axes.set_xlabel("items of the exam, tasks x shots")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.3f}")
        axes.grid(axis="y")
        label_lines(axes)

    if rows:
        yield draw(
            paint,
            title="AUC by length of the exam that candidates sat",
            caption="AUC of P(right) over all pairs; shorter exams are parts of the whole one",
            height=3.2,
            name="learning-curve",
            table="learning_curve",
        )


SECTION = Section(
    name="learning_curve",
    order=40,
    heading="How much exam a new model needs",
    reading="The same router with cards from shorter exams, for candidates that tuning saw and for those it never saw.",
    tables=(TABLE,),
    compute=compute,
    findings=findings,
    plots=plots,
)
