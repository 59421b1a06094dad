"""A gateway on a real socket, with scripted endpoints on others."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from modelsat.endpoints.client import EndpointClient
from modelsat.gateway.gateway import Gateway
from modelsat.gateway.records import Authenticator, Journal
from modelsat.gateway.serving import listen, make_server
from modelsat.gateway.serving_state import make_serving_state
from modelsat.gateway.settings import GatewaySettings
from modelsat.routing.scorer import Level
from modelsat.testing import FakeEndpoint
from tests.gateway.memory import MemoryJournal, OpenDoor
from tests.gateway.parts import candidate, zoo

NAMES = ("strong", "middle", "weak")


@dataclass
class Live:
    """What is running, and where."""

    url: str
    gateway: Gateway
    endpoints: dict[str, FakeEndpoint]
    journal: MemoryJournal


@contextmanager
def served(
    endpoints: dict[str, FakeEndpoint] | None = None,
    *,
    journal: Journal | None = None,
    authenticator: Authenticator | None = None,
    **settings: Any,
) -> Iterator[Live]:
    """Serve on loopback in a thread, and each endpoint in another one."""
    chosen = GatewaySettings.model_validate({"port": 0} | settings)
    scripted = {name: FakeEndpoint() for name in NAMES} | (endpoints or {})
    kept = MemoryJournal(limit=100_000)
    with ExitStack() as stack:
        for endpoint in scripted.values():
            stack.enter_context(endpoint)
        members = zoo(*(candidate(name, endpoint=scripted[name].url) for name in NAMES))
        gateway = Gateway(
            settings=chosen,
            state=make_serving_state(members, chosen, {}),
            journal=journal or kept,
            authenticator=authenticator or OpenDoor(),
            client=EndpointClient(proxies=False),
        )
        listener = listen("127.0.0.1", 0)
        server = make_server(gateway, Level)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not gateway.ready:
                time.sleep(0.01)
            port = listener.getsockname()[1]
            yield Live(f"http://127.0.0.1:{port}/v1", gateway, scripted, kept)
        finally:
            server.should_exit = True
            thread.join(30)
            listener.close()
        assert not thread.is_alive()


def context(url: str, raw: bytes, *, timeout_s: float = 10) -> bytes:
    """Send bytes to a server and read all that it answers until it closes."""
    host, _, port = url.removeprefix("http://").partition("/")[0].partition(":")
    with socket.create_connection((host, int(port)), timeout=timeout_s) as connection:
        connection.sendall(raw)
        answer = b""
        while piece := connection.recv(65_536):
            answer += piece
    return answer


def request(body: bytes, *headers: str, path: str = "/v1/chat/completions") -> bytes:
    """A request as it goes over the wire; the connection is closed after it."""
    lines = [
        f"POST {path} HTTP/1.1",
        "host: localhost",
        "content-type: application/json",
        f"content-length: {len(body)}",
        "connection: close",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
