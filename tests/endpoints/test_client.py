"""The client against a scripted endpoint; over Unix sockets, but where TCP or TLS are what is tested."""

import asyncio
import json
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from modelsat.endpoints.client import (
    EndpointClient,
    EndpointResponse,
    TooLargeError,
    TransportError,
    proxy_for,
)
from modelsat.testing import Answer, FakeEndpoint, FakeRequest

BODY = json.dumps({"model": "m", "messages": [{"role": "user", "content": "2 + 2?"}]}).encode()
HEADERS = [("content-type", "application/json"), ("x-ours", "1"), ("authorization", "Bearer k")]
MEBIBYTE = 2**20


async def post(client: EndpointClient, endpoint: FakeEndpoint, body: bytes = BODY) -> EndpointResponse:
    return await client.request("POST", f"{endpoint.url}/chat/completions", HEADERS, body)


async def whole(client: EndpointClient, endpoint: FakeEndpoint, body: bytes = BODY) -> bytes:
    response = await post(client, endpoint, body)
    try:
        return await response.read(largest=MEBIBYTE)
    finally:
        response.close()


def test_bytes_go_out_and_come_back_as_they_are() -> None:
    async def ask() -> None:
        answer = Answer(headers={"X-Theirs": "a", "retry-after": "2"}, gzip=True, status=201)
        async with EndpointClient() as client, FakeEndpoint(answer, unix_socket=True) as endpoint:
            response = await post(client, endpoint)
            assert (response.status, response.retry_after_s) == (201, 2.0)
            assert response.headers["x-theirs"] == "a"
            assert (b"X-Theirs", b"a") in response.raw_headers
            # Compressed, as it was sent.
            assert (await response.read(largest=MEBIBYTE))[:2] == b"\x1f\x8b"
            request = endpoint.requests[0]
            assert request.body == BODY
            assert set(request.headers) == {"host", "content-length"} | {name for name, _ in HEADERS}

    asyncio.run(ask())


def test_pieces_arrive_when_they_are_sent() -> None:
    async def ask() -> None:
        more = asyncio.Event()

        async def pieces() -> AsyncIterator[bytes]:
            yield b"first"
            await more.wait()
            yield b"second"

        async with (
            EndpointClient() as client,
            FakeEndpoint(lambda request: Answer(body=pieces()), unix_socket=True) as endpoint,
        ):
            response = await post(client, endpoint)
            read = response.pieces()
            assert await anext(read) == b"first"
            more.set()
            assert await anext(read) == b"second"
            assert await anext(read, None) is None

    asyncio.run(ask())


def test_connections_are_kept_and_one_that_is_left_is_closed() -> None:
    async def ask() -> None:
        endless = Answer(pieces=1, then="repeat")
        async with (
            EndpointClient() as client,
            FakeEndpoint(
                lambda request: endless if request.number == 20 else "A", unix_socket=True
            ) as endpoint,
        ):
            for _ in range(4):
                await asyncio.gather(*(whole(client, endpoint) for _ in range(5)))
            assert (endpoint.asked, endpoint.connections) == (20, 5)
            response = await post(client, endpoint)
            await anext(response.pieces())
            response.close()
            while not endpoint.disconnects:
                await asyncio.sleep(0.001)

    asyncio.run(ask())


@pytest.mark.parametrize("large", [False, True])
def test_a_kept_connection_that_is_lost_unheard_is_replaced_once(large: bool) -> None:
    body = BODY[:-1] + b" " * (2 * MEBIBYTE) + b"}" if large else BODY

    def persona(request: FakeRequest) -> Answer:
        return Answer(pieces=0) if request.number in (1, 3, 4) else Answer(body=b"fine")

    async def ask() -> None:
        async with EndpointClient() as client, FakeEndpoint(persona, unix_socket=True) as endpoint:
            assert await whole(client, endpoint, body) == b"fine"
            assert await whole(client, endpoint, body) == b"fine"
            assert endpoint.asked == 3 and endpoint.requests[2].body == body
            # The connection is new: nobody closed it while it was idle.
            with pytest.raises(TransportError) as lost:
                await whole(client, endpoint, body)
            assert (lost.value.reason, lost.value.sent, endpoint.asked) == ("connection lost", True, 4)

    asyncio.run(ask())


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(pieces=0), "connection lost"),
        (Answer(pieces=1), "connection lost"),
        (Answer(raw=b"this is not HTTP\r\n\r\n"), "no proper HTTP answer"),
        (Answer(raw=b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx"), "connection lost"),
        (Answer(raw=b"HTTP/1.1 200 OK\r\ncontent-le"), "connection lost"),
    ],
)
def test_failures_are_named_in_a_few_words(answer: Answer, reason: str) -> None:
    async def ask() -> TransportError:
        async with EndpointClient() as client, FakeEndpoint(answer, unix_socket=True) as endpoint:
            with pytest.raises(TransportError) as failed:
                await whole(client, endpoint)
            assert endpoint.asked == 1
            return failed.value

    failed = asyncio.run(ask())
    assert (failed.reason, failed.sent, failed.late) == (reason, True, False)


def test_an_endpoint_that_is_not_there_was_not_asked(tmp_path: Path) -> None:
    async def ask() -> TransportError:
        async with EndpointClient() as client:
            with pytest.raises(TransportError) as failed:
                await client.request("POST", "http+unix://%2Fnot%2Fthere/v1", HEADERS, BODY)
            return failed.value

    failed = asyncio.run(ask())
    assert (failed.reason, failed.sent) == ("no connection", False)
    assert str(failed) == "no connection (No such file or directory)"


def test_a_large_answer_is_refused_and_its_connection_closed() -> None:
    async def ask() -> None:
        async with (
            EndpointClient() as client,
            FakeEndpoint(Answer(pieces=1, then="repeat"), unix_socket=True) as endpoint,
        ):
            with pytest.raises(TooLargeError, match="more than 1,048,576 bytes"):
                await whole(client, endpoint)
            while not endpoint.disconnects:
                await asyncio.sleep(0.001)

    asyncio.run(ask())


@pytest.mark.parametrize(
    ("environment", "proxy"),
    [
        ({}, None),
        ({"https": "http://proxy:3128"}, "http://proxy:3128"),
        ({"all": "proxy:3128"}, "http://proxy:3128"),
        ({"http": "http://proxy:3128"}, None),
    ],
)
def test_a_proxy_is_used_where_the_environment_names_one(
    environment: dict[str, str], proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert proxy_for("https://llm.example/v1", environment) == proxy


def test_a_host_that_needs_no_proxy_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "llm.example")
    assert proxy_for("https://llm.example/v1", {"https": "http://proxy:3128"}) is None


@pytest.mark.slow
@pytest.mark.enable_socket
class TestOnTcp:
    def test_a_refused_connection_says_so_without_an_address(self) -> None:
        async def ask() -> TransportError:
            async with FakeEndpoint() as endpoint:
                pass
            async with EndpointClient(proxies=False) as client:
                with pytest.raises(TransportError) as failed:
                    await post(client, endpoint)
                return failed.value

        assert str(asyncio.run(ask())) == "no connection (Connection refused)"

    def test_a_proxy_carries_the_request(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def ask() -> FakeRequest:
            async with FakeEndpoint("by proxy") as proxy, EndpointClient() as client:
                monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
                response = await client.request(
                    "POST", "http://llm.example/v1/chat/completions", HEADERS, BODY
                )
                assert b"by proxy" in await response.read(largest=MEBIBYTE)
                return proxy.requests[0]

        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        request = asyncio.run(ask())
        assert request.path == "http://llm.example/v1/chat/completions"
        assert request.headers["host"] == "llm.example"

    def test_certificates_are_verified(self, tmp_path: Path) -> None:
        openssl = shutil.which("openssl")
        if openssl is None:
            pytest.skip("openssl makes the certificate")
        key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
        command = "req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=x -addext subjectAltName=IP:127.0.0.1"
        files = ["-keyout", str(key), "-out", str(certificate)]
        subprocess.run([openssl, *command.split(), *files], check=True, capture_output=True)
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(certificate, key)
        trusting = ssl.create_default_context(cafile=str(certificate))

        async def ask() -> None:
            async with FakeEndpoint("fine", tls=server) as endpoint:
                async with EndpointClient() as client:
                    with pytest.raises(TransportError, match="self-signed certificate"):
                        await post(client, endpoint)
                async with EndpointClient(tls=trusting) as client:
                    assert b"fine" in await whole(client, endpoint)
                    endpoint.url = endpoint.url.replace("127.0.0.1", "localhost")
                    with pytest.raises(TransportError, match="no connection"):
                        await post(client, endpoint)

        asyncio.run(ask())
