"""What is written down when a request ends, however it ended: the record, the metrics, the bill, a line of the log."""

import logging

from modelsat.gateway.exchange import Exchange
from modelsat.gateway.gateway import Gateway
from modelsat.gateway.logs import log
from modelsat.gateway.records import UsageRecord
from modelsat.gateway.telemetry import Telemetry


def close_books(gateway: Gateway, exchange: Exchange, *, path: str) -> None:
    """Write down how a request ended.

    Args:
        gateway: Where to.
        exchange: What is known of the request.
        path: Which API.
    """
    gateway.telemetry.requests.labels(path, str(exchange.status)).inc()
    if exchange.choice is None:
        log("refused", path=path, status=exchange.status, error=exchange.error, key=exchange.caller.key_id)
        return
    record = exchange.usage_record(at=gateway.now(), ended=gateway.clock())
    gateway.write(record)
    if record.cost is not None:
        gateway.doorkeeper.charge(exchange.caller, record.cost)
    _count(gateway.telemetry, exchange, record)
    _log(exchange, record, prompt=exchange.prompt if gateway.settings.log_prompts else None)


def _count(telemetry: Telemetry, exchange: Exchange, record: UsageRecord) -> None:
    assert exchange.choice is not None
    choice, name = exchange.choice, record.candidate
    # The policy's number is the client's to choose: as a label it could make up any number of time series.
    kind = choice.policy.partition("=")[0]
    telemetry.decisions.labels(choice.candidate, kind, choice.origin).inc()
    telemetry.answers.labels(name, str(record.status)).inc()
    telemetry.route_ms.observe(exchange.route_ms)
    for failed, _ in exchange.failures:
        telemetry.fallbacks.labels(failed).inc()
    if record.first_byte_ms is not None:
        telemetry.first_byte_ms.labels(name).observe(record.first_byte_ms)
        telemetry.upstream_ms.labels(name).observe(record.upstream_ms)
    for direction, tokens in (("input", record.input_tokens), ("output", record.output_tokens)):
        if tokens is not None:
            telemetry.tokens.labels(name, direction).inc(tokens)
    if record.cost is not None:
        telemetry.money.labels(name).inc(record.cost)


def _log(exchange: Exchange, record: UsageRecord, *, prompt: str | None) -> None:
    assert exchange.choice is not None
    choice = exchange.choice
    log(
        "answered" if exchange.complete else "unanswered",
        level=logging.INFO if exchange.complete else logging.WARNING,
        decision=exchange.id,
        key=exchange.caller.key_id,
        policy=choice.policy,
        origin=choice.origin,
        chosen=choice.candidate,
        candidate=record.candidate,
        status=record.status,
        error=exchange.error,
        score=_rounded(choice.score, 4),
        route_ms=_rounded(exchange.route_ms),
        upstream_ms=_rounded(record.upstream_ms),
        first_byte_ms=_rounded(record.first_byte_ms),
        input_tokens=record.input_tokens,
        output_tokens=record.output_tokens,
        cost=record.cost,
        failed=[f"{name}: {reason}" for name, reason in exchange.failures] or None,
        prompt=prompt,
    )


def _rounded(value: float | None, digits: int = 1) -> float | None:
    return None if value is None else round(value, digits)
