"""A stand-in for a model: an endpoint that answers every question alike, after a set time.

It serves measurements and rehearsals: `python -m modelsat.exam.stand_in --latency 0.2` prints its base URL and answers
"A" to whatever it is asked, until it is stopped. It listens on 127.0.0.1 only.
"""

import argparse
import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from modelsat.errors import EndpointError

_HEAD_END = b"\r\n\r\n"


class StandIn(asyncio.Protocol):
    """One connection: requests one after the other, each answered alike."""

    def __init__(self, response: bytes, latency_s: float) -> None:
        """Answer with these bytes after so many seconds."""
        self._response = response
        self._latency_s = latency_s
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection to answer on."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self._received += data
        while (end := self._received.find(_HEAD_END)) >= 0:
            head = self._received[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._received) < end + len(_HEAD_END) + length:
                return
            self._received = self._received[end + len(_HEAD_END) + length :]
            if self._latency_s > 0:
                asyncio.get_running_loop().call_later(self._latency_s, self._answer)
            else:
                self._answer()

    def _answer(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(self._response)


def response_bytes(text: str) -> bytes:
    """A whole HTTP response with a chat completion."""
    body = json.dumps(
        {
            "id": "stand-in",
            "object": "chat.completion",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": text},
                    "text": text,
                    "finish_reason": "stop",
                }
            ],
            "usage": {"prompt_tokens": 100, "completion_tokens": 1, "total_tokens": 101},
        }
    ).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def serve(text: str, latency_s: float, port: int = 0) -> None:
    """Print the base URL, and answer until cancelled."""
    response = response_bytes(text)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: StandIn(response, latency_s), "127.0.0.1", port)
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1\n")
    sys.stdout.flush()
    async with server:
        await server.serve_forever()


@contextmanager
def running(*, latency_s: float = 0.0, text: str = "A") -> Iterator[str]:
    """Run one in a process of its own.

    Yields:
        Its base URL.

    Raises:
        EndpointError: It does not start.
    """
    command = [sys.executable, "-m", "modelsat.exam.stand_in", "--latency", str(latency_s), "--text", text]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            if not url:
                raise EndpointError("the stand-in endpoint did not start; is loopback allowed here?")
            yield url
        finally:
            process.terminate()


def main() -> None:
    """Serve as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m modelsat.exam.stand_in", description=__doc__)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds to every answer")
    parser.add_argument("--text", default="A", help="the answer")
    parser.add_argument("--port", type=int, default=0, help="port of 127.0.0.1; a free one by default")
    options = parser.parse_args()
    try:
        asyncio.run(serve(options.text, options.latency, options.port))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
