"""Routing a file: one request per line in, one decision per line out, in order, and resumable.

A decision's line holds the number of the request's line, so that a run that was killed goes on where its
output ends.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelsat.errors import DataError
from modelsat.routing.policy import RoutingPolicy
from modelsat.routing.requests import looks_like_messages, to_instruction
from modelsat.routing.router import BATCH_SIZE, Router
from modelsat.types import Instruction, RoutingDecision

Progress = Callable[[int, int], None]
LINES_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReport:
    """What a batch run did.

    Attributes:
        routed: Requests routed in this run.
        resumed: Requests that an earlier run had routed.
        skipped: Numbers of malformed lines that were left out.
    """

    routed: int
    resumed: int
    skipped: tuple[int, ...]


def route_file(
    router: Router,
    source: Path,
    target: Path,
    *,
    policy: RoutingPolicy | None = None,
    skip_bad: bool = False,
    top: int | None = None,
    explain: bool = False,
    batch_size: int = BATCH_SIZE,
    progress: Callable[[int, int], None] | None = None,
) -> BatchReport:
    """Route every line of a JSONL file.

    Args:
        router: Routes.
        source: One request per line: an object with `text` or `messages` (and `id`), a JSON string, or a list
            of messages.
        target: One decision per line; continued where it exists.
        policy: What to prefer; the router's own by default.
        skip_bad: Leave malformed lines out instead of stopping before anything is routed.
        top: How many candidates of the ranking to write; all by default.
        explain: Write reasons and tasks too.
        batch_size: Requests routed, and lines written, together.
        progress: Called with (requests done, requests in all).

    Raises:
        DataError: Malformed lines (numbered) without `skip_bad`, or an output that belongs to another run.
    """
    if source.resolve() == target.resolve():
        raise DataError(f"{target}: output and input are the same file; name another output.")
    preferred = policy or router.policy
    lines, faults = read_requests(source)
    if faults and not skip_bad:
        named = "; ".join(f"line {number}: {fault}" for number, fault in list(faults.items())[:LINES_NAMED])
        more = f"; and {len(faults) - LINES_NAMED} more" if len(faults) > LINES_NAMED else ""
        raise DataError(
            f"{source}: {len(faults)} malformed line(s): {named}{more}. "
            "Mend them, or leave them out with --skip-bad."
        )
    done = _repair(target, lines, router, preferred)
    waiting = [(number, request) for number, request in lines.items() if number > done]
    resumed = len(lines) - len(waiting)
    target.parent.mkdir(parents=True, exist_ok=True)
    if progress:
        progress(resumed, len(lines))
    with target.open("a", encoding="utf-8", newline="\n") as output:
        for start in range(0, len(waiting), batch_size):
            batch = waiting[start : start + batch_size]
            decisions = router.route_many(
                [request for _, request in batch], policy=preferred, batch_size=batch_size
            )
            for (number, _), decision in zip(batch, decisions, strict=True):
                row = {"line": number, **decision_row(decision, top=top, explain=explain)}
                output.write(json.dumps(row, ensure_ascii=False) + "\n")
            output.flush()
            if progress:
                progress(resumed + start + len(batch), len(lines))
    return BatchReport(routed=len(waiting), resumed=resumed, skipped=tuple(faults))


def decision_row(
    decision: RoutingDecision, *, top: int | None = None, explain: bool = False
) -> dict[str, Any]:
    """A decision as JSON has it.

    Args:
        decision: The decision.
        top: How many candidates of the ranking to keep.
        explain: Keep reasons and tasks.
    """
    row: dict[str, Any] = {
        "id": decision.instruction_id,
        "candidate": decision.candidate,
        "probability": round(decision.probability, 4),
        "policy": decision.policy,
        "ranking": [
            {
                "candidate": ranked.candidate,
                "probability": round(ranked.probability, 4),
                "logit": round(ranked.logit, 4),
                "expected_price": ranked.expected_price,
            }
            for ranked in decision.ranking[:top]
        ],
    }
    if explain:
        row["reasons"] = list(decision.reasons)
        row["tasks"] = [{"task": task, "weight": round(weight, 4)} for task, weight in decision.tasks]
    return row


def read_requests(source: Path) -> tuple[dict[int, Instruction], dict[int, str]]:
    """Read a file of requests.

    Returns:
        Instructions by number of their line (from 1), and what is wrong with each malformed line. Blank lines
        are neither.

    Raises:
        DataError: The file is missing or empty.
    """
    try:
        content = source.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{source}: no such file; check the path.") from None
    requests: dict[int, Instruction] = {}
    faults: dict[int, str] = {}
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            requests[number] = request_from_json(json.loads(line))
        except UnicodeDecodeError:
            faults[number] = "not UTF-8"
        except json.JSONDecodeError as error:
            faults[number] = f"not JSON ({error.msg})"
        except DataError as error:
            faults[number] = str(error).rstrip(".")
    if not requests and not faults:
        raise DataError(f"{source}: holds no request; write one JSON object per line.")
    return requests, faults


def request_from_json(value: object) -> Instruction:
    """A request in any of its JSON forms: text, a list of messages, or an object with `text` or `messages`.

    Raises:
        DataError: It is none of them, or empty.
    """
    if isinstance(value, str) or looks_like_messages(value):
        return to_instruction(value)  # type: ignore[arg-type]
    if not isinstance(value, Mapping):
        raise DataError("expected text, a list of messages, or an object with 'text' or 'messages'.")
    request_id = value.get("id", value.get("instruction_id", ""))
    request_id = "" if request_id is None else str(request_id)
    if "messages" in value:
        return to_instruction(value["messages"], id=request_id)
    text = value.get("text")
    if not isinstance(text, str):
        raise DataError("expected a field 'text' or 'messages'.")
    return to_instruction(text, id=request_id)


def _repair(target: Path, requests: Mapping[int, Instruction], router: Router, policy: RoutingPolicy) -> int:
    """Drop the line that a killed run left half written; return the last line that was routed, or 0."""
    if not target.exists():
        return 0
    content = target.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with target.open("r+b") as output:
            output.truncate(whole)
    lines = content[:whole].splitlines()
    if not lines:
        return 0
    mend = "remove it, or name another output"
    try:
        last = json.loads(lines[-1])
        number, row_id, row_policy = int(last["line"]), last["id"], last["policy"]
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{target}: its last line is not a routing decision; {mend}.") from None
    _require_same(
        target, f"line {number}'s id", row_id, requests[number].id if number in requests else None, mend
    )
    _require_same(target, "the policy", row_policy, str(policy), mend)
    unknown = {ranked["candidate"] for ranked in last["ranking"]} - set(_names(router))
    if unknown:
        raise DataError(
            f"{target}: holds decisions over another zoo (with {', '.join(sorted(unknown))}); {mend}."
        )
    return number


def _names(router: Router) -> Sequence[str]:
    return [candidate.name for candidate in router.zoo.candidates]


def _require_same(target: Path, what: str, found: object, expected: object, mend: str) -> None:
    if found != expected:
        raise DataError(f"{target}: belongs to another run ({what} is {found!r}, not {expected!r}); {mend}.")
