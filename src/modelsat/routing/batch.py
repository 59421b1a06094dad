"""Routing a file: one request per line in, one decision per line out, in order, and resumable.

A decision's line holds the number of the request's line, so that a run that was killed goes on where its output ends,
and hashes of all that the decision depends on, so that it goes on with nothing stale.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import lock_descriptor

from modelsat.errors import DataError
from modelsat.progress import Progress, no_progress
from modelsat.records.files import read_lines
from modelsat.routing.policy import RoutingPolicy
from modelsat.routing.pricing import rounded_cost
from modelsat.routing.requests import looks_like_messages, to_instruction
from modelsat.routing.router import BATCH_SIZE, Router
from modelsat.routing.scorer import identity_of
from modelsat.types import Comparison, Instruction, RoutingDecision

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
    redo_changed: bool = False,
    top: int | None = None,
    explain: bool = False,
    batch_size: int = BATCH_SIZE,
    progress: Progress = no_progress,
) -> BatchReport:
    """Route every line of a JSONL file.

    Args:
        router: Routes.
        source: One request per line: an object with `text` or `messages` (and `id`), a JSON string, or a list
            of messages.
        target: One decision per line, with hashes of what it depends on; continued where it exists.
        policy: What to prefer; the router's own by default.
        skip_bad: Leave malformed lines out instead of stopping before anything is routed.
        redo_changed: Route those requests anew whose decisions in `target` were made of another text, or by another
            router, zoo or policy; the others keep theirs. A redo that is interrupted leaves `target` as it was, and
            is resumed like any other run.
        top: How many candidates of the ranking to write; all by default.
        explain: Write reasons and tasks too.
        batch_size: Requests routed, and lines written, together.
        progress: Called with (requests done, requests in all).

    Raises:
        DataError: Malformed lines (numbered) without `skip_bad`, or decisions in `target` that do
            not hold for this run and `redo_changed` is off; says how many, and what differs.
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
    stamps = _stamps(router, lines, preferred)
    redone = target.with_name(f"{target.name}.redo")
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("ab") as output, ExitStack() as opened:
        if not lock_descriptor(output.fileno(), blocking=False):
            raise DataError(f"{target}: another run is writing to it; wait for it, or name another output.")
        held = kept = _read_decisions(target, stamps)
        if held.faults and not redo_changed:
            listed = ", ".join(f"{_lines(found)} {fault}" for fault, found in held.faults.items())
            raise DataError(
                f"{target}: belongs to another run: {listed}; redo them with --redo-changed, or name another output."
            )
        if held.faults:
            # What is redone waits beside the output until all of it is there.
            output = opened.enter_context(redone.open("ab"))
            kept = _read_decisions(redone, stamps)
        output.truncate(kept.size)
        waiting = [number for number in lines if number not in held.places and number not in kept.places]
        resumed = len(lines) - len(waiting)
        progress("routing", resumed, len(lines))
        for start in range(0, len(waiting), batch_size):
            batch = waiting[start : start + batch_size]
            requests = [lines[number] for number in batch]
            decisions = router.route_many(requests, policy=preferred, batch_size=batch_size)
            for number, decision in zip(batch, decisions, strict=True):
                row = decision_row(decision, top=top, explain=explain)
                row = {"line": number, **row, **stamps[number]}
                output.write(json.dumps(row, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")
            output.flush()
            progress("routing", resumed + start + len(batch), len(lines))
        if held.faults:
            _merge(target, held, redone, _read_decisions(redone, stamps), lines)
        redone.unlink(missing_ok=True)
    return BatchReport(routed=len(waiting), resumed=resumed, skipped=tuple(faults))


def _stamps(
    router: Router, requests: Mapping[int, Instruction], policy: RoutingPolicy
) -> dict[int, dict[str, str]]:
    """What each decision depends on, as its line says it, by the number of the request's line."""
    shared = {"router": identity_of(router.scorer), "zoo": router.zoo.identity, "policy": str(policy)}
    return {
        number: {"id": request.id, "request": request_hash(request), **shared}
        for number, request in requests.items()
    }


def decision_row(
    decision: RoutingDecision, *, top: int | None = None, explain: bool = False
) -> dict[str, Any]:
    """A decision as JSON has it.

    Args:
        decision: The decision.
        top: How many candidates of the ranking to keep.
        explain: Keep reasons, tasks and the comparison with the next one.
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
                "expected_cost": rounded_cost(ranked.expected_cost),
            }
            for ranked in decision.ranking[:top]
        ],
    }
    if explain:
        row["reasons"] = list(decision.reasons)
        row["tasks"] = [{"task": task, "weight": round(weight, 4)} for task, weight in decision.tasks]
        row["comparison"] = comparison_row(decision.comparison)
    return row


def comparison_row(comparison: Comparison | None) -> dict[str, Any] | None:
    """A comparison as JSON has it; null where there is none."""
    if comparison is None:
        return None
    row: dict[str, Any] = json.loads(
        json.dumps(asdict(comparison)), parse_float=lambda text: round(float(text), 4)
    )
    return row


def read_requests(source: Path) -> tuple[dict[int, Instruction], dict[int, str]]:
    """Read a file of requests.

    Returns:
        Instructions by number of their line (from 1), and what is wrong with each malformed line. Blank lines
        are neither.

    Raises:
        DataError: The file is missing, unreadable or empty.
    """
    requests: dict[int, Instruction] = {}
    faults: dict[int, str] = {}
    for number, value, fault in read_lines(source):
        if fault:
            faults[number] = fault
            continue
        try:
            requests[number] = request_from_json(value)
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


def request_hash(request: Instruction) -> str:
    """Short hash over what a request is routed by: its text and its images."""
    content = json.dumps([request.text, request.images])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decisions:
    """What a file of decisions holds.

    Attributes:
        places: Byte offsets of decisions that hold for this run, by the number of the request's line.
        size: Bytes of its whole lines; a killed run may have left half a line behind them.
        faults: Why others do not hold, with the numbers of their requests' lines.
    """

    places: dict[int, int]
    size: int
    faults: dict[str, list[int]]


def _read_decisions(path: Path, stamps: Mapping[int, Mapping[str, str]]) -> _Decisions:
    """Compare a file of decisions, which need not exist, with what this run asks.

    Raises:
        DataError: A line is none of a decision; names it.
    """
    places: dict[int, int] = {}
    faults: dict[str, list[int]] = {}
    size = last = 0
    seen = set()
    if path.exists():
        with path.open("rb") as file:
            for row, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    break
                number, found = _read_decision(line, f"{path}:{row}")
                wrong = _faults(found, stamps.get(number))
                if not wrong:
                    places[number] = size
                for fault in (*wrong, *(["out of order"] if number <= last else [])):
                    faults.setdefault(fault, []).append(number)
                seen.add(number)
                last = max(last, number)
                size += len(line)
    skipped = [number for number in stamps if number < last and number not in seen]
    if skipped:
        faults["never routed"] = skipped
    return _Decisions(places=places, size=size, faults=faults)


def _merge(target: Path, held: _Decisions, redone: Path, fresh: _Decisions, numbers: Iterable[int]) -> None:
    """Put what held and what was redone into one file, in the order of the requests, in one step."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with target.open("rb") as old, redone.open("rb") as new, temporary.open("wb") as merged:
            for number in numbers:
                file, decisions = (old, held) if number in held.places else (new, fresh)
                file.seek(decisions.places[number])
                merged.write(file.readline())
            merged.flush()
            os.fsync(merged.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _read_decision(line: bytes, where: str) -> tuple[int, dict[str, Any]]:
    try:
        found = json.loads(line)
        return int(found["line"]), found
    except (ValueError, KeyError, TypeError, OverflowError):
        raise DataError(
            f"{where}: is not a routing decision; remove the file, or name another output."
        ) from None


def _faults(found: Mapping[str, Any], stamp: Mapping[str, str] | None) -> list[str]:
    """Why a decision does not hold for this run, in words; nothing where it does."""
    if stamp is None:
        return ["of requests that are gone"]
    if "request" not in found:
        return ["without a record of text, router and zoo (written before 0.4.0)"]
    differs = [name for name, now in stamp.items() if found.get(name) != now]
    words = {"request": "of another text or other images", "id": "of another id"}
    return [
        words.get(name, f"by another {name} ({found.get(name)}, now {stamp[name]})")
        for name in differs
        # By default the id is made of the text.
        if name != "id" or "request" not in differs
    ]


def _lines(numbers: Sequence[int]) -> str:
    more = ", ..." if len(numbers) > LINES_NAMED else ""
    listed = ", ".join(map(str, numbers[:LINES_NAMED]))
    return f"{len(numbers):,} line{'s' * (len(numbers) > 1)} ({listed}{more})"
