"""`/v1/chat/completions` and `/v1/completions`: decide, carry out, close the books."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from modelsat.gateway.accounting import record_completion
from modelsat.gateway.asgi import ClientLeft, Receive, Reply, Scope, Send, receive_json, while_connected
from modelsat.gateway.body import read_body
from modelsat.gateway.context import CLIENT_LEFT, RequestContext
from modelsat.gateway.conversations import Turn, read_turn
from modelsat.gateway.decide import named_choice
from modelsat.gateway.errors import GatewayError
from modelsat.gateway.gateway import Gateway
from modelsat.gateway.json_endpoint import gateway_fault
from modelsat.gateway.logs import logger
from modelsat.gateway.relay import BrokenAnswerError
from modelsat.gateway.request import ClientRequest, Kind, read_request
from modelsat.gateway.serving_state import ServingState


class Completions:
    """One of the two APIs, as an ASGI application.

    Args:
        gateway: Its parts.
        kind: Which API, as the end of its path.
    """

    def __init__(self, gateway: Gateway, kind: Kind) -> None:
        self._gateway = gateway
        self._kind: Kind = kind

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        reply = Reply(send)
        context = RequestContext(started=self._gateway.clock())
        try:
            context.caller = await self._gateway.admit(scope)
            raw = await receive_json(scope, receive, limit=self._gateway.settings.max_body_bytes)
            context.request = read_request(self._kind, read_body(raw), scope["headers"])
            await while_connected(receive, self._within_deadline(self._answer(scope, context, reply)))
        except ClientLeft:
            if context.meter is not None and context.meter.done:
                context.complete = True
            else:
                context.status = CLIENT_LEFT
        except asyncio.CancelledError:
            # The server is being stopped, and has waited long enough.
            context.status = CLIENT_LEFT
            raise
        except GatewayError as error:
            await self._fail(error, context, reply)
        except BrokenAnswerError:
            await self._fail(_broken(context), context, reply)
        except Exception:
            logger.exception("fault", extra={"modelsat_fields": {"decision": context.id}})
            await self._fail(gateway_fault(), context, reply)
        finally:
            record_completion(self._gateway, context, path=f"/v1/{self._kind}")

    async def _within_deadline(self, work: Coroutine[Any, Any, None]) -> None:
        deadline_s = self._gateway.settings.deadline_s
        try:
            async with asyncio.timeout(deadline_s):
                await work
        except TimeoutError:
            raise GatewayError(
                f"No whole answer within {deadline_s:g} s.", status=504, code="deadline_exceeded"
            ) from None

    async def _answer(self, scope: Scope, context: RequestContext, reply: Reply) -> None:
        gateway, request = self._gateway, context.request
        assert request is not None
        async with gateway.admission.place():
            state = gateway.state
            turn = None
            if gateway.settings.sticky:
                owner = f"{context.caller.key_id} {request.user}"
                turn = read_turn(request.messages, owner, key=gateway.conversation_key)
            order = await self._decide(context, request, turn, state)
            try:
                await gateway.relay.forward(
                    context, request, order, state=state, headers=scope["headers"], reply=reply
                )
            finally:
                # Clients of streams leave at the last event, and go on with what they were told.
                if context.shadow is None and 200 <= context.answer_status < 300:
                    gateway.conversations.remember(turn, context.candidate)

    async def _decide(
        self, context: RequestContext, request: ClientRequest, turn: Turn | None, state: ServingState
    ) -> tuple[str, ...]:
        """Make and note the decision; the candidates to try, in order."""
        gateway = self._gateway
        choice = await gateway.choose(request, context.caller, turn, state)
        order, shadow = choice.order, gateway.settings.shadow
        if shadow is not None and choice.origin != "named":
            # What a key may not have, it may not have in shadow mode either, nor be told its name.
            allowed = context.caller.allowed_candidates
            if allowed is not None and shadow not in allowed:
                raise GatewayError(
                    "In shadow mode one candidate answers everything, and this API key may not use it.",
                    status=403,
                    code="model_not_allowed",
                )
            order = named_choice(shadow, state, gateway.demand(request, context.caller)).order
            context.shadow = shadow
        context.choice, context.state = choice, state
        context.conversation = None if turn is None else turn.conversation
        context.route_ms = 1000 * (gateway.clock() - context.started)
        context.candidate = order[0]
        gateway.write(context.decision_record(at=gateway.now(), keep_prompt=gateway.settings.log_prompts))
        return order

    async def _fail(self, error: GatewayError, context: RequestContext, reply: Reply) -> None:
        context.status, context.error = error.status, error.code
        if reply.status is None:
            await reply.error(error, context.headers())
        else:
            await reply.broken(error)


def _broken(context: RequestContext) -> GatewayError:
    name, reason = context.failures[-1]
    return GatewayError(f"{name} {reason}.", status=context.status, code="answer_broken_off")
