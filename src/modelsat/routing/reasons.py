"""Why a candidate was chosen, or was not: sentences made from the sum behind the scores.

Nothing here influences a choice. `compare` works the sum out for two candidates; everything else is a pure function of
the decision.
"""

import unicodedata
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import numpy as np

from modelsat.routing.policy import RoutingPolicy
from modelsat.routing.pricing import format_money
from modelsat.types import (
    Comparison,
    RankedCandidate,
    RoutingDecision,
    ScoreMatrix,
    TaskDifference,
    column_index,
)
from modelsat.types.candidates import CURRENCY

# A task is named from this share of the attention on. The tuned attention gives some tasks 5 to 8% whatever it reads.
STANDS_OUT = 0.1
NONE_SIMILAR = "No exam task is similar to this request"
NOT_ENGLISH = (
    "Most of the text is not in Latin script; the embedded models are English, "
    "so these scores say less than usual."
)
NO_ONE_FITS = (
    "No candidate is known to take this instruction (images or length); all of them were considered."
)
SCRIPT_SAMPLE = 4_000
# Differences of P(right) that round to 0.0 points are not named.
_LEAST = 0.0005
# Tasks that add less than this share of the largest part are left to the sum of the others.
_TELLING = 0.1
# Candidates left out are named up to so many.
_NAMED = 5


def compare(scores: ScoreMatrix, row: int, candidate: str, other: str) -> Comparison | None:
    """Work out why two candidates' scores on one instruction differ; None where the scorer cannot tell.

    Raises:
        DataError: A candidate is not among the scores.
    """
    if not scores.evidence:
        return None
    columns = column_index(scores.candidates, [candidate, other])
    parts = scores.evidence[row].parts(columns.tolist())
    lead, likelier = (
        float(pair[0]) - float(pair[1])
        for pair in (scores.logits[row, columns], scores.probabilities[row, columns])
    )
    chance = float(scores.probabilities[row, columns[0]])
    # All parts of a difference are converted alike, so that they still add up.
    per_logit = likelier / lead if abs(lead) > 1e-6 else chance * (1.0 - chance)
    levels, contributions = per_logit * parts.levels, per_logit * parts.contributions
    differences, attention = contributions[0] - contributions[1], parts.attention.mean(0)
    level_only = not parts.contributions.any()
    named = [] if level_only else np.flatnonzero(attention >= STANDS_OUT).tolist()
    return Comparison(
        candidate=candidate,
        other=other,
        typical=parts.typical,
        difference=likelier,
        level=float(levels[0] - levels[1]),
        accuracy=float(parts.level_accuracies[0]),
        other_accuracy=float(parts.level_accuracies[1]),
        tasks=tuple(
            TaskDifference(
                task=parts.tasks[task],
                attention=float(attention[task]),
                difference=float(differences[task]),
                residual=float(parts.residuals[0, task]),
                other_residual=float(parts.residuals[1, task]),
            )
            for task in sorted(named, key=lambda task: -differences[task])
        ),
        rest=float(differences.sum() - differences[named].sum()),
        level_only=level_only,
    )


def closest_rival(ranking: Sequence[RankedCandidate], policy: RoutingPolicy) -> RankedCandidate | None:
    """The candidate that the chosen one is explained against; None where it is alone, or only its price decided.

    Args:
        ranking: The candidates that could be chosen; the chosen one first.
        policy: What was preferred.
    """
    chosen, others = ranking[0], ranking[1:]
    if policy.kind == "value" and policy.amount == 0:
        return None
    if policy.kind == "cheapest-above" and _reaches(chosen, policy):
        missing = [ranked for ranked in others if not _reaches(ranked, policy)]
        cheaper = [ranked for ranked in missing if _price(ranked) < _price(chosen)]
        alone = len(missing) == len(others)
        return next(iter(cheaper or (missing if alone else [])), None)
    return next(iter(others), None)


def explained(
    decision: RoutingDecision,
    scores: ScoreMatrix,
    row: int,
    policy: RoutingPolicy,
    *,
    text: str,
    excluded: Collection[str] = (),
    no_one_fits: bool = False,
    currency: str = CURRENCY,
) -> RoutingDecision:
    """A decision with its comparison, tasks and reasons, most telling first.

    Args:
        decision: The decision without them.
        scores: What it was made from, of these candidates or more.
        row: The instruction's row of the scores.
        policy: What was preferred.
        text: The instruction's text.
        excluded: Candidates of the ranking that cannot take the instruction.
        no_one_fits: None can, so that none was excluded.
        currency: ISO 4217 code of the prices.
    """
    ranking = [ranked for ranked in decision.ranking if ranked.candidate not in excluded]
    chosen, rival = ranking[0], closest_rival(ranking, policy)
    comparison = compare(scores, row, chosen.candidate, (rival or chosen).candidate)
    reasons = [_verdict(ranking, policy, currency)]
    if policy.kind == "cheapest-above" and _reaches(chosen, policy):
        reasons += _beside_the_cheapest(ranking, rival, currency)
    if comparison is not None and rival is not None:
        reasons += _sum_of(comparison, chosen, rival, policy, ahead=True)
        reasons.append(f"Difficulty: a candidate of average level has P(right) {comparison.typical:.2f}.")
    if no_one_fits:
        reasons.append(NO_ONE_FITS)
    elif excluded:
        names, more = sorted(excluded)[:_NAMED], len(excluded) - _NAMED
        left_out = ", ".join(names) + (f" and {more} more" if more > 0 else "")
        reasons.append(f"Left out, as they cannot take this instruction (images or length): {left_out}.")
    if is_mostly_not_latin(text):
        reasons.append(NOT_ENGLISH)
    tasks = () if comparison is None else sorted(comparison.tasks, key=lambda task: -task.attention)
    return replace(
        decision,
        reasons=tuple(reasons),
        tasks=tuple((task.task, task.attention) for task in tasks),
        comparison=None if rival is None else comparison,
    )


def explain_why_not(
    decision: RoutingDecision,
    comparison: Comparison | None,
    name: str,
    policy: RoutingPolicy,
    *,
    currency: str = CURRENCY,
) -> tuple[str, ...]:
    """Reasons why a candidate that could have been chosen was not, most telling first.

    Args:
        decision: The decision.
        comparison: The candidate against the chosen one.
        name: The candidate.
        policy: What was preferred.
        currency: ISO 4217 code of the prices.
    """
    chosen = decision.ranking[0]
    if name == chosen.candidate:
        return (f"{name} was chosen.",)
    place = next(at for at, ranked in enumerate(decision.ranking) if ranked.candidate == name)
    asked = decision.ranking[place]
    chances = f"P(right) {_digits(asked, chosen)} against {_digits(chosen, asked)} of {chosen.candidate}"

    def amounts(of: Callable[[RankedCandidate], float]) -> str:
        return f"{format_money(of(asked), currency)} against {format_money(of(chosen), currency)}"

    no_cheaper = "" if policy.kind == "best" else f"no cheaper: {amounts(_price)} of {chosen.candidate}."
    if policy.kind == "cheapest-above" and _reaches(chosen, policy):
        if _reaches(asked, policy):
            return (f"{name} reaches P(right) {policy.amount:g} too, but is {no_cheaper}",)
        verdict = f"{name} misses P(right) {policy.amount:g}, with {_digits(asked, chosen)}."
    elif policy.kind == "value":
        if policy.amount == 0:
            return (f"{name} is {no_cheaper}",)
        worths = amounts(lambda ranked: _worth(ranked, policy))
        verdict = f"{name} has a lower expected value, {worths}: {chances}."
    else:
        verdict = f"{name} is number {place + 1} of {len(decision.ranking)}: {chances}."
    return (verdict, *([] if comparison is None else _sum_of(comparison, asked, chosen, policy, ahead=False)))


def is_mostly_not_latin(text: str) -> bool:
    """Whether most letters of the text belong to another script than Latin."""
    letters = [character for character in text[:SCRIPT_SAMPLE] if character.isalpha()]
    if not letters:
        return False
    latin = sum(unicodedata.name(letter, "").startswith("LATIN") for letter in letters)
    return latin * 2 < len(letters)


def _verdict(ranking: Sequence[RankedCandidate], policy: RoutingPolicy, currency: str) -> str:
    """What the policy saw in the first of a ranking."""
    chosen = ranking[0]
    if len(ranking) == 1:
        return f"{chosen.candidate} is the only candidate, with P(right) {chosen.probability:.2f}."
    second = ranking[1]
    if policy.kind == "cheapest-above":
        reaching = [ranked for ranked in ranking if _reaches(ranked, policy)]
        if not reaching:
            return (
                f"No candidate reaches P(right) {policy.amount:g}; the likeliest has {_digits(chosen, second)}, "
                f"next {second.candidate}, {_digits(second, chosen)}."
            )
        if len(reaching) == 1:
            return (
                f"The only candidate with P(right) of at least {policy.amount:g}: {_digits(chosen, second)}."
            )
        return (
            f"Cheapest of {len(reaching)} candidates with P(right) of at least {policy.amount:g}: "
            f"{chosen.probability:.2f} at the price {format_money(_price(chosen), currency)}; "
            f"next {second.candidate}, {format_money(_price(second), currency)}."
        )
    if policy.kind == "value":
        solved, price = (format_money(amount, currency) for amount in (policy.amount, _price(chosen)))
        return (
            f"Highest expected value, {format_money(_worth(chosen, policy), currency)}: "
            f"P(right) {chosen.probability:.2f} x {solved} less the price {price}; "
            f"next {second.candidate}, {format_money(_worth(second, policy), currency)}."
        )
    if chosen.logit == second.logit:
        decided = "lower price" if _price(chosen) < _price(second) else "name, in alphabetical order"
        return f"Highest P(right): {chosen.probability:.2f}, as {second.candidate}; chosen by {decided}."
    return f"Highest P(right): {_digits(chosen, second)}; next {second.candidate}, {_digits(second, chosen)}."


def _beside_the_cheapest(
    ranking: Sequence[RankedCandidate], rival: RankedCandidate | None, currency: str
) -> list[str]:
    """What the cheapest of those that reach a bar saves, and whom the bar left out."""
    chosen, likeliest = ranking[0], max(ranking, key=lambda ranked: ranked.logit)
    sentences = []
    if likeliest.logit > chosen.logit:
        chance = (
            f"P(right) {_digits(likeliest, chosen)} at the price {format_money(_price(likeliest), currency)}"
        )
        sentences.append(f"The likeliest, {likeliest.candidate}, has {chance}.")
    if rival is not None:
        cheaper = " is cheaper but" if _price(rival) < _price(chosen) else ""
        sentences.append(f"{rival.candidate}{cheaper} misses it, with P(right) {_digits(rival, chosen)}.")
    return sentences


def _sum_of(
    comparison: Comparison,
    candidate: RankedCandidate,
    other: RankedCandidate,
    policy: RoutingPolicy,
    *,
    ahead: bool,
) -> list[str]:
    """What a candidate's lead, or its distance behind another one, adds up from; what makes it comes first."""
    total = comparison.difference
    parts = [("level", comparison.level, _accuracies(comparison))]
    if policy.kind == "value" and policy.amount > 0:
        cheaper = (_price(other) - _price(candidate)) / policy.amount
        parts.append(("price", cheaper, ""))
        total += cheaper
    values = [value for _, value, _ in parts] + [task.difference for task in comparison.tasks]
    least = _TELLING * max(map(abs, values))
    named = [task for task in comparison.tasks if abs(task.difference) >= least]
    rest = comparison.rest + sum(task.difference for task in comparison.tasks if task not in named)
    parts += [(task.task, task.difference, _residuals(task)) for task in named]
    flat = "" if comparison.tasks else " (no task stands out)"
    parts.append(("other tasks" if named else "task results", rest, flat))
    parts = [part for part in parts if abs(part[1]) >= _LEAST]
    sentences = []
    if parts:
        parts.sort(key=lambda part: part[1], reverse=ahead)
        sum_up = ", ".join(f"{name} {100 * value:+.1f}{facts}" for name, value, facts in parts)
        distance = f"{100 * abs(total):.1f}" if abs(total) >= _LEAST else "less than 0.1"
        verb = "leads" if ahead else "trails"
        sentences.append(f"{candidate.candidate} {verb} {other.candidate} by {distance} points: {sum_up}.")
    if comparison.level_only:
        sentences.append(f"{NONE_SIMILAR}: only level{' and price' if policy.needs_prices else ''} decided.")
    return sentences


def _accuracies(comparison: Comparison) -> str:
    own, other = (round(100 * each) for each in (comparison.accuracy, comparison.other_accuracy))
    return f" ({own}% of the exam against {other}%)" if (own - other) * comparison.level > 0 else ""


def _residuals(task: TaskDifference) -> str:
    own, other = (round(100 * each) for each in (task.residual, task.other_residual))
    if (own - other) * task.difference <= 0:
        return ""
    above, other_above = ("above" if points > 0 else "below" for points in (own, other))
    turned = f" {other_above}" if other and above != other_above else ""
    return f" ({abs(own)} {above} its level against {abs(other)}{turned})"


def _reaches(ranked: RankedCandidate, policy: RoutingPolicy) -> bool:
    # In the precision of the scores, as `modelsat.routing.policy.rank` compares.
    return bool(np.float32(ranked.probability) >= np.float32(policy.amount))


def _price(ranked: RankedCandidate) -> float:
    return np.inf if ranked.expected_cost is None else ranked.expected_cost


def _worth(ranked: RankedCandidate, policy: RoutingPolicy) -> float:
    return ranked.probability * policy.amount - _price(ranked)


def _digits(ranked: RankedCandidate, beside: RankedCandidate) -> str:
    """A probability with as many digits as tell it from another one, up to four."""
    pairs = ((f"{ranked.probability:.{digits}f}", f"{beside.probability:.{digits}f}") for digits in (2, 3, 4))
    return next((own for own, other in pairs if own != other), f"{ranked.probability:.2f}")
