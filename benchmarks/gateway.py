"""Overhead of the gateway, its behaviour under load and with faults: on loopback, against a fake endpoint.

Load generator, gateway and endpoint share the machine. Relayed requests are paired with direct ones to the same
endpoint, due half a period apart, so that a busy machine slows both.
"""

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

import typer

from benchmarks.gateway_faults import PATH, chat_body, first_model, measure_faults, verdict
from benchmarks.gateway_process import cost_of, gateway_process, litellm_process
from benchmarks.http_load import HttpClient, HttpReply, closed_loop, open_loop, quantile
from benchmarks.measure import Measure, MeasureReport, chosen_parts, run
from benchmarks.texts import TEXTS
from modelsat.bench.timing import machine, versions
from modelsat.cli.output import progress_bars
from modelsat.progress import Progress, no_progress
from modelsat.testing import FakeEndpoint

Part = Literal["relay", "routed", "rate", "faults"]
PARTS: tuple[Part, ...] = get_args(Part)

CONCURRENCY = (1, 8, 32)
RATES = (1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
RATE_SECONDS = 10.0
LATE = 0.01
_PACKAGES = ("modelsat", "aiohttp", "starlette", "uvicorn", "torch", "litellm")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """Parts and sizes of a measurement.

    Attributes:
        parts: Which of `PARTS`.
        rate: Of the relay's load, requests a second; as many go to the endpoint directly.
        seconds: Duration of the relay's load.
        requests: Number of requests of the run with faults.
        fault_rate: Share of faulty answers in that run.
        routed: Requests at each concurrency.
        litellm: Program of LiteLLM's proxy, to be measured beside the relay; None leaves it out.
    """

    parts: tuple[Part, ...] = PARTS
    rate: float = 100.0
    seconds: float = 20.0
    requests: int = 10_000
    fault_rate: float = 0.05
    routed: int = 96
    litellm: Path | None = None


def main(
    part: Annotated[
        list[str] | None, typer.Option(help="relay, routed, rate or faults; repeatable (default: all).")
    ] = None,
    rate: Annotated[float, typer.Option(min=1, help="Requests a second of the relay's load.")] = 100.0,
    seconds: Annotated[float, typer.Option(min=1, help="Duration of the relay's load.")] = 20.0,
    requests: Annotated[int, typer.Option(min=100, help="Requests of the run with faults.")] = 10_000,
    faults: Annotated[float, typer.Option(min=0, max=1, help="Share of faulty answers.")] = 0.05,
    litellm: Annotated[
        Path | None, typer.Option(metavar="PROGRAM", help="Measure LiteLLM's proxy beside the relay.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure a gateway on loopback, against a fake endpoint. A busy machine misses bars; nothing fails."""
    plan = LoadPlan(
        parts=tuple(chosen_parts(part, PARTS)),
        rate=rate,
        seconds=seconds,
        requests=requests,
        fault_rate=faults,
        litellm=litellm,
    )
    with progress_bars() as advance:
        report = measure_gateway(plan, progress=advance)
    report.print(as_json=as_json)


def measure_gateway(plan: LoadPlan, *, progress: Progress = no_progress) -> MeasureReport:
    """Measure a gateway of its own.

    Args:
        plan: Parts and sizes.
        progress: Called with (parts done, parts in total).

    Raises:
        DataError: The gateway, or LiteLLM's proxy, does not start.
    """
    runs = {"relay": _relay, "routed": _routed, "rate": _rate, "faults": _faults}
    here = machine()
    measures: list[Measure] = []
    for done, part in enumerate(plan.parts):
        progress("measuring", done, len(plan.parts))
        with tempfile.TemporaryDirectory(prefix="modelsat-gateway-") as folder:
            measures += runs[part](plan, Path(folder))
    progress("measuring", len(plan.parts), len(plan.parts))
    return MeasureReport(machine=here, versions=versions(_PACKAGES), measures=tuple(measures))


def _relay(plan: LoadPlan, folder: Path) -> list[Measure]:
    with FakeEndpoint.process() as upstream, gateway_process(folder, upstream, {}) as (url, pid):
        own = asyncio.run(_paired(plan, url, None, upstream, pid))
        litellm = None
        if plan.litellm is not None:
            with litellm_process(folder, plan.litellm, upstream) as (litellm_url, litellm_pid):
                litellm = asyncio.run(_paired(plan, litellm_url, "scripted", upstream, litellm_pid))
    note = f"{plan.rate:g} requests/s for {plan.seconds:g} s, a named candidate, paired with direct calls"
    measures = [
        Measure(name="relay overhead p50", value=quantile(own.overheads, 0.5), unit="ms", bar=4.0, note=note),
        Measure(name="relay overhead p99", value=quantile(own.overheads, 0.99), unit="ms", bar=30.0),
        Measure(name="- direct p50", value=quantile(own.direct, 0.5), unit="ms"),
        Measure(name="- direct p99", value=quantile(own.direct, 0.99), unit="ms"),
        Measure(name="relayed, not answered", value=100 * own.failed, unit="%", bar=0.0),
    ]
    if own.cpu_ms is not None:
        measures.append(Measure(name="gateway CPU per relayed request", value=own.cpu_ms, unit="ms"))
    if litellm is not None:
        measures += [
            Measure(name="LiteLLM overhead p50", value=quantile(litellm.overheads, 0.5), unit="ms"),
            Measure(name="LiteLLM overhead p99", value=quantile(litellm.overheads, 0.99), unit="ms"),
            Measure(name="LiteLLM, not answered", value=100 * litellm.failed, unit="%"),
        ]
        if own.cpu_ms and litellm.cpu_ms:
            ratio = litellm.cpu_ms / own.cpu_ms
            measures += [
                Measure(name="LiteLLM CPU per relayed request", value=litellm.cpu_ms, unit="ms"),
                Measure(
                    name="LiteLLM's CPU / the gateway's", value=ratio, unit="x", bar=2.0, better="higher"
                ),
            ]
    return measures


@dataclass(frozen=True, slots=True, kw_only=True)
class _Paired:
    """Relayed beside direct requests: milliseconds, share of failures, CPU milliseconds a request."""

    overheads: list[float]
    direct: list[float]
    failed: float
    cpu_ms: float | None


async def _paired(plan: LoadPlan, url: str, model: str | None, upstream: str, pid: int) -> _Paired:
    async with HttpClient(url) as gateway, HttpClient(upstream) as endpoint:
        body = chat_body(model or await first_model(gateway), TEXTS[0])

        async def pair(number: int, due: float) -> tuple[HttpReply, HttpReply]:
            later = due + 0.5 / plan.rate
            # The order alternates, so that neither always finds the machine as the other left it.
            first, second = (gateway, endpoint) if number % 2 else (endpoint, gateway)
            one = asyncio.ensure_future(first.post(PATH, body, due=due))
            await asyncio.sleep(0.5 / plan.rate)
            other = await second.post(PATH, body, due=later)
            return (await one, other) if number % 2 else (other, await one)

        await open_loop(pair, rate=plan.rate, seconds=min(2.0, plan.seconds))
        before = cost_of(pid)
        replies = await open_loop(pair, rate=plan.rate, seconds=plan.seconds)
        after = cost_of(pid)
    spent = None if before is None or after is None else after.cpu_s - before.cpu_s
    return _Paired(
        overheads=[1000 * (one.seconds - direct.seconds) for one, direct in replies],
        direct=[1000 * direct.seconds for _, direct in replies],
        failed=sum(verdict(one) != "answer" for one, _ in replies) / len(replies),
        cpu_ms=None if spent is None else 1000 * spent / len(replies),
    )


def _routed(plan: LoadPlan, folder: Path) -> list[Measure]:
    measures = []
    # No time limit: how long routing takes is what is measured.
    settings = {"route_timeout_ms": 60_000}
    with FakeEndpoint.process() as upstream, gateway_process(folder, upstream, settings) as (url, _):
        for concurrency in CONCURRENCY:
            requests = max(plan.routed, 2 * concurrency)
            replies = asyncio.run(_send_texts(url, concurrency=concurrency, requests=requests))
            times = [float(reply.headers["x-modelsat-route-ms"]) for reply in replies if reply.status == 200]
            total = sum(reply.seconds for reply in replies)
            note = f"{requests} requests, {concurrency * len(replies) / total:.1f}/s"
            measures += [
                Measure(
                    name=f"route p50, {concurrency} at once", value=quantile(times, 0.5), unit="ms", note=note
                ),
                Measure(name=f"route p99, {concurrency} at once", value=quantile(times, 0.99), unit="ms"),
            ]
    return measures


def _rate(plan: LoadPlan, folder: Path) -> list[Measure]:
    sustained, note = 0.0, ""
    with FakeEndpoint.process() as upstream, gateway_process(folder, upstream, {}) as (url, _):
        asyncio.run(_send_texts(url, concurrency=1, requests=4))
        for rate in RATES:
            replies = asyncio.run(_at_rate(url, rate))
            late = sum("x-modelsat-score" not in reply.headers for reply in replies) / len(replies)
            note = f"at {rate:g}/s {late:.1%} were late; for {RATE_SECONDS:g} s each"
            if late >= LATE:
                break
            sustained = float(rate)
    return [
        Measure(name="routed, under 1% late", value=sustained, unit="requests/s", better="higher", note=note)
    ]


def _faults(plan: LoadPlan, folder: Path) -> list[Measure]:
    return measure_faults(folder, requests=plan.requests, fault_rate=plan.fault_rate)


async def _send_texts(url: str, *, concurrency: int, requests: int) -> list[HttpReply]:
    async with HttpClient(url) as client:
        return await closed_loop(
            lambda number: client.post(PATH, _new_request(f"{concurrency} at once", number)),
            concurrency=concurrency,
            requests=requests,
        )


async def _at_rate(url: str, rate: float) -> list[HttpReply]:
    async with HttpClient(url) as client:
        return await open_loop(
            lambda number, due: client.post(PATH, _new_request(f"{rate:g} a second", number), due=due),
            rate=rate,
            seconds=RATE_SECONDS,
        )


def _new_request(load: str, number: int) -> bytes:
    """A request that no load before it has sent: the gateway caches recent scores."""
    return chat_body("auto", f"{TEXTS[number % len(TEXTS)]} ({number}, {load})")


if __name__ == "__main__":
    run(main)
