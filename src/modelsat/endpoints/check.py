"""Checks of a zoo file before it is routed by or served: entries, endpoints, keys, prices, lengths, windows, cards."""

import asyncio
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from modelsat.capability.card import is_stale
from modelsat.capability.member import Member
from modelsat.capability.zoo_file import scan_zoo
from modelsat.endpoints.keys import ApiKeys
from modelsat.errors import DataError, EndpointError
from modelsat.routing.pricing import format_money

LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
# Money per million tokens; outside, it looks like a price per token, or like nothing on the market.
PLAUSIBLE_PRICES = (0.001, 10_000.0)
SMALLEST_WINDOW = 1_000
REACH_TIMEOUT_S = 10.0
_LARGEST_LIST = 2**22
_LISTED = 8

Severity = Literal["fault", "warning"]
Found = Iterator[tuple[Severity, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that a check found.

    Attributes:
        candidate: The entry's name; None where it has none.
        severity: With a fault, the candidate cannot be used as the file intends; a warning limits its use.
        subject: What was checked.
        message: What is wrong.
    """

    candidate: str | None
    severity: Severity
    subject: str
    message: str


def check_zoo(
    path: Path,
    *,
    stale_after: int,
    call: bool = False,
    environment: Mapping[str, str] = os.environ,
) -> tuple[list[Finding], int]:
    """Check every entry of a zoo file.

    Args:
        path: The zoo file.
        stale_after: Age in days above which a card is stale.
        call: Ask each endpoint for its list of models, too, with its key.
        environment: Variables with keys of endpoints.

    Returns:
        What was found, and the number of entries.

    Raises:
        DataError: The file as a whole is malformed.
        MissingExtraError: Endpoints are to be called, and what calls them is not installed.
    """
    checks: Mapping[str, Callable[[Member], Iterable[tuple[Severity, str]]]] = {
        "endpoint": _check_endpoint,
        "key": lambda member: _check_key(member, environment),
        "prices": _check_prices,
        "length": _check_length,
        "window": _check_window,
        "modalities": _check_modalities,
        "card": lambda member: _check_card(member, stale_after),
    }
    findings, members = [], []
    scanned = scan_zoo(path)
    for name, member in scanned:
        if isinstance(member, DataError):
            findings.append(Finding(candidate=name, severity="fault", subject="entry", message=str(member)))
            continue
        members.append(member)
        findings += [
            Finding(candidate=name, severity=severity, subject=subject, message=message)
            for subject, check in checks.items()
            for severity, message in check(member)
        ]
    if call:
        findings += asyncio.run(_call(members, environment))
    return findings, len(scanned)


def _check_endpoint(member: Member) -> Found:
    candidate = member.candidate
    if candidate.endpoint is None:
        yield "warning", "no endpoint: `modelsat serve` cannot call it."
        return
    parts = urlsplit(candidate.endpoint)
    keyed = candidate.api_key_env is not None or candidate.api_key_file is not None
    if keyed and parts.scheme == "http" and parts.hostname not in LOCAL_HOSTS:
        yield "warning", "its key is sent over http, unencrypted; use https."


def _check_key(member: Member, environment: Mapping[str, str]) -> Found:
    candidate = member.candidate
    try:
        ApiKeys([candidate], environment)
    except DataError as error:
        yield "fault", str(error).removeprefix(f"candidate {candidate.name}: ")
    if candidate.endpoint is None and (candidate.api_key_env or candidate.api_key_file):
        yield "warning", "has a key and no endpoint to use it at."


def _check_prices(member: Member) -> Found:
    prices = {name: getattr(member.candidate, name) for name in ("input_price", "output_price")}
    unknown = [name for name, price in prices.items() if price is None]
    if len(unknown) == 1:
        yield "fault", f"{unknown[0]} is missing; with the other alone, its cost is unknown."
    elif unknown:
        yield "warning", "no prices: policies that weigh prices never choose it."
    low, high = PLAUSIBLE_PRICES
    for name, price in prices.items():
        if price and not low <= price <= high:
            yield "warning", f"{name} is {format_money(price, '')}; prices are per million tokens."


def _check_length(member: Member) -> Found:
    length, window = member.scored_profile().mean_output_tokens, member.candidate.context_window
    if length is None:
        yield (
            "warning",
            "no length of answers in zoo (output_tokens) or card: a default by kind of task prices them.",
        )
    elif window is not None and length > window:
        yield (
            "fault",
            f"its answers, of {length:g} tokens in the mean, do not fit its context_window of {window}.",
        )


def _check_window(member: Member) -> Found:
    window = member.candidate.context_window
    if window is None:
        yield "warning", "no context_window: requests of any length are sent to it."
    elif window < SMALLEST_WINDOW:
        yield "warning", f"context_window is {window} tokens; was it meant in thousands?"


def _check_modalities(member: Member) -> Found:
    if "text" not in member.candidate.modalities:
        yield "fault", "modalities lack text, which every request holds."


def _check_card(member: Member, stale_after: int) -> Found:
    for sat in member.profile.exams:
        if is_stale(sat.date, stale_after):
            age = f"of {sat.date}" if sat.date else "without a date"
            yield "warning", f"its card of exam {sat.exam}, {age}, is stale; let it sit the exam again."


async def _call(members: Iterable[Member], environment: Mapping[str, str]) -> list[Finding]:
    """Faults of the endpoints that can be called: they have an address and a readable key, or need none."""
    from modelsat.endpoints.client import EndpointClient

    async def ask(member: Member) -> Finding | None:
        candidate = member.candidate
        try:
            key = ApiKeys([candidate], environment).key(candidate.name)
        except DataError:
            return None
        if candidate.endpoint is None:
            return None
        headers = [("Accept", "application/json")] + ([("Authorization", f"Bearer {key}")] if key else [])
        url = f"{candidate.endpoint.rstrip('/').removesuffix('/chat/completions')}/models"
        try:
            async with asyncio.timeout(REACH_TIMEOUT_S):
                response = await client.request("GET", url, headers)
                try:
                    body = await response.read(largest=_LARGEST_LIST)
                finally:
                    response.close()
        except TimeoutError:
            fault: tuple[Severity, str] | None = ("fault", f"no answer within {REACH_TIMEOUT_S:g} s.")
        except EndpointError as error:
            fault = ("fault", f"cannot be reached: {error}.")
        else:
            fault = answer_fault(response.status, body, candidate.model or candidate.name)
        if fault is None:
            return None
        return Finding(candidate=candidate.name, severity=fault[0], subject="endpoint", message=fault[1])

    async with EndpointClient(connect_timeout_s=REACH_TIMEOUT_S, proxies=False) as client:
        found = await asyncio.gather(*map(ask, members))
    return [finding for finding in found if finding is not None]


def answer_fault(status: int, body: bytes, model: str) -> tuple[Severity, str] | None:
    """What is wrong with an endpoint that answers its list of models so."""
    if status in (401, 403):
        return "fault", f"refuses its key, or the lack of one (HTTP {status})."
    if status in (404, 405, 501):
        return "warning", f"has no list of models (HTTP {status}), so the model's name is unchecked."
    if status != 200:
        return "fault", f"answers HTTP {status}."
    try:
        listed = [str(entry["id"]) for entry in json.loads(body)["data"]]
    except (ValueError, KeyError, TypeError):
        return "warning", "its list of models cannot be read, so the model's name is unchecked."
    if model in listed:
        return None
    more = f" and {len(listed) - _LISTED} more" if len(listed) > _LISTED else ""
    return (
        "fault",
        f"does not list the model {model!r}; it lists {', '.join(listed[:_LISTED]) or 'none'}{more}.",
    )
