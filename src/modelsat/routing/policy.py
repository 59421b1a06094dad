"""How scores, prices and constraints become a choice.

`choose` is pure: the router, the batch router and the benchmark all call it, so that what is measured is what
is run. It knows nothing of networks, zoos or files.
"""

from dataclasses import dataclass
from math import isfinite
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from modelsat.errors import PolicyError
from modelsat.types import RankedCandidate, RoutingDecision, ScoreMatrix

PolicyKind = Literal["best", "cheapest-above", "value"]
PriceArray = NDArray[np.float64]
_KINDS_WITH_NUMBER: dict[str, PolicyKind] = {"cheapest-above": "cheapest-above", "value": "value"}
FORMS = "best, cheapest-above=0.6 or value=0.01"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingPolicy:
    """What to prefer.

    - `best`: the highest score.
    - `cheapest-above=P`: the cheapest candidate whose P(right) is at least P; the best one where none
      reaches P.
    - `value=V`: the highest P(right) x V minus expected cost, V being what a solved instruction is worth,
      in the same money as the prices.

    Attributes:
        kind: Which of the three.
        amount: P or V; 0 for `best`.
    """

    kind: PolicyKind = "best"
    amount: float = 0.0

    def __post_init__(self) -> None:
        if self.kind == "cheapest-above" and not 0.0 <= self.amount <= 1.0:
            raise PolicyError(
                f"policy cheapest-above={self.amount:g}: expected a probability from 0 to 1, "
                "such as cheapest-above=0.6."
            )
        if self.kind == "value" and not (isfinite(self.amount) and self.amount >= 0.0):
            raise PolicyError(
                f"policy value={self.amount:g}: expected the worth of a solved instruction, "
                "0 or more, such as value=0.01."
            )

    @property
    def needs_prices(self) -> bool:
        """Whether every candidate must have an expected cost."""
        return self.kind != "best"

    @classmethod
    def parse(cls, text: str) -> "RoutingPolicy":
        """Read a policy as users write it.

        Raises:
            PolicyError: It is not one of the three forms.
        """
        kind, separator, number = text.strip().partition("=")
        kind = kind.strip()
        if kind == "best":
            if separator:
                raise PolicyError(f"policy {text!r}: best takes no number; write just best.")
            return cls()
        if kind not in _KINDS_WITH_NUMBER:
            raise PolicyError(f"unknown policy {text!r}; write {FORMS}.")
        try:
            amount = float(number)
        except ValueError:
            found = f"{number.strip()!r} is not a number" if number.strip() else "its number is missing"
            raise PolicyError(f"policy {text!r}: {found}; write {FORMS}.") from None
        return cls(kind=_KINDS_WITH_NUMBER[kind], amount=amount)

    def __str__(self) -> str:
        """Give the policy as `parse` reads it."""
        return self.kind if self.kind == "best" else f"{self.kind}={self.amount!r}"


def rank(
    scores: ScoreMatrix,
    policy: RoutingPolicy,
    *,
    prices: PriceArray | None = None,
    eligible: NDArray[np.bool_] | None = None,
) -> NDArray[np.intp]:
    """Order the candidates by preference; the first of each row is the choice.

    Equal candidates are ordered by lower price, then by name, so that the order of the zoo never matters.

    Args:
        scores: [instruction, candidate]; ranked by raw logits.
        policy: What to prefer.
        prices: Expected money, [instruction, candidate], NaN where unknown; None where nothing is known.
        eligible: [instruction, candidate]; False puts a candidate behind all eligible ones.

    Returns:
        Positions of the candidates, [instruction, candidate], most preferred first.

    Raises:
        PolicyError: The policy needs prices and some are unknown, or there is nothing to choose from, or a
            score is not a number.
    """
    shape = (len(scores.instruction_ids), len(scores.candidates))
    if shape[1] == 0:
        raise PolicyError("there is no candidate to choose from; add one to the zoo.")
    logits = scores.logits.astype(np.float64)
    if np.isnan(logits).any():
        row, column = np.argwhere(np.isnan(logits))[0]
        raise PolicyError(
            f"the score of {scores.candidates[column]} on instruction {scores.instruction_ids[row]} "
            "is not a number; check its capability card and the checkpoint."
        )
    known = np.full(shape, np.nan) if prices is None else prices
    if policy.needs_prices and np.isnan(known).any():
        missing = [scores.candidates[column] for column in np.flatnonzero(np.isnan(known).any(axis=0))]
        raise PolicyError(
            f"policy {policy} needs the prices of every candidate; give input_price and output_price of "
            f"{', '.join(missing)} (`modelsat zoo set`), or leave them out."
        )
    price = np.nan_to_num(known, nan=np.inf)
    name = np.broadcast_to(np.argsort(np.argsort(np.array(scores.candidates, dtype=np.str_))), shape)
    # lexsort sorts by its last key first.
    keys: list[NDArray[np.generic]] = [name, price, -logits]
    if policy.kind == "cheapest-above":
        above = scores.probabilities >= np.float32(policy.amount)
        keys += [np.where(above, price, np.inf), ~above]
    elif policy.kind == "value":
        keys.append(price - scores.probabilities.astype(np.float64) * policy.amount)
        # Of two candidates of equal value the cheaper one goes first, before the better one.
        keys = [name, -logits, price, keys[-1]]
    if eligible is not None:
        keys.append(~eligible)
    return np.lexsort(np.stack([key.astype(np.float64) for key in keys]), axis=-1)


def choose(
    scores: ScoreMatrix,
    policy: RoutingPolicy,
    *,
    prices: PriceArray | None = None,
    eligible: NDArray[np.bool_] | None = None,
) -> tuple[RoutingDecision, ...]:
    """Choose a candidate for every instruction.

    Args:
        scores: [instruction, candidate].
        policy: What to prefer.
        prices: Expected money, [instruction, candidate], NaN where unknown.
        eligible: [instruction, candidate]; a candidate that is not eligible is chosen only where none is.

    Returns:
        One decision per instruction, in order, each with its full ranking; reasons are left to the router.

    Raises:
        PolicyError: See `rank`.
    """
    order = rank(scores, policy, prices=prices, eligible=eligible)
    decisions = []
    for row, instruction_id in enumerate(scores.instruction_ids):
        ranking = tuple(
            RankedCandidate(
                candidate=scores.candidates[column],
                probability=float(scores.probabilities[row, column]),
                logit=float(scores.logits[row, column]),
                expected_cost=None
                if prices is None or np.isnan(prices[row, column])
                else float(prices[row, column]),
            )
            for column in order[row]
        )
        decisions.append(
            RoutingDecision(
                instruction_id=instruction_id,
                candidate=ranking[0].candidate,
                policy=str(policy),
                ranking=ranking,
            )
        )
    return tuple(decisions)
