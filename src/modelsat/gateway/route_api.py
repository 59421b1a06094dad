"""`/v1/route`: who would answer, and why; nobody is asked for an answer."""

import asyncio
import json
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from modelsat.errors import DataError
from modelsat.gateway.asgi import Scope
from modelsat.gateway.constraints import Demand, shown
from modelsat.gateway.context import new_decision_id, recorded_ranking
from modelsat.gateway.decide import Eligible, GatewayDecision, explained_choice, find_eligible, routed_choice
from modelsat.gateway.errors import GatewayError
from modelsat.gateway.gateway import Gateway
from modelsat.gateway.json_endpoint import read_form
from modelsat.gateway.model_names import Target
from modelsat.gateway.overrides import refused
from modelsat.gateway.records import Caller, DecisionRecord
from modelsat.gateway.request import IMAGE_TOKENS, clip
from modelsat.gateway.serving_state import ServingState
from modelsat.routing.batch import comparison_row
from modelsat.routing.policy import RoutingPolicy
from modelsat.routing.pricing import instruction_tokens, rounded_cost
from modelsat.routing.requests import guess_kind, read_messages
from modelsat.types import Instruction, RoutingDecision

BATCH = 256


class RouteForm(BaseModel):
    """One request for a decision: `text` or `messages`, and what `metadata.modelsat` may say."""

    model_config = ConfigDict(extra="forbid")
    text: str | None = None
    messages: list[dict[str, Any]] | None = None
    policy: str | None = None
    candidates: tuple[str, ...] | None = None
    tags: tuple[str, ...] = ()
    tools: bool = False
    max_tokens: Annotated[int, Field(ge=0, le=10**9)] | None = None


class RouteBatchForm(BaseModel):
    """Many requests for decisions."""

    model_config = ConfigDict(extra="forbid")
    requests: Annotated[list[RouteForm], Field(min_length=1, max_length=BATCH)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    instruction: Instruction
    tokens: int
    policy: RoutingPolicy
    eligible: Eligible


class RouteApi:
    """Makes decisions without carrying them out.

    Args:
        gateway: Its parts.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def route(self, scope: Scope, members: dict[str, Any], caller: Caller) -> object:
        """Decide one request, or a batch of them."""
        settings, state = self._gateway.settings, self._gateway.state
        batch = "requests" in members
        forms = read_form(members, RouteBatchForm).requests if batch else [read_form(members, RouteForm)]
        self._gateway.authenticator.count(caller, len(forms) - 1, self._gateway.now())
        asked = [
            self._read(form, caller, state, where=f"requests[{number}]: " if batch else "")
            for number, form in enumerate(forms)
        ]
        # Whoever sends many at once wants all of them scored, however long it takes.
        timeout_s = settings.deadline_s if batch else settings.route_timeout_ms / 1000
        async with self._gateway.admission.place():
            decisions = await asyncio.gather(
                *(self._decide(one, caller, state, timeout_s=timeout_s) for one in asked)
            )
        return {"decisions": decisions} if batch else decisions[0]

    def _read(self, form: RouteForm, caller: Caller, state: ServingState, *, where: str) -> _Asked:
        try:
            instruction, tokens = _instruction(form)
            self._gateway.check_candidates(state, form.candidates, "candidates")
            self._gateway.check_tags(state, form.tags, caller, "tags")
            policy = self._gateway.policy_of(Target(), form.policy, "policy")
            demand = Demand(
                tokens=tokens,
                output_tokens=form.max_tokens,
                kind=instruction.kind,
                modalities=frozenset({"image"}) if instruction.images else frozenset(),
                tools=form.tools,
                tags=self._gateway.required_tags(form.tags),
                candidates=form.candidates,
                allowed=caller.allowed_candidates,
                priced=caller.priced_only,
                relayed=False,
            )
            return _Asked(
                instruction=instruction,
                tokens=tokens,
                policy=policy,
                eligible=find_eligible(state, demand, policy),
            )
        except GatewayError as error:
            raise GatewayError(
                f"{where}{error}", status=error.status, code=error.code, param=error.param
            ) from None

    async def _decide(
        self, asked: _Asked, caller: Caller, state: ServingState, *, timeout_s: float
    ) -> dict[str, Any]:
        gateway = self._gateway
        started = gateway.clock()
        scores = await gateway.scores(state, asked.instruction, timeout_s=timeout_s)
        choice = routed_choice(state, asked.eligible, asked.policy, scores)
        record = DecisionRecord(
            id=new_decision_id(),
            at=gateway.now(),
            key_id=caller.key_id,
            policy=choice.policy,
            candidate=choice.candidate,
            score=choice.score,
            ranking=recorded_ranking(choice.ranking),
            route_ms=1000 * (gateway.clock() - started),
            request_tokens=asked.tokens,
            prompt=asked.instruction.text if gateway.settings.log_prompts else None,
            origin=choice.origin,
        )
        gateway.write(record)
        explained = explained_choice(choice, asked.policy, asked.instruction.text, state.zoo.currency)
        return _decision(record, choice, explained)


def _decision(record: DecisionRecord, choice: GatewayDecision, explained: RoutingDecision) -> dict[str, Any]:
    return {
        "id": record.id,
        "candidate": record.candidate,
        "probability": None if record.score is None else round(record.score, 4),
        "policy": record.policy,
        "origin": record.origin,
        "ranking": [
            {
                "candidate": line.candidate,
                "probability": round(line.probability, 4),
                "expected_cost": rounded_cost(line.expected_cost),
            }
            for line in record.ranking
        ],
        "removed": shown(choice.removed),
        "reasons": list(explained.reasons),
        "tasks": [{"task": task, "weight": weight} for task, weight in explained.tasks],
        "comparison": comparison_row(explained.comparison),
        "route_ms": round(record.route_ms, 1),
    }


def _instruction(form: RouteForm) -> tuple[Instruction, int]:
    """What is routed on, and an estimate of the request's tokens."""
    images: tuple[str, ...] = ()
    if form.text is not None and form.messages is None:
        text, tokens = form.text, instruction_tokens(form.text)
    elif form.messages is not None and form.text is None:
        try:
            text, images = read_messages(form.messages)
        except DataError as error:
            raise refused(str(error).rstrip("."), "messages") from None
        words = [message.get("content") for message in form.messages]
        tokens = IMAGE_TOKENS * len(images) + sum(
            instruction_tokens(content if isinstance(content, str) else json.dumps(content))
            for content in words
        )
    else:
        raise refused("give either 'text' or 'messages'", "text")
    if not text.strip():
        raise refused("the instruction is empty; give it at least one word", "text")
    return Instruction(id="request", text=clip(text), kind=guess_kind(text), images=images), tokens
