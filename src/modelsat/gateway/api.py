"""What the gateway answers itself: models, decisions without an answer, and feedback."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from modelsat.errors import DataError
from modelsat.gateway.asgi import ClientLeft, Receive, Reply, Scope, Send, receive_json
from modelsat.gateway.constraints import Demand
from modelsat.gateway.decide import find_eligible, reasons_of, routed_choice
from modelsat.gateway.errors import GatewayError
from modelsat.gateway.exchange import new_decision_id, recorded_ranking
from modelsat.gateway.gateway import Gateway
from modelsat.gateway.logs import logger
from modelsat.gateway.model_names import AUTO, Target
from modelsat.gateway.records import Caller, DecisionRecord, FeedbackRecord
from modelsat.gateway.request import clip, parse_policy, refused
from modelsat.records.files import parse_object
from modelsat.routing.messages import read_messages
from modelsat.routing.pricing import instruction_tokens
from modelsat.types import Instruction

BATCH = 256
Form = TypeVar("Form", bound=BaseModel)
Handler = Callable[[Scope, dict[str, Any], Caller], Awaitable[object]]


class RouteForm(BaseModel):
    """One request for a decision."""

    model_config = ConfigDict(extra="forbid")
    text: str | None = None
    messages: list[dict[str, Any]] | None = None
    policy: str | None = None
    candidates: tuple[str, ...] | None = None
    tags: tuple[str, ...] = ()
    max_tokens: Annotated[int, Field(ge=0)] | None = None


class RouteBatchForm(BaseModel):
    """Many requests for decisions."""

    model_config = ConfigDict(extra="forbid")
    requests: Annotated[list[RouteForm], Field(min_length=1, max_length=BATCH)]


class FeedbackForm(BaseModel):
    """What became of one decision."""

    model_config = ConfigDict(extra="forbid")
    decision_id: Annotated[str, Field(min_length=1, max_length=100)]
    score: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class JsonEndpoint:
    """An API of the gateway's own, as an ASGI application.

    Args:
        gateway: Its parts.
        path: For the metrics.
        handler: Makes the answer; a value for JSON, or bytes as they are.
        body: Whether requests have one.
    """

    def __init__(self, gateway: Gateway, path: str, handler: Handler, *, body: bool) -> None:
        self._gateway = gateway
        self._path = path
        self._handler = handler
        self._body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        reply = Reply(send)
        try:
            caller = await self._gateway.admit(scope)
            members = await self._members(scope, receive) if self._body else {}
            await reply.json(await self._handler(scope, members, caller))
        except ClientLeft:
            return
        except GatewayError as error:
            await reply.error(error)
        except Exception:
            logger.exception("fault")
            await reply.error(
                GatewayError("The gateway failed; its log knows more.", status=500, code="gateway_fault")
            )
        finally:
            self._gateway.telemetry.requests.labels(self._path, str(reply.status or 499)).inc()

    async def _members(self, scope: Scope, receive: Receive) -> dict[str, Any]:
        raw = await receive_json(scope, receive, limit=self._gateway.settings.max_body_bytes)
        try:
            members = json.loads(raw)
        except (ValueError, RecursionError):
            raise refused("The request's body is not JSON", code="invalid_json") from None
        if not isinstance(members, dict):
            raise refused("The request's body must be a JSON object", code="invalid_json")
        return members


class Api:
    """The gateway's own answers.

    Args:
        gateway: Its parts.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def models(self, scope: Scope, members: dict[str, Any], caller: Caller) -> object:
        """What may be written as `model`."""
        return {"object": "list", "data": [_model(name) for name in self._names(caller)]}

    async def model(self, scope: Scope, members: dict[str, Any], caller: Caller) -> object:
        """One of them."""
        name = scope["path_params"]["name"]
        if name not in self._names(caller):
            raise GatewayError(
                f"There is no model {name[:100]!r}; GET /v1/models lists them.",
                status=404,
                code="model_not_found",
                param="model",
            )
        return _model(name)

    async def route(self, scope: Scope, members: dict[str, Any], caller: Caller) -> object:
        """Decide, and say why; nobody is asked for an answer."""
        if "requests" in members:
            batch = _read(members, RouteBatchForm).requests
            async with self._gateway.admission.place():
                return {"decisions": await asyncio.gather(*(self._route(form, caller) for form in batch))}
        async with self._gateway.admission.place():
            return await self._route(_read(members, RouteForm), caller)

    async def feedback(self, scope: Scope, members: dict[str, Any], caller: Caller) -> object:
        """Note what became of a decision."""
        gateway, form = self._gateway, _read(members, FeedbackForm)
        if not await gateway.journal.known_decision(form.decision_id, caller.key_id):
            raise GatewayError(
                "There is no such decision; send the x-modelsat-decision-id of an answer to this API key.",
                status=404,
                code="decision_not_found",
                param="decision_id",
            )
        record = FeedbackRecord(decision_id=form.decision_id, at=gateway.now(), score=form.score)
        if not gateway.journal.record(record):
            gateway.telemetry.dropped.labels("feedback").inc()
            raise GatewayError(
                "The feedback could not be noted; try again.",
                status=503,
                code="journal_busy",
                retry_after=1.0,
            )
        return {"decision_id": form.decision_id, "score": form.score}

    async def _route(self, form: RouteForm, caller: Caller) -> dict[str, Any]:
        gateway, fleet = self._gateway, self._gateway.fleet
        started = gateway.clock()
        instruction = _instruction(form)
        tokens = instruction_tokens(form.text or json.dumps(form.messages))
        demand = Demand(
            tokens=tokens,
            output_tokens=form.max_tokens,
            modalities=frozenset({"image"}) if instruction.images else frozenset(),
            tags=tuple(dict.fromkeys((*gateway.settings.require_tags, *form.tags))),
            candidates=form.candidates,
            allowed=caller.allowed_candidates,
            relayed=False,
        )
        policy = parse_policy(form.policy, "policy") if form.policy else gateway.policy_of(Target(), None)
        eligible = find_eligible(fleet, demand, policy)
        scores = await gateway.scores(fleet, instruction)
        choice = routed_choice(fleet, eligible, policy, scores)
        record = DecisionRecord(
            id=new_decision_id(),
            at=gateway.now(),
            key_id=caller.key_id,
            policy=choice.policy,
            candidate=choice.candidate,
            score=choice.score,
            ranking=recorded_ranking(choice.ranking),
            route_ms=1000 * (gateway.clock() - started),
            request_tokens=tokens,
            prompt=instruction.text if gateway.settings.log_prompts else None,
            origin=choice.origin,
        )
        gateway.write(record)
        return {
            "id": record.id,
            "candidate": choice.candidate,
            "probability": choice.score,
            "policy": choice.policy,
            "ranking": [
                {
                    "candidate": ranked.candidate,
                    "probability": ranked.probability,
                    "expected_cost": ranked.expected_price,
                }
                for ranked in choice.ranking
            ],
            "removed": dict(choice.removed),
            "reasons": list(reasons_of(choice, fleet, policy, instruction.text)),
            "tasks": [{"task": task, "weight": weight} for task, weight in choice.tasks],
            "route_ms": round(record.route_ms, 1),
        }

    def _names(self, caller: Caller) -> list[str]:
        zoo, allowed = self._gateway.fleet.zoo, caller.allowed_candidates
        candidates = [
            candidate.name
            for candidate in zoo.candidates
            if candidate.endpoint is not None and (allowed is None or candidate.name in allowed)
        ]
        return [AUTO, *candidates]


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "modelsat"}


def _read(members: dict[str, Any], form: type[Form]) -> Form:
    try:
        return parse_object(members, form, "The request's body")
    except DataError as error:
        raise refused(str(error).rstrip(".")) from None


def _instruction(form: RouteForm) -> Instruction:
    if (form.text is None) == (form.messages is None):
        raise refused("give either 'text' or 'messages'", "text")
    try:
        text, images = (form.text, ()) if form.messages is None else read_messages(form.messages)
    except DataError as error:
        raise refused(str(error).rstrip("."), "messages") from None
    if not text or not text.strip():
        raise refused("the instruction is empty; give it at least one word", "text")
    return Instruction(id="request", text=clip(text), images=images)
