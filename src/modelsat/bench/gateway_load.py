"""What the gateway costs, and what it does under load and faults: everything on loopback, against a scripted endpoint.

Load generator, gateway and endpoint share the machine. Relayed requests are paired with direct ones to the same
endpoint, due half a period apart, so that a busy machine slows both.
"""

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from modelsat.bench.gateway_faults import PATH, chat_body, first_model, measure_faults, verdict
from modelsat.bench.gateway_process import cost_of, gateway_process, litellm_process, upstream_process
from modelsat.bench.http_load import HttpClient, HttpReply, closed_loop, open_loop, quantile
from modelsat.bench.measure import Measure, SpeedReport
from modelsat.bench.texts import TEXTS
from modelsat.bench.timing import machine, versions

Part = Literal["relay", "routed", "rate", "faults"]
PARTS: tuple[Part, ...] = ("relay", "routed", "rate", "faults")
Progress = Callable[[int, int], None]

CONCURRENCY = (1, 8, 32)
RATES = (1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
RATE_SECONDS = 10.0
LATE = 0.01
_PACKAGES = ("modelsat", "httpx", "starlette", "uvicorn", "torch", "litellm")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """What to measure.

    Attributes:
        parts: Which of `PARTS`.
        rate: Of the relay's load, requests a second; as many go to the endpoint directly.
        seconds: Of the relay's load.
        requests: Of the run with faults.
        fault_rate: Share of the endpoint's requests that meet a fault in that run.
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


def measure_gateway(plan: LoadPlan, *, progress: Progress | None = None) -> SpeedReport:
    """Measure a gateway of its own.

    Args:
        plan: What to measure.
        progress: Called with (parts done, parts in all).

    Raises:
        DataError: The gateway, or LiteLLM's proxy, does not start.
    """
    runs: dict[Part, Callable[[LoadPlan, Path], list[Measure]]] = {
        "relay": _relay,
        "routed": _routed,
        "rate": _rate,
        "faults": _faults,
    }
    before = machine(threads=0)
    measures: list[Measure] = []
    for done, part in enumerate(plan.parts):
        if progress:
            progress(done, len(plan.parts))
        with tempfile.TemporaryDirectory(prefix="modelsat-gateway-") as folder:
            measures += runs[part](plan, Path(folder))
    if progress:
        progress(len(plan.parts), len(plan.parts))
    before.pop("threads")
    return SpeedReport(machine=before, versions=versions(_PACKAGES), measures=tuple(measures))


def _relay(plan: LoadPlan, folder: Path) -> list[Measure]:
    with upstream_process() as upstream, gateway_process(folder, upstream, {}) as (url, pid):
        model = _named(url)
        own = asyncio.run(_paired(url, model, upstream, pid, rate=plan.rate, seconds=plan.seconds))
        rival = None
        if plan.litellm is not None:
            with litellm_process(folder, plan.litellm, upstream) as (rival_url, rival_pid):
                rival = asyncio.run(
                    _paired(rival_url, "scripted", upstream, rival_pid, rate=plan.rate, seconds=plan.seconds)
                )
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
    if rival is not None:
        measures += [
            Measure(name="LiteLLM overhead p50", value=quantile(rival.overheads, 0.5), unit="ms"),
            Measure(name="LiteLLM overhead p99", value=quantile(rival.overheads, 0.99), unit="ms"),
            Measure(name="LiteLLM, not answered", value=100 * rival.failed, unit="%"),
        ]
        if own.cpu_ms and rival.cpu_ms:
            measures += [
                Measure(name="LiteLLM CPU per relayed request", value=rival.cpu_ms, unit="ms"),
                Measure(
                    name="LiteLLM's CPU / the gateway's",
                    value=rival.cpu_ms / own.cpu_ms,
                    unit="x",
                    bar=2.0,
                    better="higher",
                ),
            ]
    return measures


@dataclass(frozen=True, slots=True, kw_only=True)
class _Paired:
    overheads: list[float]
    direct: list[float]
    failed: float
    cpu_ms: float | None


async def _paired(url: str, model: str, upstream: str, pid: int, *, rate: float, seconds: float) -> _Paired:
    gateway, endpoint = HttpClient(url), HttpClient(upstream)
    body = chat_body(model, TEXTS[0])

    async def pair(number: int, due: float) -> tuple[HttpReply, HttpReply]:
        later = due + 0.5 / rate
        # Which goes first changes, so that neither always finds the machine as the other left it.
        first, second = (gateway, endpoint) if number % 2 else (endpoint, gateway)
        one = asyncio.ensure_future(first.post(PATH, body, due=due))
        await asyncio.sleep(0.5 / rate)
        other = await second.post(PATH, body, due=later)
        return (await one, other) if number % 2 else (other, await one)

    await open_loop(pair, rate=rate, seconds=min(2.0, seconds))
    before = cost_of(pid)
    replies = await open_loop(pair, rate=rate, seconds=seconds)
    after = cost_of(pid)
    await gateway.close()
    await endpoint.close()
    relayed = [one for one, _ in replies]
    return _Paired(
        overheads=[1000 * (one.seconds - direct.seconds) for one, direct in replies],
        direct=[1000 * direct.seconds for _, direct in replies],
        failed=sum(verdict(reply) != "answer" for reply in relayed) / len(relayed),
        cpu_ms=None
        if before is None or after is None
        else 1000 * (after.cpu_s - before.cpu_s) / len(relayed),
    )


def _routed(plan: LoadPlan, folder: Path) -> list[Measure]:
    measures = []
    # Nobody is cut off: what is measured is how long routing takes.
    with (
        upstream_process() as upstream,
        gateway_process(folder, upstream, {"route_timeout_ms": 60_000}) as (url, _),
    ):
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
    with upstream_process() as upstream, gateway_process(folder, upstream, {}) as (url, _):
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
    client = HttpClient(url)

    async def send(number: int) -> HttpReply:
        return await client.post(PATH, _new_request(f"{concurrency} at once", number))

    replies = await closed_loop(send, concurrency=concurrency, requests=requests)
    await client.close()
    return replies


async def _at_rate(url: str, rate: float) -> list[HttpReply]:
    client = HttpClient(url)

    async def send(number: int, due: float) -> HttpReply:
        return await client.post(PATH, _new_request(f"{rate:g} a second", number), due=due)

    replies = await open_loop(send, rate=rate, seconds=RATE_SECONDS)
    await client.close()
    return replies


def _new_request(load: str, number: int) -> bytes:
    """A request that no load before it has sent: the gateway remembers what it scored lately."""
    return chat_body("auto", f"{TEXTS[number % len(TEXTS)]} ({number}, {load})")


def _named(url: str) -> str:
    async def ask() -> str:
        client = HttpClient(url)
        model = await first_model(client)
        await client.close()
        return model

    return asyncio.run(ask())
