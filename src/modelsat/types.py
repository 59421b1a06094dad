"""The domain words, as frozen data.

This module knows numpy and the standard library only: no files, no torch, no network. Everything here is checked on
construction, so that a value that exists is a value in range.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from modelsat.errors import DataError

InstructionKind = Literal["multiple_choice", "numeric", "code", "open"]
FloatArray = NDArray[np.float32]


def _require_fraction(owner: str, name: str, value: float) -> None:
    if not (isfinite(value) and 0.0 <= value <= 1.0):
        raise DataError(f"{owner}: {name} is {value}; expected a number from 0 to 1.")


def _require_not_negative(owner: str, name: str, value: float | None) -> None:
    if value is not None and not (isfinite(value) and value >= 0):
        raise DataError(f"{owner}: {name} is {value}; expected a number of at least 0.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """A user's request.

    Attributes:
        id: Unique among the instructions at hand.
        text: The request as a user would send it (lettered options included, no shots).
        dataset: Where it comes from; empty for a live request.
        task: Subject within the dataset.
        category: Coarser subject, where the source has one.
        kind: How an answer would be graded.
        choices: Options of a multiple-choice item, in the order of their letters.
        answer: The reference answer, if known. Never shown to a router.
        images: References to images that belong to the request.
    """

    id: str
    text: str
    dataset: str = ""
    task: str = ""
    category: str = ""
    kind: InstructionKind = "open"
    choices: tuple[str, ...] = ()
    answer: str | None = None
    images: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one candidate did on one instruction.

    Attributes:
        candidate: The candidate's name.
        instruction_id: The instruction's id.
        score: Quality of the answer, from 0 to 1 (1: solved).
        parsed: False where no answer could be read (then scored 0).
        output_tokens: Tokens of the answer, if known.
        latency_s: Seconds to the full answer, if known.
        source: The evaluation protocol; outcomes compare within one source only.
    """

    candidate: str
    instruction_id: str
    score: float
    parsed: bool = True
    output_tokens: float | None = None
    latency_s: float | None = None
    source: str = ""

    def __post_init__(self) -> None:
        owner = f"outcome of {self.candidate} on {self.instruction_id}"
        _require_fraction(owner, "score", self.score)
        _require_not_negative(owner, "output_tokens", self.output_tokens)
        _require_not_negative(owner, "latency_s", self.latency_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A model that can be routed to.

    Attributes:
        name: Unique within a zoo.
        endpoint: Base URL of its OpenAI-compatible API, if it can be called.
        model: Name of the model at that endpoint (default: `name`).
        api_key_env: Environment variable that holds the endpoint's key; never the key itself.
        api_key_file: File that holds the endpoint's key, for keys that are mounted or change while running.
        input_price: Money per million input tokens; None where unknown.
        output_price: Money per million output tokens; None where unknown.
        context_window: Tokens that fit, input and output together; None where unknown.
        modalities: What it accepts, e.g. ("text", "image").
        tools: Whether it calls tools; None where unknown.
        tags: Free labels to filter by, e.g. ("open-weights", "eu-only").
        notes: Expert notes, in words; they join the capability representation.
    """

    name: str
    endpoint: str | None = None
    model: str | None = None
    api_key_env: str | None = None
    api_key_file: str | None = None
    input_price: float | None = None
    output_price: float | None = None
    context_window: int | None = None
    modalities: tuple[str, ...] = ("text",)
    tools: bool | None = None
    tags: tuple[str, ...] = ()
    notes: str = ""

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise DataError("a candidate's name is empty; give each candidate a unique name.")
        owner = f"candidate {self.name}"
        _require_not_negative(owner, "input_price", self.input_price)
        _require_not_negative(owner, "output_price", self.output_price)
        if self.context_window is not None and self.context_window <= 0:
            raise DataError(
                f"{owner}: context_window is {self.context_window}; expected a positive number of tokens."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResult:
    """One candidate's result on one task of an exam.

    Attributes:
        task: The task's name in its exam.
        keywords: The task in a few keywords (paper: five); what the capability representation names it by.
        accuracy: Mean score over the shots it sat, or what they let expect of the whole task (`estimated`).
        shots: How many items it sat (at least 1).
        items: Score per item in the exam's order, None where it did not sit it; empty where only the mean is known.
        estimated: Its items were chosen while it sat them, so that their mean is not its accuracy.
        examples: A few of its questions, where they may be told; with the keywords, they say what it is about.
    """

    task: str
    keywords: tuple[str, ...]
    accuracy: float
    shots: int
    items: tuple[float | None, ...] = ()
    estimated: bool = False
    examples: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        owner = f"task {self.task!r}"
        _require_fraction(owner, "accuracy", self.accuracy)
        if self.shots < 1:
            raise DataError(
                f"{owner}: shots is {self.shots}; expected at least 1 (leave out a task that was not sat)."
            )
        sat = [score for score in self.items if score is not None]
        for score in sat:
            _require_fraction(owner, "item score", score)
        if self.items and len(sat) != self.shots:
            raise DataError(f"{owner}: shots is {self.shots} but {len(sat)} items have a score.")
        mean = float(np.mean(sat)) if sat else self.accuracy
        if not self.estimated and abs(mean - self.accuracy) > 1e-3:
            raise DataError(f"{owner}: accuracy is {self.accuracy} but its items' mean is {mean:.4f}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class CapabilityProfile:
    """One candidate's results on an exam: what a capability card holds.

    A candidate may have sat part of an exam only, or another exam than the router was tuned with: `results` then lists
    what it did sit.

    Attributes:
        candidate: The candidate's name.
        exam: The exam's name.
        exam_hash: Content hash of the exam's blueprint; profiles with one hash compare item by item.
        results: One entry per task sat.
        notes: Expert notes, in words.
        mean_output_tokens: Mean tokens per answer; None where unknown.
        date: When the exam was sat (ISO date), or empty.
        source: Where the results come from.
        other_exams: Its profiles on further exams, e.g. one of one's own beside the router's.
    """

    candidate: str
    exam: str
    exam_hash: str
    results: tuple[TaskResult, ...]
    notes: str = ""
    mean_output_tokens: float | None = None
    date: str = ""
    source: str = ""
    other_exams: tuple["CapabilityProfile", ...] = ()

    def __post_init__(self) -> None:
        owner = f"profile of {self.candidate}"
        if not self.results:
            raise DataError(f"{owner}: no results; a candidate must have sat at least one task.")
        names = [result.task for result in self.results]
        if len(set(names)) != len(names):
            raise DataError(f"{owner}: a task appears twice; merge its results.")
        _require_not_negative(owner, "mean_output_tokens", self.mean_output_tokens)
        exams = [profile.exam for profile in self.exams]
        if len(set(exams)) != len(exams):
            raise DataError(
                f"{owner}: two cards of the exam {max(exams, key=exams.count)!r}; keep one of them."
            )

    @property
    def exams(self) -> tuple["CapabilityProfile", ...]:
        """This profile and those on further exams."""
        return (self, *self.other_exams)

    @property
    def level(self) -> float:
        """Mean accuracy over all shots sat, from 0 to 1."""
        shots = np.array([result.shots for result in self.results], dtype=np.float64)
        accuracy = np.array([result.accuracy for result in self.results], dtype=np.float64)
        return float((shots * accuracy).sum() / shots.sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Which exam tasks spoke for each instruction (layout exam_attention).

    Attributes:
        tasks: Names of the tasks, in the order of the last axis of `weights`.
        weights: [instruction, task]; rows sum to 1.
        level_only: [instruction]; True where no task speaks for the instruction and only the overall level was used.
    """

    tasks: tuple[str, ...]
    weights: FloatArray
    level_only: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreMatrix:
    """Pr("Yes") of every candidate on every instruction.

    Attributes:
        instruction_ids: Names of the rows.
        candidates: Names of the columns.
        logits: [instruction, candidate]; raw scores. Rank by these.
        probabilities: [instruction, candidate]; calibrated, from 0 to 1.
        evidence: Which exam tasks spoke, where the layout can tell.
    """

    instruction_ids: tuple[str, ...]
    candidates: tuple[str, ...]
    logits: FloatArray
    probabilities: FloatArray
    evidence: Evidence | None = None

    def __post_init__(self) -> None:
        shape = (len(self.instruction_ids), len(self.candidates))
        if self.logits.shape != shape or self.probabilities.shape != shape:
            raise DataError(
                f"score matrix: logits {self.logits.shape} and probabilities {self.probabilities.shape}; "
                f"expected {shape}."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedCandidate:
    """One line of a decision's ranking.

    Attributes:
        candidate: The candidate's name.
        probability: Calibrated Pr("Yes").
        logit: Raw score.
        expected_price: Expected money for this instruction; None where its prices are unknown.
    """

    candidate: str
    probability: float
    logit: float
    expected_price: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingDecision:
    """The choice for one instruction, with its ranking and reasons.

    Attributes:
        instruction_id: Which instruction.
        candidate: The chosen candidate's name.
        policy: The policy as text, e.g. "cheapest-above=0.6".
        ranking: All candidates; the chosen one first, then in the policy's order of preference.
        reasons: Why, in short sentences.
        tasks: Exam tasks that spoke for the instruction with their weights, heaviest first; empty where unknown.
    """

    instruction_id: str
    candidate: str
    policy: str
    ranking: tuple[RankedCandidate, ...]
    reasons: tuple[str, ...] = ()
    tasks: tuple[tuple[str, float], ...] = field(default=())

    @property
    def probability(self) -> float:
        """Calibrated Pr("Yes") of the chosen candidate."""
        return self.ranking[0].probability


def column_index(names: Sequence[str], wanted: Sequence[str]) -> NDArray[np.intp]:
    """Positions of `wanted` within `names`.

    Raises:
        DataError: A wanted name is not there.
    """
    position = {name: index for index, name in enumerate(names)}
    missing = [name for name in wanted if name not in position]
    if missing:
        raise DataError(f"unknown name(s) {', '.join(missing)}; known: {', '.join(names)}.")
    return np.array([position[name] for name in wanted], dtype=np.intp)
