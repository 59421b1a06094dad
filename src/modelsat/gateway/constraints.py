"""Who may answer a request at all, before anyone is scored.

Constraints are hard: no score brings back a candidate that one of them removed. Each is a row of a table, and says in
words why it removed whom.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from modelsat.gateway.errors import GatewayError
from modelsat.types import Candidate, InstructionKind

NAMES_SHOWN = 8
NOT_ALLOWED = "not allowed for this API key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a request asks of whoever answers it.

    Attributes:
        tokens: Estimate of the tokens to read.
        output_tokens: Tokens that may be written; None where the client does not say.
        kind: Kind of task, for the length of the answer.
        modalities: What the content holds besides text.
        tools: Whether tools are offered.
        tags: Tags that a candidate must have.
        candidates: The only ones that the client wants; None for all.
        allowed: The only ones that the client's key may use; None for all.
        priced: Whether it must have prices, so that a budget can hold.
        relayed: Whether the candidate will be called, so that it needs an endpoint.
    """

    tokens: int
    output_tokens: int | None = None
    kind: InstructionKind = "open"
    modalities: frozenset[str] = frozenset()
    tools: bool = False
    tags: tuple[str, ...] = ()
    candidates: tuple[str, ...] | None = None
    allowed: frozenset[str] | None = None
    priced: bool = False
    relayed: bool = True


Check = Callable[[Candidate, Demand], str | None]


def _key(candidate: Candidate, demand: Demand) -> str | None:
    barred = demand.allowed is not None and candidate.name not in demand.allowed
    return NOT_ALLOWED if barred else None


def _priced(candidate: Candidate, demand: Demand) -> str | None:
    unpriced = candidate.input_price is None or candidate.output_price is None
    return "no prices in the zoo, which a key with a budget needs" if demand.priced and unpriced else None


def _endpoint(candidate: Candidate, demand: Demand) -> str | None:
    return "no endpoint in the zoo" if demand.relayed and candidate.endpoint is None else None


def _wanted(candidate: Candidate, demand: Demand) -> str | None:
    unwanted = demand.candidates is not None and candidate.name not in demand.candidates
    return "not among metadata.modelsat.candidates" if unwanted else None


def _tags(candidate: Candidate, demand: Demand) -> str | None:
    missing = [tag for tag in demand.tags if tag not in candidate.tags]
    return f"without tag {missing[0]}" if missing else None


def _modalities(candidate: Candidate, demand: Demand) -> str | None:
    missing = sorted(demand.modalities - set(candidate.modalities))
    return f"does not accept {missing[0]}" if missing else None


def _tools(candidate: Candidate, demand: Demand) -> str | None:
    return "does not call tools" if demand.tools and candidate.tools is False else None


def _context(candidate: Candidate, demand: Demand) -> str | None:
    needed = demand.tokens + (demand.output_tokens or 0)
    if candidate.context_window is None or needed <= candidate.context_window:
        return None
    return (
        f"context window below the {needed:,} tokens needed (about {demand.tokens:,} to read, "
        f"{demand.output_tokens or 0:,} to write)"
    )


CHECKS: tuple[Check, ...] = (_key, _priced, _endpoint, _wanted, _tags, _modalities, _tools, _context)


def removed_by_constraints(candidates: Sequence[Candidate], demand: Demand) -> dict[str, str]:
    """Why each candidate that cannot take the request cannot; the others are not in it."""
    removed = {}
    for candidate in candidates:
        for check in CHECKS:
            reason = check(candidate, demand)
            if reason is not None:
                removed[candidate.name] = reason
                break
    return removed


def shown(removed: Mapping[str, str]) -> dict[str, str]:
    """What a client may be told of who was removed: candidates that its key may not use are not named to it."""
    return {name: reason for name, reason in removed.items() if reason != NOT_ALLOWED}


def require_one(candidates: Sequence[Candidate], removed: Mapping[str, str]) -> None:
    """Refuse a request that nobody can take.

    Raises:
        GatewayError: 400 that says which constraint removed whom.
    """
    if any(candidate.name not in removed for candidate in candidates):
        return
    by_reason: dict[str, list[str]] = {}
    for name, reason in shown(removed).items():
        by_reason.setdefault(reason, []).append(name)
    parts = [f"{reason}: {_listed(names)}" for reason, names in by_reason.items()]
    if NOT_ALLOWED in removed.values():
        parts.append("this API key may use no other")
    raise GatewayError(
        f"No candidate can take this request ({'; '.join(parts) or 'the zoo is empty'}).",
        status=400,
        code="no_candidate",
    )


def _listed(names: Sequence[str]) -> str:
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
