"""How much work each suite is: `quick` by samples, `full` on everything."""

from dataclasses import dataclass

from modelsat.bench.baselines import Effort as RivalEffort
from modelsat.bench.gadgets import Search
from modelsat.bench.results import Suite


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """Sizes of a suite.

    Attributes:
        routed: Instructions to route per part; None routes all.
        learnt: Tuning instructions that rivals learn from; None takes all.
        beyond: Whether out-of-domain datasets, with candidates of their own, are routed.
        streams: Groups of models that share instructions (protocols), each with a release stream where the data has it.
        stream_learnt: Tuning instructions of a stream; None takes all.
        rivals: What they may spend.
        shuffles: Of cards, for the controls.
        exam_draws: Shorter exams that are averaged.
        perturbed: Instructions written differently.
        gadgets: How hard gadget strings are searched.
        zoo_sizes: Candidates for the overhead.
        timed_tokens: Time a layout up to so many tokens.
    """

    routed: int | None
    learnt: int | None
    beyond: bool
    streams: tuple[str, ...]
    stream_learnt: int | None
    rivals: RivalEffort
    shuffles: int
    exam_draws: int
    perturbed: int
    gadgets: Search
    zoo_sizes: tuple[int, ...]
    timed_tokens: int


EFFORTS: dict[Suite, Effort] = {
    "quick": Effort(
        routed=150,
        learnt=400,
        beyond=False,
        streams=("zeroeval",),
        stream_learnt=200,
        rivals=RivalEffort(pairs=5_000, trees=30),
        shuffles=8,
        exam_draws=3,
        perturbed=20,
        gadgets=Search(proposals=8, texts=5, measured=15),
        zoo_sizes=(1, 10, 100),
        timed_tokens=1_600,
    ),
    "full": Effort(
        routed=None,
        learnt=None,
        beyond=True,
        streams=("mmlu_pro", "zeroeval"),
        stream_learnt=None,
        rivals=RivalEffort(pairs=20_000, trees=100),
        shuffles=8,
        exam_draws=8,
        perturbed=200,
        gadgets=Search(proposals=40, texts=12, measured=100),
        zoo_sizes=(1, 5, 10, 20, 50, 100),
        timed_tokens=20_000,
    ),
}
