"""Requests that come again are answered from memory, until the zoo changes."""

import pytest

from modelsat.gateway.serving_state import make_serving_state
from tests.gateway.parts import Client, running, zoo

pytestmark = pytest.mark.anyio

REMEMBERED = "modelsat_router_remembered_total"


async def count(client: Client) -> float:
    text = (await client.get("/metrics")).body.decode()
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(REMEMBERED))


async def test_an_equal_request_is_not_scored_again_until_the_zoo_changes() -> None:
    async with running(zoo()) as client:
        first, again = await client.chat(), await client.chat()
        assert [first.status, again.status] == [200, 200]
        assert first.headers["x-modelsat-score"] == again.headers["x-modelsat-score"]
        assert await count(client) == 1
        gateway = client.gateway
        await gateway.serve(make_serving_state(zoo(), gateway.settings))
        await client.chat()
        assert await count(client) == 1
        await client.chat()
        assert await count(client) == 2


async def test_memory_can_be_turned_off() -> None:
    async with running(zoo(), score_cache_mb=0) as client:
        await client.chat()
        await client.chat()
        assert await count(client) == 0
