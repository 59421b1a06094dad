"""Edits of the zoo file, picked up while the gateway runs: a good one is served, a bad one is told and left."""

import asyncio
import logging
import tomllib
from pathlib import Path

from modelsat.capability.zoo import ModelZoo
from modelsat.errors import ModelSatError
from modelsat.gateway.gateway import Gateway
from modelsat.gateway.logs import log
from modelsat.gateway.serving_state import make_serving_state

Stamp = tuple[tuple[str, int, int], ...]


class ZooWatch:
    """Looks at a zoo file and the cards it names.

    Args:
        gateway: What serves the zoo.
        path: The zoo file.
    """

    def __init__(self, gateway: Gateway, path: Path) -> None:
        self._gateway = gateway
        self._path = path
        self._seen = stamp(path)

    async def run(self) -> None:
        """Look again and again."""
        while True:
            await asyncio.sleep(self._gateway.settings.zoo_poll_s)
            await self.look()

    async def look(self) -> None:
        """Serve the zoo if it changed."""
        now = await asyncio.to_thread(stamp, self._path)
        if now == self._seen:
            return
        # Noted before it is read: what changes meanwhile is read next time.
        self._seen = now
        try:
            zoo = await asyncio.to_thread(ModelZoo.load, self._path)
            state = make_serving_state(zoo, self._gateway.settings)
            await self._gateway.serve(state)
        except Exception as error:
            # Whatever it is: the next edit must still be looked at.
            told = str(error) if isinstance(error, ModelSatError) else type(error).__name__
            self._gateway.telemetry.reloads.labels("refused").inc()
            log("zoo refused; the old one stays", level=logging.ERROR, error=told)
        else:
            self._gateway.telemetry.reloads.labels("served").inc()
            log("zoo served", candidates=list(zoo.names))
            for warning in state.price_warnings(self._gateway.settings.routing_policy):
                log("zoo lacks prices or lengths", level=logging.WARNING, warning=warning)


def stamp(path: Path) -> Stamp:
    """What changes when the zoo does: time and size of the zoo file and of the cards it names."""
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8-sig")).get("candidate", [])
        names = [entry["card"] for entry in entries if isinstance(entry.get("card"), str)]
    except (OSError, ValueError, AttributeError, TypeError, KeyError):
        # Half written, or broken: it is the reader's to say how.
        names = []
    return tuple(_file_stamp(file) for file in (path, *(path.parent / name for name in names)))


def _file_stamp(file: Path) -> tuple[str, int, int]:
    try:
        status = file.stat()
    except OSError:
        return str(file), 0, 0
    return str(file), status.st_mtime_ns, status.st_size
