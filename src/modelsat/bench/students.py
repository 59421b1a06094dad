"""Students beside their teacher: what a decision costs and how good it is, by depth and token budget, and in a cascade.

Costs are measured here and now, one after the other in turns; quality is measured on held-out outcomes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelsat.bench import metrics
from modelsat.bench.choosing import choose_in
from modelsat.bench.evaluate import measure
from modelsat.bench.heldout import POOLED, HeldOut
from modelsat.bench.texts import TEXTS
from modelsat.bench.timing import interleaved
from modelsat.capability.zoo import ModelZoo
from modelsat.onnx.tokens import SentenceTokens
from modelsat.routing.router import Router
from modelsat.routing.scorer import Scorer
from modelsat.scoring.scorer import lead
from modelsat.scoring.weights import EMBEDDED_ENCODER, encoder_folder
from modelsat.statistics import Interval, PairedBootstrap
from modelsat.types import Candidate, ScoreMatrix, column_index

CANDIDATES = 30
TOKENS = 128
BATCH = 32
TEACHER = "teacher"
# No text that is counted is longer.
_LONGEST = 512

# A text's tokens, counted by whoever reads texts.
CountTokens = Callable[[str], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Student:
    """A student to measure.

    Attributes:
        name: In tables.
        scorer: It, through a cache, for quality.
        timed: It, without a cache, for cost.
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
class Cost:
    """What a decision costs.

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
        name: Whose.
        layers: Layers of the text encoder; None for teacher and cascades.
        tokens: Token budget; None for teacher and cascades.
        cost: Of a decision.
        cost_share: Share of the teacher's time for one instruction.
        asked: Share of decisions for which the teacher is asked, mean over zoos; None where it never is.
        auc: AUC by group of candidates; empty for cascades, whose scores are of two scales.
        agreement: Share of decisions that are the teacher's, mean over zoos.
        difference: Score of the chosen minus that of the teacher's choice, in points, mean over zoos.
    """

    name: str
    layers: int | None
    tokens: int | None
    cost: Cost
    cost_share: float
    asked: float | None
    auc: Mapping[str, float]
    agreement: float
    difference: Interval

    def to_json(self) -> dict[str, Any]:
        """The row as plain values."""
        return asdict(self)


def measure_students(
    held_out: HeldOut,
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
        held_out: What is routed.
        teacher: Through a cache, for quality.
        students: Each with its margin.
        timed_teacher: Without a cache, for cost.
        count_tokens: Says how long a timed text is.
        repeats: Of each timing.
        seed: Of the bootstrap.
    """
    said = teacher.score(held_out.table.instructions, held_out.profiles)
    costs = _costs(
        {TEACHER: timed_teacher, **{student.name: student.timed for student in students}},
        count_tokens,
        repeats=repeats,
    )
    full = costs[TEACHER]
    rows = [_row(TEACHER, said, said, held_out, full, full, seed=seed)]
    for student in students:
        scores = student.scorer.score(held_out.table.instructions, held_out.profiles)
        cost = costs[student.name]
        row = _row(student.name, scores, said, held_out, cost, full, seed=seed)
        rows.append(replace(row, layers=student.layers, tokens=student.tokens))
        if student.margin is not None:
            rows.append(_cascade(student, scores, said, held_out, cost, full, seed=seed))
    return rows


def _row(
    name: str, scores: ScoreMatrix, said: ScoreMatrix, held_out: HeldOut, cost: Cost, full: Cost, *, seed: int
) -> StudentRow:
    part, rows = _last_part(held_out)
    report = measure(name, scores, held_out, seed=seed)
    chosen = {zoo: choose_in(scores, rows, members) for zoo, members in held_out.zoos.items()}
    agreement, difference = _against(chosen, said, held_out, rows, seed=seed)
    return StudentRow(
        name=name,
        layers=None,
        tokens=None,
        cost=cost,
        cost_share=cost.milliseconds / full.milliseconds,
        asked=None,
        auc={row.group: row.auc for row in report.quality if row.part == part},
        agreement=agreement,
        difference=difference,
    )


def _cascade(
    student: Student,
    scores: ScoreMatrix,
    said: ScoreMatrix,
    held_out: HeldOut,
    cost: Cost,
    full: Cost,
    *,
    seed: int,
) -> StudentRow:
    _, rows = _last_part(held_out)
    margin = student.margin or 0.0
    chosen, asked = {}, []
    for zoo, members in held_out.zoos.items():
        columns = column_index(scores.candidates, members)
        close = lead(scores.logits[np.ix_(rows, columns)]) < margin
        chosen[zoo] = np.where(close, choose_in(said, rows, members), choose_in(scores, rows, members))
        asked.append(float(close.mean()))
    agreement, difference = _against(chosen, said, held_out, rows, seed=seed)
    share = float(np.mean(asked))
    milliseconds = cost.milliseconds + share * full.milliseconds
    return StudentRow(
        name=f"cascade of {student.name}",
        layers=None,
        tokens=None,
        cost=Cost(
            milliseconds=milliseconds,
            per_second=1000 / milliseconds,
            per_second_batched=1 / (1 / cost.per_second_batched + share / full.per_second_batched),
        ),
        cost_share=milliseconds / full.milliseconds,
        asked=share,
        auc={},
        agreement=agreement,
        difference=difference,
    )


def _last_part(held_out: HeldOut) -> tuple[str, NDArray[np.intp]]:
    """The pooled part, or the only one there is."""
    return (POOLED, held_out.parts[POOLED]) if POOLED in held_out.parts else [*held_out.parts.items()][-1]


def _against(
    chosen: Mapping[str, NDArray[np.intp]],
    said: ScoreMatrix,
    held_out: HeldOut,
    rows: NDArray[np.intp],
    *,
    seed: int,
) -> tuple[float, Interval]:
    """Share of choices that are the teacher's, and what the others cost, in points, pooled over zoos."""
    truth = held_out.table.scores[rows]
    columns = column_index(held_out.table.candidates, sorted(set().union(*held_out.zoos.values())))
    known = ~np.isnan(truth[:, columns]).any(axis=1)
    agreements, differences = [], []
    for zoo, members in held_out.zoos.items():
        ours, theirs = chosen[zoo], choose_in(said, rows, members)
        agreements.append(float((ours == theirs).mean()))
        differences.append(
            metrics.achieved(truth[known], ours[known]) - metrics.achieved(truth[known], theirs[known])
        )
    points = 100 * np.stack(differences, axis=1)
    return float(np.mean(agreements)), PairedBootstrap(len(points), rng=np.random.default_rng(seed)).interval(
        points
    )


def _costs(scorers: Mapping[str, Scorer], count_tokens: CountTokens, *, repeats: int) -> dict[str, Cost]:
    zoo = _zoo()
    text, numbers = _text(count_tokens), count()

    def single(router: Router) -> Callable[[], object]:
        # No text comes twice: whoever remembers decisions must decide anew.
        return lambda: [router.route(f"{next(numbers)} {text}") for _ in range(4)]

    def batched(router: Router) -> Callable[[], object]:
        return lambda: list(
            router.route_many([f"{next(numbers)} {text}" for _ in range(BATCH)], batch_size=BATCH)
        )

    routers = [Router(scorer=scorer, zoo=zoo) for scorer in scorers.values()]
    alone = interleaved([single(router) for router in routers], repeats=repeats)
    together = interleaved([batched(router) for router in routers], repeats=min(repeats, 3))
    return {
        name: Cost(milliseconds=250 * one, per_second=4 / one, per_second_batched=BATCH / many)
        for name, one, many in zip(scorers, alone, together, strict=True)
    }


def _zoo() -> ModelZoo:
    """Thirty candidates: the shipped ones, some of them twice."""
    shipped = ModelZoo.shipped()
    names = [f"candidate {number}" for number in range(CANDIDATES)]
    profiles = shipped.profiles
    return ModelZoo(
        (Candidate(name=name), replace(profiles[at % len(profiles)], candidate=name))
        for at, name in enumerate(names)
    )


def token_counter() -> CountTokens:
    """Counts tokens as the embedded text encoder does, end markers included."""
    words = SentenceTokens(Path(encoder_folder(EMBEDDED_ENCODER)) / "tokenizer.json", budget=_LONGEST)
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
