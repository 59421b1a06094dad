"""Why a candidate was chosen, in sentences made from the evidence itself.

Nothing here influences a choice: reasons are read off scores, profiles and policy afterwards.
"""

import unicodedata
from collections.abc import Mapping, Sequence

from modelsat.capability.profile import find_result
from modelsat.routing.policy import RoutingPolicy
from modelsat.types import CapabilityProfile, RankedCandidate, RoutingDecision

TASKS_NAMED = 3
LEVEL_ONLY = "No exam task speaks for this instruction; overall level decided."
NOT_ENGLISH = (
    "Most of the text is not in Latin script; the embedded models are English, "
    "so these scores say less than usual."
)
NO_ONE_FITS = (
    "No candidate is known to take this instruction (images or length); all of them were considered."
)
SCRIPT_SAMPLE = 4_000


def explain(
    decision: RoutingDecision,
    *,
    text: str,
    policy: RoutingPolicy,
    profiles: Mapping[str, CapabilityProfile],
    tasks: Sequence[tuple[str, float]],
    level_only: bool,
    excluded: Sequence[str],
    no_one_fits: bool,
) -> tuple[str, ...]:
    """Reasons of one decision, most telling first.

    Args:
        decision: The decision without its reasons.
        text: The instruction's text.
        policy: What was preferred.
        profiles: By candidate.
        tasks: Exam tasks with their weights, heaviest first; empty where the scorer cannot tell.
        level_only: No task speaks for the instruction.
        excluded: Candidates that cannot take the instruction.
        no_one_fits: None can, so that none was excluded.
    """
    reasons = [policy_reason(decision.ranking, policy)]
    chosen = profiles[decision.candidate]
    runner_up = profiles[decision.ranking[1].candidate] if len(decision.ranking) > 1 else None
    if level_only:
        reasons.append(LEVEL_ONLY)
    if level_only or not tasks:
        reasons.append(_level_reason(chosen, runner_up))
    else:
        reasons += [_task_reason(name, weight, chosen, runner_up) for name, weight in tasks[:TASKS_NAMED]]
    if no_one_fits:
        reasons.append(NO_ONE_FITS)
    elif excluded:
        reasons.append(
            f"Left out, as they cannot take this instruction (images or length): {', '.join(excluded)}."
        )
    if is_mostly_not_latin(text):
        reasons.append(NOT_ENGLISH)
    return tuple(reasons)


def policy_reason(ranking: Sequence[RankedCandidate], policy: RoutingPolicy) -> str:
    """What the policy saw in the first of a ranking."""
    chosen = ranking[0]
    if len(ranking) == 1:
        return f'{chosen.candidate} is the only candidate, with Pr("Yes") {chosen.probability:.2f}.'
    if policy.kind == "cheapest-above":
        reaching = sum(candidate.probability >= policy.amount for candidate in ranking)
        if chosen.probability >= policy.amount:
            return f'Cheapest of {reaching} candidate(s) with Pr("Yes") of at least {policy.amount:g}.'
        return f'No candidate reaches Pr("Yes") {policy.amount:g}; the best one has {chosen.probability:.2f}.'
    if policy.kind == "value":
        worth = chosen.probability * policy.amount - (chosen.expected_price or 0.0)
        solved = f'Pr("Yes") {chosen.probability:.2f} x {policy.amount:g}'
        return f"Highest expected value, {worth:.4g}: {solved} less its price."
    second = ranking[1]
    return f'Highest Pr("Yes"): {chosen.probability:.2f}; next {second.candidate}, {second.probability:.2f}.'


def is_mostly_not_latin(text: str) -> bool:
    """Whether most letters of the text belong to another script than Latin."""
    letters = [character for character in text[:SCRIPT_SAMPLE] if character.isalpha()]
    if not letters:
        return False
    latin = sum(unicodedata.name(letter, "").startswith("LATIN") for letter in letters)
    return latin * 2 < len(letters)


def _level_reason(chosen: CapabilityProfile, runner_up: CapabilityProfile | None) -> str:
    compared = "" if runner_up is None else f", {runner_up.candidate} {runner_up.level:.0%}"
    return f"Whole exam: {chosen.candidate} {chosen.level:.0%}{compared}."


def _task_reason(
    task: str, weight: float, chosen: CapabilityProfile, runner_up: CapabilityProfile | None
) -> str:
    compared = "" if runner_up is None else f", {runner_up.candidate} {_accuracy(runner_up, task)}"
    return f"{task} ({weight:.0%} of the attention): {chosen.candidate} {_accuracy(chosen, task)}{compared}."


def _accuracy(profile: CapabilityProfile, task: str) -> str:
    result = find_result(profile, task)
    return "not sat" if result is None else f"{result.accuracy:.0%}"
