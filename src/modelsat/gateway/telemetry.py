"""What Prometheus is told.

Labels hold names of the zoo and words of the gateway only: a client cannot make up new time series.
"""

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 300_000)
_SIZES = (1, 2, 4, 8, 16, 32, 64)
# States of a breaker as a number that an alert can compare.
BREAKER_STATES = {"closed": 0, "half-open": 1, "open": 2}


class Telemetry:
    """The gateway's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = self._counter("requests", "Requests by path and HTTP status", "path", "status")
        self.decisions = self._counter("decisions", "Decisions", "candidate", "policy", "origin")
        self.answers = self._counter("answers", "Answers of candidates by HTTP status", "candidate", "status")
        self.fallbacks = self._counter(
            "fallbacks", "Candidates that failed and were passed over", "candidate"
        )
        self.router_failures = self._counter(
            "router_failures", "Requests that the router gave no scores for", "reason"
        )
        self.remembered = self._counter(
            "router_remembered", "Requests whose scores were remembered from an equal one"
        )
        self.tokens = self._counter("tokens", "Tokens that upstreams reported", "candidate", "direction")
        self.money = self._counter("cost", "Money, in the unit of the zoo's prices", "candidate")
        self.dropped = self._counter("records_dropped", "Records that the journal did not take", "kind")
        self.reloads = self._counter("zoo_reloads", "Changes of the zoo file", "result")
        self.route_ms = self._histogram("route_ms", "Milliseconds from a request to its decision", _MS)
        self.upstream_ms = self._histogram(
            "upstream_ms", "Milliseconds of an upstream's answer", _MS, "candidate"
        )
        self.first_byte_ms = self._histogram(
            "first_byte_ms", "Milliseconds to an answer's first byte", _MS, "candidate"
        )
        self.batch = self._histogram("router_batch_size", "Requests scored together", _SIZES)

    def gauge(self, name: str, help: str, read: Callable[[], float]) -> None:
        """A value that is read when it is asked for."""
        Gauge(f"modelsat_{name}", help, registry=self.registry).set_function(read)

    def breaker_states(self, read: Callable[[], Iterable[tuple[str, str]]]) -> None:
        """The state of every candidate's breaker, read when it is asked for."""
        self.registry.register(_BreakerStates(read))

    def exposition(self) -> bytes:
        """All metrics as text."""
        return generate_latest(self.registry)

    def _counter(self, name: str, help: str, *labels: str) -> Counter:
        return Counter(f"modelsat_{name}", help, labels, registry=self.registry)

    def _histogram(self, name: str, help: str, buckets: tuple[int, ...], *labels: str) -> Histogram:
        return Histogram(f"modelsat_{name}", help, labels, buckets=buckets, registry=self.registry)


class _BreakerStates:
    def __init__(self, read: Callable[[], Iterable[tuple[str, str]]]) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily(
            "modelsat_breaker_state", "0: closed, 1: half-open, 2: open", labels=["candidate"]
        )
        for candidate, state in self._read():
            family.add_metric([candidate], BREAKER_STATES[state])
        yield family
