"""A gateway on a socket: the server around the application, until it is told to stop."""

import ipaddress
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn

from modelsat.errors import DataError
from modelsat.gateway.app import create_app
from modelsat.gateway.gateway import Gateway
from modelsat.gateway.logs import JsonFormatter, logger
from modelsat.routing.scorer import Scorer

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def require_loopback(host: str) -> None:
    """Refuse to let everyone in from everywhere.

    Raises:
        DataError: The address is reached from other machines.
    """
    if not is_loopback(host):
        raise DataError(
            f"host is {host}: without API keys the gateway listens on this machine only; "
            "make a key with `modelsat keys create`, or use --host 127.0.0.1."
        )


def run(gateway: Gateway, load_scorer: Callable[[], Scorer]) -> None:
    """Serve until SIGTERM or SIGINT, and let answers that have begun come to their end.

    Args:
        gateway: What to serve.
        load_scorer: Loads the router.

    Raises:
        ModelSatError: The router cannot be loaded, or the address is taken.
    """
    listener = listen(gateway.settings.host, gateway.settings.port)
    faults: list[BaseException] = []

    def failed(error: BaseException) -> None:
        faults.append(error)
        server.should_exit = True

    server = make_server(gateway, load_scorer, failed=failed)
    server.run(sockets=[listener])
    if faults:
        raise faults[0]


def make_server(
    gateway: Gateway,
    load_scorer: Callable[[], Scorer],
    *,
    failed: Callable[[BaseException], None] = lambda error: None,
) -> uvicorn.Server:
    """A server that has not begun to run.

    Args:
        gateway: What to serve.
        load_scorer: Loads the router.
        failed: Called where that fails.
    """
    settings = gateway.settings
    config = uvicorn.Config(
        create_app(gateway, load_scorer, failed=failed),
        # The one of its parsers that limits the size of a request's head.
        http="h11",
        h11_max_incomplete_event_size=settings.max_header_bytes,
        timeout_graceful_shutdown=max(1, round(settings.drain_s)),
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
    )
    return _Server(config, stopping=lambda: setattr(gateway, "draining", True))


class _Server(uvicorn.Server):
    """Ends with its caller's own end, not with the signal's: what comes after it is still done."""

    def __init__(self, config: uvicorn.Config, *, stopping: Callable[[], None]) -> None:
        super().__init__(config)
        self._stopping = stopping

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop; a second SIGINT stops at once."""
        self._stopping()
        super().handle_exit(sig, frame)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals while serving; only the main thread is told of them."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def listen(host: str, port: int) -> socket.socket:
    """Take an address.

    Raises:
        DataError: It cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named, for otherwise asyncio leaves connections to collect small packets, 40 ms at a time.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host.strip("[]"), port))
    except OSError as error:
        listener.close()
        raise DataError(
            f"{host}:{port} cannot be listened on ({error.strerror}); use another --port."
        ) from None
    return listener


def log_as_json() -> None:
    """Write all logs to stderr as JSON, a line each."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    for name, level in ((logger.name, logging.INFO), ("uvicorn", logging.WARNING)):
        target = logging.getLogger(name)
        target.handlers = [handler]
        target.setLevel(level)
        target.propagate = False
