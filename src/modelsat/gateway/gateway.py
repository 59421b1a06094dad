"""The gateway's parts, put together once and shared by all requests; and how a request becomes a choice."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from secrets import token_bytes

import numpy as np

from modelsat.endpoints.client import EndpointClient
from modelsat.errors import ModelSatError
from modelsat.gateway.admission import Admission
from modelsat.gateway.asgi import Scope
from modelsat.gateway.batching import RouterBusyError, RouterThread
from modelsat.gateway.breaker import Breaker
from modelsat.gateway.constraints import Demand
from modelsat.gateway.conversations import Conversations, Turn
from modelsat.gateway.decide import GatewayDecision, Unscored, find_eligible, named_choice, routed_choice
from modelsat.gateway.errors import GatewayError
from modelsat.gateway.headers import first
from modelsat.gateway.logs import log
from modelsat.gateway.model_names import Target, read_model_name
from modelsat.gateway.overrides import parse_policy, refused
from modelsat.gateway.records import Authenticator, Caller, Journal, Record
from modelsat.gateway.relay import Relay
from modelsat.gateway.request import ClientRequest
from modelsat.gateway.serving_state import ServingState
from modelsat.gateway.settings import GatewaySettings
from modelsat.gateway.telemetry import Telemetry
from modelsat.gateway.upstream import Upstream
from modelsat.routing.policy import RoutingPolicy
from modelsat.routing.router import Router
from modelsat.routing.scorer import Scorer
from modelsat.types import Candidate, Instruction, ScoreMatrix

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})


@dataclass(kw_only=True)
class Gateway:
    """All that requests share.

    Attributes:
        settings: How it behaves.
        state: Who can be asked; replaced as a whole.
        journal: Where records go.
        authenticator: Who may come in.
        client: Connections to endpoints.
        conversation_key: Of the hashes that tell conversations; up to 64 bytes.
        clock: Seconds that never go back.
        now: Seconds since 1970.
    """

    settings: GatewaySettings
    state: ServingState
    journal: Journal
    authenticator: Authenticator
    client: EndpointClient
    conversation_key: bytes = field(default_factory=lambda: token_bytes(32), repr=False)
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    telemetry: Telemetry = field(default_factory=Telemetry, init=False)
    draining: bool = field(default=False, init=False)
    scorer: Scorer | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        settings = self.settings
        self.engine = RouterThread(
            wait_ms=settings.batch_wait_ms,
            batch_size=settings.batch_size,
            observe=self.telemetry.batch.observe,
        )
        self.admission = Admission(
            places=settings.max_concurrent, queue=settings.max_queue, timeout_s=settings.queue_timeout_s
        )
        self.conversations = Conversations(
            ttl_s=settings.sticky_ttl_s, limit=settings.sticky_conversations, clock=self.clock
        )
        self._breakers: dict[tuple[str, str | None], Breaker] = {}
        self.upstream = Upstream(self.client, settings)
        self.relay = Relay(
            self.upstream, breaker=self.breaker, clock=self.clock, max_fallbacks=settings.max_fallbacks
        )
        self.telemetry.gauge(
            "requests_working", "Requests that are worked on", lambda: self.admission.working
        )
        self.telemetry.gauge(
            "requests_waiting", "Requests that wait for a place", lambda: self.admission.waiting
        )
        self.telemetry.gauge(
            "router_waiting", "Requests that wait for the router", lambda: self.engine.waiting
        )
        self.telemetry.gauge(
            "records_waiting", "Records that wait to be written", lambda: self.journal.backlog
        )
        self.telemetry.gauge(
            "records_lost",
            "Records that were not taken or could not be written",
            lambda: self.journal.dropped,
        )
        self.telemetry.gauge("ready", "Whether the router is loaded", lambda: float(self.ready))
        self.telemetry.breaker_states(self.breaker_states)

    @property
    def ready(self) -> bool:
        """Whether requests can be routed."""
        return self.state.router is not None and not self.draining

    async def load(self, load_scorer: Callable[[], Scorer]) -> None:
        """Load the router in its thread; requests by name are answered meanwhile.

        Raises:
            ModelSatError: It cannot be loaded.
        """
        scorer = await self.engine.run(load_scorer)
        self.scorer = scorer
        await self.serve(self.state)

    async def serve(self, state: ServingState) -> None:
        """Replace the serving state; requests in flight keep the one that they began with."""
        scorer = self.scorer
        if scorer is not None and state.router is None:
            score_cache_mb = self.settings.score_cache_mb
            state = await self.engine.run(lambda: state.with_scorer(scorer, score_cache_mb=score_cache_mb))
        self.state = state

    async def close(self) -> None:
        """Write all records, close all connections, let the router's thread end."""
        self.engine.close()
        await self.upstream.close()
        await self.journal.close()

    async def admit(self, scope: Scope, *, metrics: bool = False) -> Caller:
        """Let a request in.

        Args:
            scope: The request.
            metrics: Whether it wants to read metrics, which keys are made for.

        Raises:
            GatewayError: 401, 403 or 429, as the authenticator says; 403 for a foreign name of this machine where
                there are no keys, and for a key that was made for something else.
        """
        if self.authenticator.open:
            # A page in a browser may give this machine a name of its own and then read answers as from its site.
            host = (first(scope["headers"], b"host") or "").lower()
            name = host if host.endswith("]") else host.rpartition(":")[0] or host
            if name not in LOOPBACK:
                raise GatewayError(
                    "Without API keys the gateway answers to localhost only; make one with `modelsat keys create`.",
                    status=403,
                    code="host_not_allowed",
                )
        caller = await self.authenticator.admit(first(scope["headers"], b"authorization"), self.now())
        if caller.key_id is not None and caller.metrics != metrics:
            told = (
                "reads /metrics only"
                if caller.metrics
                else "may not read /metrics (modelsat keys create --metrics)"
            )
            raise GatewayError(
                f"API key {caller.key_id} {told}; use another key.", status=403, code="key_not_for_this"
            )
        return caller

    def breaker(self, candidate: Candidate) -> Breaker:
        """The breaker of a candidate at its endpoint; a new endpoint begins anew."""
        key = candidate.name, candidate.endpoint
        if key not in self._breakers:
            settings = self.settings
            self._breakers[key] = Breaker(
                window_s=settings.breaker_window_s,
                requests=settings.breaker_requests,
                error_rate=settings.breaker_error_rate,
                open_s=settings.breaker_open_s,
                clock=self.clock,
            )
        return self._breakers[key]

    def breaker_states(self) -> Iterable[tuple[str, str]]:
        """State of the breaker of every candidate that can be called."""
        candidates = [candidate for candidate in self.state.zoo.candidates if candidate.endpoint]
        return [(candidate.name, self.breaker(candidate).state) for candidate in candidates]

    def write(self, record: Record) -> bool:
        """Hand a record to the journal; False where it did not take it, which is counted."""
        taken = self.journal.record(record)
        if not taken:
            self.telemetry.dropped.labels(type(record).__name__.removesuffix("Record").lower()).inc()
        return taken

    async def choose(
        self, request: ClientRequest, caller: Caller, turn: Turn | None, state: ServingState
    ) -> GatewayDecision:
        """Decide who is to answer a request.

        Raises:
            GatewayError: Nobody can or may, or the router is not loaded yet.
        """
        target = read_model_name(request.model, state.zoo.names)
        demand = self.demand(request, caller)
        if target.candidate is not None:
            return named_choice(target.candidate, state, demand)
        self.check_candidates(state, request.overrides.candidates, "metadata.modelsat.candidates")
        self.check_tags(state, request.overrides.tags, caller, "metadata.modelsat.tags")
        policy = self.policy_of(target, request.overrides.policy, "metadata.modelsat.policy")
        eligible = find_eligible(state, demand, policy)
        scores = await self.scores(
            state, request.instruction, timeout_s=self.settings.route_timeout_ms / 1000
        )
        return routed_choice(
            state,
            eligible,
            policy,
            scores,
            earlier=self.conversations.answered_by(turn),
            margin=self.settings.sticky_margin,
        )

    def demand(self, request: ClientRequest, caller: Caller) -> Demand:
        """What a request asks of whoever answers it."""
        overrides = request.overrides
        return Demand(
            tokens=request.tokens,
            output_tokens=request.output_tokens,
            kind=request.task_kind,
            modalities=request.modalities,
            tools=request.tools,
            tags=self.required_tags(overrides.tags),
            candidates=overrides.candidates,
            allowed=caller.allowed_candidates,
            priced=caller.priced_only,
        )

    def required_tags(self, tags: Iterable[str]) -> tuple[str, ...]:
        """Tags that a request needs: the gateway's and its own."""
        return tuple(dict.fromkeys((*self.settings.require_tags, *tags)))

    def check_candidates(self, state: ServingState, names: Iterable[str] | None, param: str) -> None:
        """Refuse names that nobody has: a misspelt one would narrow the choice unnoticed.

        Raises:
            GatewayError: 400 that names the first one.
        """
        unknown = [name for name in names or () if name not in state.zoo]
        if unknown:
            raise refused(f"there is no candidate {unknown[0][:100]!r}; GET /v1/models lists them", param)

    def check_tags(self, state: ServingState, tags: Iterable[str], caller: Caller, param: str) -> None:
        """Refuse tags that none of the caller's candidates has, with those that they have.

        Raises:
            GatewayError: 400 that names the first one.
        """
        allowed = caller.allowed_candidates
        known = {
            tag for one in state.zoo.candidates if allowed is None or one.name in allowed for tag in one.tags
        }
        unknown = [tag for tag in tags if tag not in known]
        if unknown:
            listed = ", ".join(sorted(known)) or "no tags"
            raise refused(f"no candidate has the tag {unknown[0][:100]!r}; they have {listed}", param)

    def policy_of(self, target: Target, override: str | None, param: str) -> RoutingPolicy:
        """The policy of a request: what it says itself, else by the model's name, else the default one.

        Raises:
            GatewayError: 400 where it is malformed.
        """
        if override is not None:
            return parse_policy(override, param)
        return target.policy or self.settings.routing_policy

    async def scores(
        self, state: ServingState, instruction: Instruction | None, *, timeout_s: float
    ) -> ScoreMatrix | Unscored:
        """P(right) of every candidate, one row; or why the router gave none.

        Raises:
            GatewayError: 503 while the router is loading.
        """
        if state.router is None:
            raise GatewayError(
                "The router is still loading; try again in a moment, or name a candidate.",
                status=503,
                code="not_ready",
                retry_after=1.0,
            )
        scores = (
            "no_text" if instruction is None else await self._scores(state.router, instruction, timeout_s)
        )
        if not isinstance(scores, ScoreMatrix):
            self.telemetry.router_failures.labels(scores).inc()
        return scores

    async def _scores(
        self, router: Router, instruction: Instruction, timeout_s: float
    ) -> ScoreMatrix | Unscored:
        remembered = router.recall(instruction)
        if remembered is not None:
            self.telemetry.remembered.inc()
            return remembered
        try:
            scores = await self.engine.score(router, instruction, timeout_s=timeout_s)
        except RouterBusyError:
            return "busy"
        except TimeoutError:
            return "timeout"
        except ModelSatError as error:
            log("router refused", error=str(error))
        except Exception as error:
            log("router failed", error=type(error).__name__)
        else:
            if np.isfinite(scores.logits).all():
                return scores
            log("router failed", error="a score is not a number")
        return "error"
