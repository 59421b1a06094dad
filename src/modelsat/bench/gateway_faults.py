"""Many requests against an endpoint with faults: does every client get something, and is all of it written down?"""

import asyncio
import json
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Literal

from modelsat.bench.gateway_process import cost_of, gateway_process, upstream_process
from modelsat.bench.http_load import HttpClient, HttpReply, closed_loop
from modelsat.bench.measure import Measure
from modelsat.bench.texts import TEXTS

PATH = "/chat/completions"
CONCURRENCY = 32
WARM_UP = 0.2
# Short enough that requests which hang do not make the run long.
_IMPATIENT = {"first_byte_timeout_s": 1.0, "idle_timeout_s": 1.0, "connect_timeout_s": 1.0}


def chat_body(model: str, text: str | None, *, stream: bool = False) -> bytes:
    """A chat's JSON; without a text there is nothing to route on, and level decides.

    Args:
        model: Model name.
        text: What the user says.
        stream: Whether events are wanted.
    """
    role = "system" if text is None else "user"
    messages = [{"role": role, "content": text or "Be brief."}]
    return json.dumps({"model": model, "messages": messages, **({"stream": True} if stream else {})}).encode()


def verdict(reply: HttpReply) -> Literal["answer", "error", "broken off", "nothing"]:
    """What a client makes of a reply: an answer, a proper error, an answer visibly cut, or nothing it can use."""
    if not reply.status:
        return "nothing"
    if reply.status >= 400:
        try:
            return "error" if reply.whole and "message" in json.loads(reply.body)["error"] else "nothing"
        except (ValueError, KeyError, TypeError):
            return "nothing"
    return "answer" if reply.whole else "broken off"


def measure_faults(folder: Path, *, requests: int, fault_rate: float) -> list[Measure]:
    """Send requests, count what came back and what was stored.

    Args:
        folder: Where the gateway's files go.
        requests: How many.
        fault_rate: Share of the endpoint's answers that are faulty.
    """
    with (
        upstream_process(fault_rate=fault_rate) as upstream,
        gateway_process(folder, upstream, _IMPATIENT) as (url, pid),
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
    note = f"{requests:,} requests, {fault_rate:.0%} of the endpoint's answers faulty; {counts}"
    measures = [
        Measure(name="clients left with nothing", value=found["nothing"], unit="", bar=0.0, note=note),
        Measure(
            name="decisions told and not stored",
            value=abs(decided - decisions) + abs(decided - usages),
            unit="",
            bar=0.0,
            note=f"{decided:,} told, {decisions:,} decisions and {usages:,} endings stored",
        ),
    ]
    if before is not None and after is not None:
        grown = after.memory / before.memory - 1
        note = (
            f"{before.memory / 2**20:.0f} MB after {warm:,} requests, {after.memory / 2**20:.0f} MB after all"
        )
        measures.append(
            Measure(name="memory grown after warm-up", value=100 * grown, unit="%", bar=10.0, note=note)
        )
    return measures


async def _send_mixed(url: str, *, requests: int) -> list[HttpReply]:
    """Streams and whole answers, most by level (which costs no scoring), some by name, a few by the router."""
    client = HttpClient(url)
    model = await first_model(client)

    async def send(number: int) -> HttpReply:
        text = TEXTS[number % len(TEXTS)] if number % 50 == 0 else None
        name = model if number % 10 == 5 else "auto"
        return await client.post(PATH, chat_body(name, text, stream=number % 2 == 0))

    replies = await closed_loop(send, concurrency=CONCURRENCY, requests=requests)
    await client.close()
    return replies


async def first_model(client: HttpClient) -> str:
    """A candidate that can be named."""
    models = json.loads((await client.get("/models")).body)["data"]
    return str(models[1]["id"])


def _stored(path: Path) -> tuple[int, int]:
    """Decisions and usages in a store."""
    connection = sqlite3.connect(path)
    try:
        counts = [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("decisions", "usage")
        ]
    finally:
        connection.close()
    return counts[0], counts[1]
