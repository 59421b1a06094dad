"""Serve a fake endpoint until stopped: `python -m modelsat.testing --text A` prints its base URL."""

import argparse
import random
import sys
import threading
from collections.abc import Callable

from modelsat.testing.fake_endpoint import Answer, FakeEndpoint, random_faults


def between(low: float, high: float, kind: type[int] | type[float] = float) -> Callable[[str], float]:
    """A reader of numbers in a range."""

    def number(text: str) -> float:
        value = kind(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not between {low} and {high}")
        return value

    return number


seconds = between(0, 3600)
parser = argparse.ArgumentParser(prog="python -m modelsat.testing", description=__doc__)
parser.add_argument("--text", default=Answer().text, help="text of every answer")
parser.add_argument("--delay", type=seconds, default=0.0, help="seconds before each answer")
parser.add_argument("--event-delay", type=seconds, default=0.0, help="seconds between streamed events")
parser.add_argument("--fault-rate", type=between(0, 1), default=0.0, help="share of requests that fail")
parser.add_argument("--port", type=between(0, 65535, int), default=0, help="port on 127.0.0.1 (default: any)")
options = parser.parse_args()

answer = Answer(options.text, delay_s=options.delay, event_s=options.event_delay)
persona = random_faults(options.fault_rate, random.Random(0), otherwise=answer)
try:
    with FakeEndpoint(persona, port=options.port) as endpoint:
        sys.stdout.write(f"{endpoint.url}\n")
        sys.stdout.flush()
        threading.Event().wait()
except OSError as error:
    sys.exit(f"error: --port {options.port}: {error.strerror}")
except KeyboardInterrupt:
    sys.exit(130)
