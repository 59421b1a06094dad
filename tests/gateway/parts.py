"""A whole gateway in memory: real routing on a scorer by level, scripted endpoints, a client without sockets."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from json import dumps
from typing import Any, cast
from urllib.parse import urlsplit

from modelsat.capability.zoo import ModelZoo
from modelsat.endpoints.answers import retry_after_s
from modelsat.endpoints.client import EndpointClient
from modelsat.gateway.app import create_app
from modelsat.gateway.gateway import Gateway
from modelsat.gateway.records import Authenticator, DecisionRecord, UsageRecord
from modelsat.gateway.serving_state import make_serving_state
from modelsat.gateway.settings import GatewaySettings
from modelsat.routing.scorer import Level, Scorer
from modelsat.types import Candidate
from tests.gateway.memory import MemoryJournal, OpenDoor
from tests.profiles import profile

Headers = list[tuple[bytes, bytes]]
Answer = Callable[["Asked"], Awaitable["Response"]]


def candidate(name: str, **fields: Any) -> Candidate:
    given: dict[str, Any] = {
        "endpoint": f"http://{name}.example/v1",
        "input_price": 1.0,
        "output_price": 1.0,
    } | fields
    return Candidate(name=name, **given)


def zoo(*candidates: Candidate, levels: Sequence[float] = (0.9, 0.7, 0.2)) -> ModelZoo:
    """Strongest first, priced 1, unless said otherwise."""
    chosen = candidates or (
        candidate("strong", output_price=10.0, model="strong-8b"),
        candidate("middle"),
        candidate("weak", input_price=0.0, output_price=0.0),
    )
    return ModelZoo(
        (member, profile(member.name, {"law": level})) for member, level in zip(chosen, levels, strict=False)
    )


def chat(text: str = "Is this lawful?", model: str = "auto", **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **fields}


def answer_body(text: str = "Yes.", *, usage: bool = True) -> dict[str, Any]:
    counted = {"usage": {"prompt_tokens": 11, "completion_tokens": 7}} if usage else {}
    return {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}], **counted}


class Pieces:
    """A body in pieces, that knows when it was closed; an exception among the pieces is raised."""

    def __init__(self, *pieces: bytes | Exception | asyncio.Event) -> None:
        self.pieces = pieces
        self.closed = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            if isinstance(piece, asyncio.Event):
                await piece.wait()
            elif isinstance(piece, Exception):
                raise piece
            else:
                yield piece


@dataclass(frozen=True)
class Asked:
    """A request that reached an endpoint."""

    url: str
    headers: dict[str, str]
    content: bytes

    @property
    def name(self) -> str:
        return (urlsplit(self.url).hostname or "").removesuffix(".example")


class Response:
    """An endpoint's answer, as `EndpointResponse` is one."""

    def __init__(
        self,
        status: int,
        *,
        json: Any = None,
        text: str = "",
        headers: dict[str, str] | None = None,
        stream: Pieces | None = None,
    ) -> None:
        body = text.encode() if json is None else dumps(json).encode()
        self.status = status
        self.headers = ({} if json is None else {"content-type": "application/json"}) | (headers or {})
        if stream is None:
            self.headers["content-length"] = str(len(body))
        self.raw_headers = tuple((name.encode(), value.encode()) for name, value in self.headers.items())
        self.retry_after_s = retry_after_s(self.headers)
        self._stream = Pieces(body) if stream is None else stream

    def pieces(self) -> AsyncIterator[bytes]:
        return aiter(self._stream)

    def close(self) -> None:
        self._stream.closed.set()


@dataclass
class Endpoints:
    """All endpoints behind an `EndpointClient`: each host answers as scripted, by default with a chat completion."""

    script: dict[str, Answer] = field(default_factory=dict)
    requests: list[Asked] = field(default_factory=list)

    def answers(self, name: str, status: int = 200, **fields: Any) -> None:
        fields = fields or {"json": answer_body()}

        async def answer(request: Asked) -> Response:
            return Response(status, **fields)

        self.script[name] = answer

    def fails(self, name: str, error: Exception) -> None:
        async def answer(request: Asked) -> Response:
            raise error

        self.script[name] = answer

    def hangs(self, name: str) -> None:
        async def answer(request: Asked) -> Response:
            await asyncio.sleep(3600)
            raise AssertionError

        self.script[name] = answer

    @property
    def asked(self) -> list[str]:
        return [request.name for request in self.requests]

    async def request(
        self, method: str, url: str, headers: Sequence[tuple[str, str]], body: bytes = b""
    ) -> Response:
        asked = Asked(url, dict(headers), body)
        self.requests.append(asked)
        if asked.name not in self.script:
            self.answers(asked.name)
        return await self.script[asked.name](asked)

    async def close(self) -> None:
        pass


@dataclass
class Reply:
    """An answer of the gateway, piece by piece."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    pieces: list[bytes] = field(default_factory=list)
    whole: bool = False

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        found: dict[str, Any] = self.json()["error"]
        return found


@dataclass
class Client:
    """Speaks ASGI to the gateway, as a server does."""

    app: Any
    gateway: Gateway
    endpoints: Endpoints
    journal: MemoryJournal

    async def post(self, path: str, body: Any, headers: dict[str, str] | None = None) -> Reply:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.request("POST", path, raw, {"content-type": "application/json"} | (headers or {}))

    async def get(self, path: str, headers: dict[str, str] | None = None) -> Reply:
        return await self.request("GET", path, b"", headers or {})

    async def chat(self, *args: Any, headers: dict[str, str] | None = None, **fields: Any) -> Reply:
        return await self.post("/v1/chat/completions", chat(*args, **fields), headers)

    async def request(
        self,
        method: str,
        path: str,
        raw: bytes,
        headers: dict[str, str],
        *,
        leave: asyncio.Event | None = None,
        reply: Reply | None = None,
    ) -> Reply:
        """Send a request; the client leaves when `leave` is set, and `reply` can be watched meanwhile."""
        reply = Reply() if reply is None else reply
        leave = leave or asyncio.Event()
        sent = False

        async def receive() -> dict[str, Any]:
            nonlocal sent
            if not sent:
                sent = True
                return {"type": "http.request", "body": raw, "more_body": False}
            await leave.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                reply.status = message["status"]
                reply.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            else:
                reply.pieces.append(message.get("body", b""))
                reply.whole = not message.get("more_body", False)

        fields = {"host": "localhost:8000"} | headers
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in fields.items()],
            "http_version": "1.1",
            "scheme": "http",
            "server": ("localhost", 8000),
            "client": ("127.0.0.1", 1),
            "root_path": "",
        }
        await self.app(scope, receive, send)
        return reply

    @property
    def decisions(self) -> list[DecisionRecord]:
        return [record for record in self.journal.records if isinstance(record, DecisionRecord)]

    @property
    def usages(self) -> list[UsageRecord]:
        return [record for record in self.journal.records if isinstance(record, UsageRecord)]


@asynccontextmanager
async def running(
    members: ModelZoo | None = None,
    *,
    scorer: Callable[[], Scorer] = Level,
    authenticator: Authenticator | None = None,
    clock: Callable[[], float] | None = None,
    environment: dict[str, str] | None = None,
    ready: bool = True,
    **settings: Any,
) -> AsyncIterator[Client]:
    """A gateway that has started."""
    # A busy machine may take its time to score: only tests that set the limit are about it.
    chosen = GatewaySettings.model_validate({"route_timeout_ms": 60_000} | settings)
    endpoints, journal = Endpoints(), MemoryJournal()
    gateway = Gateway(
        settings=chosen,
        state=make_serving_state(members or zoo(), chosen, environment or {}),
        journal=journal,
        authenticator=authenticator or OpenDoor(),
        client=cast("EndpointClient", endpoints),
        clock=clock or time.monotonic,
    )
    app = create_app(gateway, scorer)
    async with app.router.lifespan_context(app):
        while ready and not gateway.ready:
            await asyncio.sleep(0.001)
        yield Client(app=app, gateway=gateway, endpoints=endpoints, journal=journal)


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds
