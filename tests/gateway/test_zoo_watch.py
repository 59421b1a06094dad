"""Edits of the zoo file while the gateway runs."""

import asyncio
import json
import logging
import os
from dataclasses import replace
from pathlib import Path

import pytest

from modelsat.capability.card import write_card
from modelsat.capability.zoo import ModelZoo
from modelsat.gateway.zoo_watch import ZooWatch, stamp
from tests.gateway.parts import candidate, running, zoo
from tests.profiles import profile

pytestmark = pytest.mark.anyio


@pytest.fixture
def zoo_file(tmp_path: Path) -> Path:
    path = tmp_path / "zoo.toml"
    zoo().save(path)
    return path


async def test_a_good_edit_is_served_and_a_bad_one_refused(
    zoo_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "modelsat.gateway")
    async with running(ModelZoo.load(zoo_file), zoo=zoo_file, zoo_poll_s=60) as client:
        watch = ZooWatch(client.gateway, zoo_file)
        await watch.look()
        assert caplog.records == []
        text = zoo_file.read_text()
        (zoo_file.parent / "zoo.toml").write_text(text.replace("strong.example", "stronger.example"))
        await watch.look()
        moved = await client.chat()
        zoo_file.write_text(text.replace("input_price = 1.0", 'input_price = "free"', 1))
        await watch.look()
        kept = await client.chat()
        zoo_file.write_text(text.replace("http://", "ftp://"))
        await watch.look()
        zoo_file.unlink()
        await watch.look()
        still = await client.chat()
        zoo_file.write_text(text)
        await watch.look()
        back = await client.chat()
        metrics = (await client.get("/metrics")).body.decode()
    assert [reply.status for reply in (moved, kept, still, back)] == [200] * 4
    assert client.endpoints.asked == ["stronger", "stronger", "stronger", "strong"]
    refusals = [record.modelsat_fields["error"] for record in caplog.records if "refused" in record.message]  # type: ignore[attr-defined]
    assert len(refusals) == 3
    assert "zoo.toml:3: candidate 'strong': field 'input_price' is 'free'" in refusals[0]
    assert "zoo.toml:3" in refusals[1]
    assert "no such file" in refusals[2]
    assert 'modelsat_zoo_reloads_total{result="refused"} 3.0' in metrics
    assert 'modelsat_zoo_reloads_total{result="served"} 2.0' in metrics


async def test_a_new_candidate_is_routable_without_a_restart(zoo_file: Path) -> None:
    async with running(ModelZoo.load(zoo_file), zoo=zoo_file, zoo_poll_s=0.01) as client:
        before = await client.chat()
        members = ModelZoo.load(zoo_file)
        members.add(candidate("genius"), profile("genius", {"law": 1.0}))
        members.save(zoo_file)
        async with asyncio.timeout(5):
            while "genius" not in client.gateway.state.zoo:
                await asyncio.sleep(0.01)
        after = await client.chat()
        models = await client.get("/v1/models")
    assert before.headers["x-modelsat-candidate"] == "strong"
    assert after.headers["x-modelsat-candidate"] == "genius"
    assert "genius" in json.dumps(models.json())


async def test_a_card_that_changes_is_noticed(zoo_file: Path) -> None:
    async with running(ModelZoo.load(zoo_file), zoo=zoo_file, zoo_poll_s=60) as client:
        watch = ZooWatch(client.gateway, zoo_file)
        write_card(zoo_file.parent / "cards" / "weak.json", profile("weak", {"law": 0.95}))
        await watch.look()
        reply = await client.chat()
    assert reply.headers["x-modelsat-candidate"] == "weak"


async def test_a_zoo_that_breaks_the_settings_is_refused(zoo_file: Path) -> None:
    async with running(ModelZoo.load(zoo_file), zoo=zoo_file, zoo_poll_s=60, shadow="middle") as client:
        watch = ZooWatch(client.gateway, zoo_file)
        zoo(candidate("strong"), candidate("auto")).save(zoo_file)
        await watch.look()
        zoo(candidate("strong")).save(zoo_file)
        await watch.look()
        assert client.gateway.state.zoo.names == ("strong", "middle", "weak")


async def test_requests_keep_the_zoo_they_began_with() -> None:
    async with running() as client:
        release = asyncio.Event()
        answer = client.endpoints.script.get("strong")
        assert answer is None
        client.endpoints.hangs("strong")
        task = asyncio.create_task(client.chat())
        while not client.endpoints.requests:
            await asyncio.sleep(0)
        state = client.gateway.state
        await client.gateway.serve(replace(state, zoo=zoo().select(["weak"]), router=None))
        assert (await client.chat()).headers["x-modelsat-candidate"] == "weak"
        release.set()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    # The books of the first one are closed in its own zoo.
    assert [usage.candidate for usage in client.usages] == ["weak", "strong"]


def test_the_stamp_is_of_the_zoo_and_its_cards(zoo_file: Path) -> None:
    first = stamp(zoo_file)
    assert len(first) == 4
    os.utime(zoo_file.parent / "cards" / "weak.json", ns=(1, 1))
    assert stamp(zoo_file) != first
    zoo_file.write_text("[[")
    assert len(stamp(zoo_file)) == 1
