"""A hub on loopback that serves one file of a dataset as the real one does: by a redirect to where its bytes are."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def hub(repository: str, file: str, content: bytes, *, cut_at: int | None = None) -> Iterator[str]:
    """Serve a dataset.

    Args:
        repository: Its name.
        file: The only file that it has.
        content: The file.
        cut_at: Close the connection after so many of its bytes.

    Yields:
        What to name as HF_ENDPOINT.
    """
    bytes_at, digest = "/cdn/bytes", sha256(content).hexdigest()

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, *, body: bool) -> None:
            status, headers, sent = 404, {"X-Error-Code": "EntryNotFound"}, b""
            if self.path == "/":
                status, headers = 200, {}
            elif self.path == f"/datasets/{repository}/resolve/main/{file}":
                linked = {"X-Linked-ETag": f'"{digest}"', "X-Linked-Size": str(len(content))}
                # Elsewhere, as the real one's bytes are: redirects within the hub mean that a dataset was renamed.
                location = f"http://localhost:{server.server_port}{bytes_at}"
                status, headers = 302, {"Location": location, "X-Repo-Commit": COMMIT, **linked}
            elif self.path == bytes_at:
                status, headers, sent = 200, {"ETag": f'"{digest}"'}, content
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            if body:
                self.wfile.write(sent[:cut_at])
                self.close_connection = cut_at is not None

        def log_message(self, *_: object) -> None:
            """Not to the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
