"""HTTP to endpoints: what is written, what is read however it is cut, and when a connection is used again."""

import asyncio
import json
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelsat.bench.scripted_upstream import ScriptedUpstream
from modelsat.gateway.connections import BUFFERED_BYTES, KEPT_S, Connection, EndpointTransport

CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\n\r\n"
    b"3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nTrailer: t\r\n\r\n"
)
COUNTED = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nX-A: 1\r\n\r\nabcdefg"
ENDED = b"HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\nabcdefg"
EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"


class Wire(asyncio.Transport):
    """The other end's side of a connection, in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.reading = True
        self.aborted = False

    def write(self, data: Any) -> None:
        self.written += data

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def abort(self) -> None:
        self.aborted = True


def request(body: bytes = b"{}") -> httpx.Request:
    return httpx.Request(
        "POST", "http://a.example/v1/x?y", headers=[(b"host", b"a"), (b"X-B", b"2")], content=body
    )


async def ask(pieces: list[bytes], *, eof: bool = False) -> tuple[int, bytes, Connection, Wire]:
    connection, wire = Connection(), Wire()
    connection.connection_made(wire)
    await connection.send(request(), timeout_s=1)
    for piece in pieces:
        connection.data_received(piece)
    if eof:
        connection.eof_received()
    head = await connection.response()
    body = b"".join([piece async for piece in connection.body()])
    return head.status_code, body, connection, wire


def test_a_request_is_one_packet_as_it_was_given() -> None:
    *_, wire = asyncio.run(ask([COUNTED]))
    head, _, body = wire.written.partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [b"POST /v1/x?y HTTP/1.1", b"host: a", b"X-B: 2", b"Content-Length: 2"]
    assert body == b"{}"


@settings(max_examples=50)
@given(
    answer=st.sampled_from([CHUNKED, COUNTED, ENDED]),
    early=st.booleans(),
    cuts=st.lists(st.integers(0, 200), max_size=6),
)
def test_an_answer_reads_the_same_however_it_is_cut(answer: bytes, early: bool, cuts: list[int]) -> None:
    whole = EARLY * early + answer
    places = [0, *sorted(cut % len(whole) for cut in cuts), len(whole)]
    pieces = [whole[start:end] for start, end in pairwise(places) if end > start]
    status, body, connection, _ = asyncio.run(ask(pieces, eof=answer == ENDED))
    assert (status, body) == (200, b"abcdefg")
    assert connection.usable == (answer != ENDED)


@pytest.mark.parametrize(
    ("pieces", "error"),
    [
        ([], httpx.ReadError),
        ([COUNTED[:20]], httpx.RemoteProtocolError),
        ([COUNTED[:-1]], httpx.RemoteProtocolError),
        ([CHUNKED[:-8]], httpx.RemoteProtocolError),
        ([b"this is no HTTP\r\n\r\n"], httpx.RemoteProtocolError),
        ([CHUNKED.replace(b"3\r\nabc", b"zz\r\nabc")], httpx.RemoteProtocolError),
        ([b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000], httpx.RemoteProtocolError),
    ],
)
def test_what_is_no_whole_answer_is_an_error(pieces: list[bytes], error: type[Exception]) -> None:
    with pytest.raises(error):
        asyncio.run(ask(pieces, eof=True))


def test_a_header_that_would_break_the_request_is_never_written() -> None:
    async def send() -> Wire:
        connection, wire = Connection(), Wire()
        connection.connection_made(wire)
        bad = httpx.Request(
            "POST", "http://a/", headers=[(b"host", b"a"), (b"x", b"1\r\nevil: 1")], content=b""
        )
        with pytest.raises(httpx.LocalProtocolError):
            await connection.send(bad, timeout_s=1)
        return wire

    assert asyncio.run(send()).written == b""


@pytest.mark.parametrize("closing", [b"Connection: close\r\n", b""])
def test_a_connection_is_used_again_only_where_nothing_is_in_doubt(closing: bytes) -> None:
    answer = COUNTED.replace(b"X-A: 1\r\n", closing)
    *_, connection, _ = asyncio.run(ask([answer]))
    assert connection.usable == (not closing)
    *_, connection, _ = asyncio.run(ask([COUNTED + b"HTTP/1.1 200 OK\r\n"]))
    assert not connection.usable
    *_, connection, _ = asyncio.run(ask([COUNTED]))
    connection.data_received(b"nobody asked")
    assert not connection.usable
    *_, connection, _ = asyncio.run(ask([COUNTED]))
    connection.connection_lost(None)
    assert not connection.usable


def test_an_endpoint_that_is_faster_than_its_reader_waits() -> None:
    async def flood() -> list[bool]:
        connection, wire = Connection(), Wire()
        connection.connection_made(wire)
        await connection.send(request(), timeout_s=1)
        connection.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\n")
        await connection.response()
        seen = [wire.reading]
        connection.data_received(b"x" * (BUFFERED_BYTES + 1))
        seen.append(wire.reading)
        body = connection.body()
        await anext(body)
        waiting = asyncio.ensure_future(anext(body))
        await asyncio.sleep(0)
        seen.append(wire.reading)
        connection.close()
        connection.connection_lost(None)
        with pytest.raises(httpx.TransportError):
            await waiting
        return seen

    assert asyncio.run(flood()) == [True, False, True]


def test_a_request_that_is_not_taken_is_given_up() -> None:
    async def send() -> None:
        connection = Connection()
        connection.connection_made(Wire())
        connection.pause_writing()
        with pytest.raises(httpx.WriteTimeout):
            await connection.send(request(), timeout_s=0.01)

    asyncio.run(send())


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await handler(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        scheme = "http" if tls is None else "https"
        yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0.01)


async def post(transport: EndpointTransport, url: str) -> bytes:
    response = await transport.handle_async_request(
        httpx.Request("POST", url, json={"messages": []}, extensions={"timeout": {"connect": 1.0}})
    )
    try:
        return b"".join([piece async for piece in cast("httpx.AsyncByteStream", response.stream)])
    finally:
        await response.aclose()


@pytest.mark.slow
@pytest.mark.enable_socket
class TestOnSockets:
    async def kept(self) -> None:
        connections = 0

        async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            for _ in range(2):
                await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(len(b'{"messages":[]}'))
                writer.write(COUNTED)
            # Without a word, as servers do with idle connections.
            writer.close()

        transport = EndpointTransport()
        async with listening(count) as url:
            assert [await post(transport, url) for _ in range(2)] == [b"abcdefg"] * 2
            assert connections == 1
            # Whether it is seen to be closed already or found out while it is used: nobody notices.
            assert [await post(transport, url) for _ in range(3)] == [b"abcdefg"] * 3
            assert connections == 3
            await transport.aclose()

    def test_connections_are_kept_and_replaced_unnoticed(self) -> None:
        asyncio.run(self.kept())

    def test_a_fresh_connection_that_is_lost_is_an_error_at_once(self) -> None:
        asked = 0

        async def lose(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal asked
            asked += 1
            await reader.readuntil(b"\r\n\r\n")
            writer.close()

        async def go() -> None:
            async with listening(lose) as url:
                with pytest.raises(httpx.ReadError):
                    await post(EndpointTransport(), url)

        asyncio.run(go())
        assert asked == 1

    def test_many_at_once_and_old_ones_are_let_go(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def go() -> None:
            transport = EndpointTransport()
            async with ScriptedUpstream().running() as url:
                answers = await asyncio.gather(
                    *(post(transport, f"{url}/chat/completions") for _ in range(30))
                )
                assert len({json.loads(answer)["id"] for answer in answers}) == 1
                loop = asyncio.get_running_loop()
                now = loop.time()
                monkeypatch.setattr(loop, "time", lambda: now + 2 * KEPT_S)
                await post(transport, f"{url}/chat/completions")
                assert [len(kept) for kept in transport._idle.values()] == [1]
                await transport.aclose()

        asyncio.run(go())

    def test_where_nobody_listens_there_is_no_connection(self) -> None:
        async def go() -> None:
            async with listening(lambda reader, writer: asyncio.sleep(0)) as url:
                closed = url
            with pytest.raises(httpx.ConnectError):
                await post(EndpointTransport(), closed)
            async with listening(speak_plainly) as plain:
                with pytest.raises(httpx.ConnectError):
                    await post(EndpointTransport(), plain.replace("http:", "https:"))

        async def speak_plainly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"this is no TLS")

        asyncio.run(go())

    def test_tls_is_verified(self, tmp_path: Path) -> None:
        openssl = shutil.which("openssl")
        if openssl is None:
            pytest.skip("openssl makes the certificate")
        key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
        command = "req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=x -addext subjectAltName=IP:127.0.0.1"
        files = ["-keyout", str(key), "-out", str(certificate)]
        subprocess.run([openssl, *command.split(), *files], check=True, capture_output=True)
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(certificate, key)

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(COUNTED)
            await writer.drain()

        async def go() -> None:
            async with listening(answer, tls=server) as url:
                with pytest.raises(httpx.ConnectError):
                    await post(EndpointTransport(), url)
                trusting = EndpointTransport(tls=ssl.create_default_context(cafile=str(certificate)))
                assert await post(trusting, url) == b"abcdefg"
                with pytest.raises(httpx.ConnectError):
                    await post(trusting, url.replace("127.0.0.1", "localhost"))
                await trusting.aclose()

        asyncio.run(go())
