"""How the gateway is: for whoever starts, restarts and watches it."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from modelsat.gateway.errors import GatewayError
from modelsat.gateway.gateway import Gateway
from modelsat.gateway.telemetry import CONTENT_TYPE


class Health:
    """Answers about the gateway itself.

    Args:
        gateway: Its parts.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def alive(self, request: Request) -> Response:
        """The process answers."""
        return JSONResponse({"status": "ok"})

    async def ready(self, request: Request) -> Response:
        """Requests can be routed: 503 while the router is loading and while the gateway stops."""
        gateway = self._gateway
        state = "ready" if gateway.ready else "draining" if gateway.draining else "loading"
        return JSONResponse({"status": state}, status_code=200 if gateway.ready else 503)

    async def metrics(self, request: Request) -> Response:
        """All metrics, as Prometheus reads them."""
        try:
            if not self._gateway.settings.open_metrics:
                await self._gateway.admit(request.scope, metrics=True)
        except GatewayError as error:
            return JSONResponse(error.body(), status_code=error.status, headers=error.headers())
        return Response(self._gateway.telemetry.exposition(), media_type=CONTENT_TYPE)
