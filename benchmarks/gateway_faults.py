"""Many requests to an endpoint with faults: does every client get a proper reply, and is everything recorded?"""

import asyncio
import json
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Literal

from benchmarks.gateway_process import cost_of, gateway_process
from benchmarks.http_load import HttpClient, HttpReply, closed_loop
from benchmarks.measure import Measure
from benchmarks.texts import TEXTS
from modelsat.testing import FakeEndpoint

PATH = "/chat/completions"
CONCURRENCY = 32
WARM_UP = 0.2
# Short, so that requests that hang do not prolong the run.
_TIMEOUTS = {"first_byte_timeout_s": 1.0, "idle_timeout_s": 1.0, "connect_timeout_s": 1.0}


def chat_body(model: str, text: str | None, *, stream: bool = False) -> bytes:
    """A chat request as JSON.

    Args:
        model: Model name.
        text: The user's message; without one there is nothing to route on, and level decides.
        stream: Whether events are wanted.
    """
    messages = [{"role": "system" if text is None else "user", "content": text or "Be brief."}]
    return json.dumps({"model": model, "messages": messages, **({"stream": True} if stream else {})}).encode()


def verdict(reply: HttpReply) -> Literal["answer", "error", "broken off", "nothing"]:
    """The client's view: an answer, a proper error, an answer visibly cut short, or nothing it can use."""
    if not reply.status:
        return "nothing"
    if reply.status >= 400:
        try:
            return "error" if reply.complete and "message" in json.loads(reply.body)["error"] else "nothing"
        except (ValueError, KeyError, TypeError):
            return "nothing"
    return "answer" if reply.complete else "broken off"


def measure_faults(folder: Path, *, requests: int, fault_rate: float) -> list[Measure]:
    """Send requests, count what came back and what was stored.

    Args:
        folder: For the gateway's files.
        requests: How many.
        fault_rate: Share of the endpoint's answers that are faulty.
    """
    with (
        FakeEndpoint.process("--fault-rate", str(fault_rate)) as upstream,
        gateway_process(folder, upstream, _TIMEOUTS) as (url, pid),
    ):
        warm = round(WARM_UP * requests)
        replies = asyncio.run(_send_mixed(url, requests=warm))
        before = cost_of(pid)
        replies += asyncio.run(_send_mixed(url, requests=requests - warm))
        after = cost_of(pid)
    # The gateway has stopped, and has written all it had to write.
    decisions, usages = _stored(folder / "gateway.db")
    found = Counter(map(verdict, replies))
    decided = sum("x-modelsat-decision-id" in reply.headers for reply in replies)
    counts = ", ".join(f"{name}: {count:,}" for name, count in sorted(found.items()))
    measures = [
        Measure(
            name="clients without a usable reply",
            value=found["nothing"],
            unit="",
            bar=0.0,
            note=f"{requests:,} requests, {fault_rate:.0%} of the endpoint's answers faulty; {counts}",
        ),
        Measure(
            name="decisions sent and not stored",
            value=abs(decided - decisions) + abs(decided - usages),
            unit="",
            bar=0.0,
            note=f"{decided:,} sent, {decisions:,} decisions and {usages:,} completions stored",
        ),
    ]
    if before is not None and after is not None:
        grown = after.memory / before.memory - 1
        sizes = (
            f"{before.memory / 2**20:.0f} MB after {warm:,} requests, {after.memory / 2**20:.0f} MB after all"
        )
        measures.append(
            Measure(name="memory grown after warm-up", value=100 * grown, unit="%", bar=10.0, note=sizes)
        )
    return measures


async def _send_mixed(url: str, *, requests: int) -> list[HttpReply]:
    """Streams and whole answers, most by level (which costs no scoring), some by name, a few by the router."""
    async with HttpClient(url) as client:
        model = await first_model(client)

        async def send(number: int) -> HttpReply:
            text = TEXTS[number % len(TEXTS)] if number % 50 == 0 else None
            name = model if number % 10 == 5 else "auto"
            return await client.post(PATH, chat_body(name, text, stream=number % 2 == 0))

        return await closed_loop(send, concurrency=CONCURRENCY, requests=requests)


async def first_model(client: HttpClient) -> str:
    """A candidate that can be named."""
    models = json.loads((await client.get("/models")).body)["data"]
    return str(models[1]["id"])


def _stored(path: Path) -> tuple[int, int]:
    """Number of decisions and of usages in a store."""
    connection = sqlite3.connect(path)
    try:
        decisions, usages = (
            int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
            for table in ("decisions", "usage")
        )
    finally:
        connection.close()
    return decisions, usages
