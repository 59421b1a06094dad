"""How an exam was sat: what a capability card tells besides the results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import ConfigDict, Field

from modelsat.statistics import wilson_interval
from modelsat.types import TaskResult
from modelsat.types.candidates import CURRENCY

_Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=0)]
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How a quantity is distributed over the answers.

    Attributes:
        p50: Its median.
        p95: What 95% of the answers do not exceed.
        mean: Its mean.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    p50: _Amount
    p95: _Amount
    mean: _Amount

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread | None":
        """The spread of some values; None of none."""
        if not values:
            return None
        p50, p95 = np.percentile(values, [50, 95])
        return cls(p50=round(float(p50), 4), p95=round(float(p95), 4), mean=round(float(np.mean(values)), 4))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamRun:
    """How a candidate sat an exam on a live endpoint.

    Attributes:
        endpoint: Base URL.
        model: The candidate's name there.
        api: Which API was asked.
        style: How questions were put: `direct` or `think`.
        max_tokens: Room for an answer.
        params: Further fields of every request.
        concurrency: Questions under way at once; latencies hold for that load.
        circle: Hard items were asked in every rotation of their options.
        adaptive: Half-width of the interval at which a task was left; None where every item was asked.
        answers: Answers that came.
        unreadable: Answers in which none could be read, or empty; counted as wrong.
        refused: Questions that the endpoint refused; counted as wrong.
        cut_short: Answers that ran into the limit on tokens.
        lost: Questions that got no answer; not counted.
        left_out: Questions of kinds that are not graded here; not asked.
        latency_s: Seconds to the full answer.
        input_tokens: Tokens read per answer.
        output_tokens: Tokens written per answer.
        tokens_estimated: The endpoint did not count tokens; they are estimated from the texts' lengths.
        tokens_per_second: Median of tokens written over seconds to the full answer.
        cost: Money, lost attempts included; None where prices are unknown.
        currency: Of the cost (ISO 4217).
        intervals: 95% interval of a task's accuracy, where it is not that of its shots alone (adaptive).
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    endpoint: str
    model: str
    api: Literal["chat", "completions"] = "chat"
    style: Literal["direct", "think"] = "direct"
    max_tokens: _Count
    params: Mapping[str, Any] = field(default_factory=dict)
    concurrency: _Count = 1
    circle: bool = False
    adaptive: _Amount | None = None
    answers: _Count
    unreadable: _Count = 0
    refused: _Count = 0
    cut_short: _Count = 0
    lost: _Count = 0
    left_out: _Count = 0
    latency_s: Spread | None = None
    input_tokens: Spread | None = None
    output_tokens: Spread | None = None
    tokens_estimated: bool = False
    tokens_per_second: _Amount | None = None
    cost: _Amount | None = None
    currency: str = CURRENCY
    intervals: Mapping[str, Interval] = field(default_factory=dict)


def accuracy_interval(result: TaskResult, run: ExamRun | None = None) -> Interval:
    """95% interval of a task's accuracy: the run's own, or Wilson's of its shots."""
    known = None if run is None else run.intervals.get(result.task)
    return known or wilson_interval(result.accuracy, result.shots)
