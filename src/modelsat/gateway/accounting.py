"""What is written down when a request ends, however it ended: the record, the metrics, the bill, a line of the log."""

import logging

from modelsat.gateway.context import RequestContext
from modelsat.gateway.gateway import Gateway
from modelsat.gateway.logs import log
from modelsat.gateway.records import UsageRecord
from modelsat.gateway.telemetry import Telemetry


def record_completion(gateway: Gateway, context: RequestContext, *, path: str) -> None:
    """Write down how a request ended.

    Args:
        gateway: Where to.
        context: What is known of the request.
        path: Which API.
    """
    gateway.telemetry.requests.labels(path, str(context.status)).inc()
    if context.choice is None:
        log("refused", path=path, status=context.status, error=context.error, key=context.caller.key_id)
        return
    record = context.usage_record(at=gateway.now(), ended=gateway.clock())
    gateway.write(record)
    if record.cost is not None:
        gateway.authenticator.charge(context.caller, record.cost)
    _count(gateway.telemetry, context, record)
    _log(context, record, prompt=context.prompt if gateway.settings.log_prompts else None)


def _count(telemetry: Telemetry, context: RequestContext, record: UsageRecord) -> None:
    assert context.choice is not None
    choice, name = context.choice, record.candidate
    # The policy's number is the client's to choose: as a label it could make up any number of time series.
    kind = choice.policy.partition("=")[0]
    telemetry.decisions.labels(choice.candidate, kind, choice.origin).inc()
    telemetry.answers.labels(name, str(record.status)).inc()
    telemetry.route_ms.observe(context.route_ms)
    for failed, _ in context.failures:
        telemetry.fallbacks.labels(failed).inc()
    if record.first_byte_ms is not None:
        telemetry.first_byte_ms.labels(name).observe(record.first_byte_ms)
        telemetry.upstream_ms.labels(name).observe(record.upstream_ms)
    for direction, tokens in (("input", record.input_tokens), ("output", record.output_tokens)):
        if tokens is not None:
            telemetry.tokens.labels(name, direction).inc(tokens)
    if record.cost is not None:
        telemetry.money.labels(name).inc(record.cost)


def _log(context: RequestContext, record: UsageRecord, *, prompt: str | None) -> None:
    assert context.choice is not None
    choice = context.choice
    log(
        "answered" if context.complete else "unanswered",
        level=logging.INFO if context.complete else logging.WARNING,
        decision=context.id,
        key=context.caller.key_id,
        policy=choice.policy,
        origin=choice.origin,
        chosen=choice.candidate,
        candidate=record.candidate,
        status=record.status,
        error=context.error,
        score=_rounded(choice.score, 4),
        route_ms=_rounded(context.route_ms),
        upstream_ms=_rounded(record.upstream_ms),
        first_byte_ms=_rounded(record.first_byte_ms),
        input_tokens=record.input_tokens,
        output_tokens=record.output_tokens,
        cost=record.cost,
        failed=[f"{name}: {reason}" for name, reason in context.failures] or None,
        prompt=prompt,
    )


def _rounded(value: float | None, digits: int = 1) -> float | None:
    return None if value is None else round(value, digits)
