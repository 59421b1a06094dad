"""The gateway as an ASGI application: paths, and what begins and ends with it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from modelsat.gateway.api import Api
from modelsat.gateway.completions import Completions
from modelsat.gateway.errors import GatewayError
from modelsat.gateway.gateway import Gateway
from modelsat.gateway.health import Health
from modelsat.gateway.json_endpoint import Handler, JsonEndpoint
from modelsat.gateway.logs import log
from modelsat.gateway.openapi import openapi_document
from modelsat.gateway.route_api import RouteApi
from modelsat.gateway.zoo_watch import ZooWatch
from modelsat.routing.scorer import Scorer


def create_app(
    gateway: Gateway,
    load_scorer: Callable[[], Scorer],
    *,
    failed: Callable[[BaseException], None] = lambda error: None,
) -> Starlette:
    """Put an application around a gateway's parts.

    Args:
        gateway: The parts.
        load_scorer: Loads the router's weights, in a thread; until then only candidates by name are served.
        failed: Called where that fails.
    """
    api, health = Api(gateway), Health(gateway)

    async def load() -> None:
        try:
            await gateway.load(load_scorer)
        except Exception as error:
            log("router not loaded", level=logging.ERROR, error=str(error))
            failed(error)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(load())]
        if gateway.settings.zoo is not None:
            tasks.append(asyncio.create_task(ZooWatch(gateway, gateway.settings.zoo).run()))
        try:
            yield
        finally:
            gateway.draining = True
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await gateway.close()

    def json(path: str, handler: Handler, *, body: bool = True) -> JsonEndpoint:
        return JsonEndpoint(gateway, path, handler, body=body)

    async def openapi(request: Request) -> Response:
        return JSONResponse(openapi_document())

    routes = [
        Route("/v1/chat/completions", Completions(gateway, "chat/completions"), methods=["POST"]),
        Route("/v1/completions", Completions(gateway, "completions"), methods=["POST"]),
        Route("/v1/route", json("/v1/route", RouteApi(gateway).route), methods=["POST"]),
        Route("/v1/feedback", json("/v1/feedback", api.feedback), methods=["POST"]),
        Route("/v1/models", json("/v1/models", api.models, body=False), methods=["GET"]),
        Route("/v1/models/{name:path}", json("/v1/models/{name}", api.model, body=False), methods=["GET"]),
        Route("/healthz", health.alive),
        Route("/readyz", health.ready),
        Route("/metrics", health.metrics),
        Route("/openapi.json", openapi),
    ]
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: _unknown_path})


async def _unknown_path(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    told = GatewayError(
        f"{request.method} {request.url.path[:100]} is not served; the paths are in /openapi.json.",
        status=error.status_code,
        code="not_found" if error.status_code == 404 else "method_not_allowed",
    )
    return JSONResponse(told.body(), status_code=told.status, headers=error.headers)
