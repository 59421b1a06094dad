"""What an evaluation found, as data; `cli` prints it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from modelsat.statistics import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How well scores separate solved from failed pairs, and how honest the probabilities are.

    Attributes:
        part: Which instructions: test, out_of_domain, pooled or validation.
        group: Which candidates: seen, unseen, ...
        candidates: How many.
        pairs: Pairs of instruction and candidate with an outcome.
        auc: Over all pairs.
        within_auc: Mean of each candidate's own AUC.
        ece: Expected calibration error, 15 equal-mass bins.
        brier: Mean squared error of the probabilities.
    """

    part: str
    group: str
    candidates: int
    pairs: int
    auc: float
    within_auc: float
    ece: float
    brier: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """How well a router chooses within a zoo; accuracies are mean scores from 0 to 1.

    Attributes:
        part: Which instructions.
        zoo: Which candidates.
        candidates: How many.
        instructions: How many, those on which every candidate of the zoo has an outcome.
        accuracy: Mean score of the chosen.
        random: Expected score of a blind choice.
        best_single: Name of the best single candidate on tuning data.
        best_single_accuracy: Its mean score here.
        best_per_group_accuracy: Of the best single candidate per dataset or category, chosen on tuning data.
        oracle: Mean score of each instruction's best candidate.
        gain: Accuracy over the best single candidate, with its paired interval.
        gap_closed: Gain as a share of the way to the oracle, with its paired interval.
        regret: What is lost against the oracle.
        entropy: Selection entropy, from 0 (always one) to 1.
        strongest_rate: Share of instructions sent to the best single candidate.
    """

    part: str
    zoo: str
    candidates: int
    instructions: int
    accuracy: float
    random: float
    best_single: str
    best_single_accuracy: float
    best_per_group_accuracy: float
    oracle: float
    gain: Interval
    gap_closed: Interval
    regret: float
    entropy: float
    strongest_rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanGain:
    """Gain over the best single candidate, averaged over zoos, on instructions that all zoos share.

    Attributes:
        part: Which instructions.
        zoos: How many.
        instructions: How many.
        gain: With its paired interval.
    """

    part: str
    zoos: int
    instructions: int
    gain: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterReport:
    """One router's results.

    Attributes:
        name: The router.
        quality: By part and group.
        choices: By part and zoo.
        mean_gains: By part.
    """

    name: str
    quality: tuple[Quality, ...]
    choices: tuple[Choice, ...]
    mean_gains: tuple[MeanGain, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlReport:
    """What the router loses with the wrong cards.

    Attributes:
        name: The control.
        part: Which instructions.
        shuffles: How many shuffles were averaged.
        auc: Mean over shuffles, over all pairs.
        gain: Mean gain over the best single candidate, over zoos and shuffles.
        loss: The router's own score minus the control's, paired, over zoos and shuffles.
    """

    name: str
    part: str
    shuffles: int
    auc: float
    gain: Interval
    loss: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationReport:
    """All that one run of an evaluation found.

    Attributes:
        datasets: Which datasets were routed.
        group_by: What `best_per_group` is grouped by: dataset or category.
        exam: Name and hash of the exam whose questions were kept out.
        seed: Of subsets, bootstrap and shuffles.
        instructions: How many were routed, by part.
        tuning_instructions: How many the best single candidates and the baselines were chosen on.
        candidates: Names by group.
        notes: What was left out, and why.
        routers: The tuned router first, then baselines.
        controls: Of the tuned router.
    """

    datasets: tuple[str, ...]
    group_by: str
    exam: str
    seed: int
    instructions: dict[str, int]
    tuning_instructions: int
    candidates: dict[str, tuple[str, ...]]
    notes: tuple[str, ...]
    routers: tuple[RouterReport, ...]
    controls: tuple[ControlReport, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The report as plain values; a number that is not defined is null."""
        plain: dict[str, Any] = _without_nan(asdict(self))
        return plain

    def save(self, path: Path) -> None:
        """Write the report as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.to_json(), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _without_nan(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and value != value else value
