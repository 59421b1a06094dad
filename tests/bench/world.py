"""A small world whose answer is known: every candidate is good at one subject, and its card says so."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from modelsat.bench.cache import CachedEmbed, CachedScorer, RowCache
from modelsat.bench.prices import PriceTable, TokenPrices
from modelsat.bench.run import BenchmarkRun
from modelsat.capability.aptitude import AptitudeTest, ExamItem, ExamTask
from modelsat.records.outcomes import Outcomes
from modelsat.records.side_tables import ModelFacts
from modelsat.records.splits import Splits, split_of
from modelsat.records.store import OutcomeDirectory
from modelsat.routing.scorer import from_probabilities
from modelsat.scoring.config import NetworkConfig
from modelsat.types import CapabilityProfile, FloatArray, Instruction, Outcome, ScoreMatrix

SUBJECTS = ("law", "maths", "code", "history")
NAMES = tuple("abcdefgh")
# Another protocol: other candidates, other subjects, in no tuning.
ABROAD, ABROAD_SUBJECTS, ABROAD_NAMES = "abroad", ("cooking", "sailing"), tuple("pqrstu")

SPLITS = Splits(
    out_of_domain_categories=("history",),
    out_of_domain_datasets=(ABROAD,),
    unseen_test=("a",),
    unseen_validation=("b",),
    zoos={"four": ("a", "b", "c", "d"), "two": ("a", "c"), "absent": ("a", "nobody")},
)
# The later in the alphabet, the younger and the dearer.
FACTS = {
    name: ModelFacts(released=f"2024-{at + 1:02}", parameters=7.0 if at else 70.0)
    for names in (NAMES, ABROAD_NAMES)
    for at, name in enumerate(names)
}


def price_table(prices: Mapping[str, tuple[float, float]], currency: str = "USD") -> PriceTable:
    """Prices per million input and output tokens, by candidate."""
    return PriceTable(
        format="modelsat-prices/1",
        date="2024-12-01",
        currency=currency,
        candidates={
            name: TokenPrices(input=read, output=written) for name, (read, written) in prices.items()
        },
    )


PRICES = price_table({name: (0.1 * (at + 1), 0.2 * (at + 1)) for at, name in enumerate(NAMES)})


class TaskAccuracy:
    """Knows the subject of a text, and gives the card's accuracy there."""

    name = "task accuracy"

    def score(
        self, instructions: Sequence[Instruction], profiles: Sequence[CapabilityProfile]
    ) -> ScoreMatrix:
        known = [{result.task: result.accuracy for result in card.results} for card in profiles]
        told = [
            [accuracy.get(row.task, card.level) for accuracy, card in zip(known, profiles, strict=True)]
            for row in instructions
        ]
        return from_probabilities(instructions, profiles, np.array(told))


def embed(texts: Sequence[str]) -> FloatArray:
    """Subjects are far apart; questions within one differ a little."""
    subjects = (*SUBJECTS, *ABROAD_SUBJECTS)
    vectors = np.zeros((len(texts), 12), dtype=np.float32)
    for row, text in enumerate(texts):
        subject = next((name for name in subjects if name in text.lower()), subjects[0])
        vectors[row, subjects.index(subject)] = 1.0
        number = int(re.search(r"\d+", text + " 0").group())  # type: ignore[union-attr]
        vectors[row, len(subjects) :] = 0.2 * np.random.default_rng(number).normal(size=6)
    unit: FloatArray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def questions(dataset: str, subjects: Sequence[str]) -> tuple[Instruction, ...]:
    """200 questions of each subject."""
    return tuple(
        Instruction(
            id=f"{subject}/{number}",
            text=f"question {number} of {subject}\nA. yes\nB. no",
            dataset=dataset,
            task=subject,
            category=subject,
        )
        for subject in subjects
        for number in range(200)
    )


def answers(
    rows: Sequence[Instruction], names: Sequence[str], *, source: str = "", seed: int = 0
) -> list[Outcome]:
    """Every candidate has a subject it is good at; levels are about the same."""
    rng = np.random.default_rng(seed)
    subjects = list(dict.fromkeys(row.task for row in rows))
    return [
        Outcome(
            candidate=name,
            instruction_id=row.id,
            score=float(rng.uniform() < skill),
            output_tokens=100.0,
            source=source,
        )
        for at, name in enumerate(names)
        for row in rows
        for skill in [0.9 if subjects[at % len(subjects)] == row.task else 0.3]
    ]


def make_directory(*, abroad: bool) -> OutcomeDirectory:
    """The world's outcomes, with or without the other protocol."""
    rows, outcomes = questions("tiny", SUBJECTS), answers(questions("tiny", SUBJECTS), NAMES)
    if abroad:
        foreign = questions(ABROAD, ABROAD_SUBJECTS)
        rows, outcomes = (
            (*rows, *foreign),
            [*outcomes, *answers(foreign, ABROAD_NAMES, source=ABROAD, seed=1)],
        )
    return OutcomeDirectory(path=Path("tiny"), instructions=rows, outcomes=Outcomes.of(outcomes))


def make_exam(directory: OutcomeDirectory) -> AptitudeTest:
    """20 tuning questions of each subject."""
    items = {
        subject: [
            row for row in directory.instructions if row.task == subject and split_of(row.text) == "tuning"
        ]
        for subject in SUBJECTS
    }
    return AptitudeTest(
        name="tiny",
        dataset="tiny",
        tasks=tuple(
            ExamTask(name=subject, keywords=(subject,), items=tuple(map(ExamItem.of, rows[:20])))
            for subject, rows in items.items()
        ),
    )


def make_run(
    directory: OutcomeDirectory,
    exam: AptitudeTest,
    cards: Sequence[CapabilityProfile],
    *,
    others: Mapping[str, CachedScorer] | None = None,
    tuned_on: Mapping[str, Any] = MappingProxyType({"candidates": ["c", "d"]}),
    **settings: Any,
) -> BenchmarkRun:
    """A benchmark of the small world, routed by `TaskAccuracy`."""
    return BenchmarkRun(
        directory=directory,
        splits=SPLITS,
        exam=exam,
        profiles=tuple(cards),
        prices=PRICES,
        facts=FACTS,
        outputs={},
        scorer=CachedScorer(TaskAccuracy(), folder=None, identity="x"),
        others=others or {},
        config=NetworkConfig(),
        tuned_on=tuned_on,
        embed=CachedEmbed(lambda: embed, RowCache(None)),
        data_hash="data",
        checkpoint_hash="checkpoint",
        **settings,
    )
