"""What all APIs of the gateway's own have in common: who may ask, JSON in, JSON out, errors in OpenAI's format."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from pydantic import BaseModel

from modelsat.errors import DataError
from modelsat.gateway.asgi import ClientLeft, Receive, Reply, Scope, Send, receive_json, while_connected
from modelsat.gateway.errors import GatewayError
from modelsat.gateway.gateway import Gateway
from modelsat.gateway.logs import logger
from modelsat.gateway.overrides import refused
from modelsat.gateway.records import Caller
from modelsat.records.files import parse_object

Handler = Callable[[Scope, dict[str, Any], Caller], Awaitable[object]]
Form = TypeVar("Form", bound=BaseModel)


class JsonEndpoint:
    """One API as an ASGI application.

    Args:
        gateway: Its parts.
        path: For the metrics.
        handler: Makes the answer.
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
            if self._body:
                members = await self._members(scope, receive)
                answer = await while_connected(receive, self._call(scope, members, caller))
            else:
                answer = await self._handler(scope, {}, caller)
            await reply.json(answer)
        except ClientLeft:
            return
        except GatewayError as error:
            await reply.error(error)
        except Exception:
            logger.exception("fault")
            await reply.error(gateway_fault())
        finally:
            self._gateway.telemetry.requests.labels(self._path, str(reply.status or 499)).inc()

    async def _call(self, scope: Scope, members: dict[str, Any], caller: Caller) -> object:
        return await self._handler(scope, members, caller)

    async def _members(self, scope: Scope, receive: Receive) -> dict[str, Any]:
        raw = await receive_json(scope, receive, limit=self._gateway.settings.max_body_bytes)
        try:
            members = json.loads(raw.decode())
        except (ValueError, RecursionError):
            raise refused("The request's body is not JSON in UTF-8", code="invalid_json") from None
        if not isinstance(members, dict):
            raise refused("The request's body must be a JSON object", code="invalid_json")
        return members


def read_form(members: dict[str, Any], form: type[Form]) -> Form:
    """Members of a body, checked.

    Raises:
        GatewayError: 400 that names the field.
    """
    try:
        return parse_object(members, form, "The request's body")
    except DataError as error:
        raise refused(str(error).rstrip(".")) from None


def gateway_fault() -> GatewayError:
    """What a client is told of a fault of the gateway's own."""
    return GatewayError("The gateway failed; its log knows more.", status=500, code="gateway_fault")
