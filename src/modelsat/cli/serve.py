"""`modelsat serve`: the router behind an OpenAI-compatible API."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelsat.cli.keys import StoreOption
from modelsat.cli.output import progress_bars, say

if TYPE_CHECKING:
    from modelsat.gateway.settings import GatewaySettings
    from modelsat.routing.scorer import Scorer

EXAMPLES = (
    "Examples: modelsat serve --zoo zoo.toml | modelsat serve --zoo zoo.toml --policy cheapest-above=0.6 --port 9000 "
    "| modelsat serve --config gateway.toml"
)


def serve(
    zoo: Annotated[
        Path | None,
        typer.Option("--zoo", metavar="FILE", help="Zoo file with the endpoints.", show_default=False),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", metavar="FILE", help="Settings (TOML); options go before it.", show_default=False
        ),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(
            help="What model `auto` prefers: best, cheapest-above=0.6 or value=0.01.", show_default=False
        ),
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.", show_default="8000")] = None,
    shadow: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Route and record, but let this one answer.", show_default=False),
    ] = None,
    route_timeout_ms: Annotated[
        float | None,
        typer.Option(help="Later than this, the best single candidate answers.", show_default="1000"),
    ] = None,
    log_prompts: Annotated[
        bool | None,
        typer.Option("--log-prompts", help="Keep what users write in logs and store.", show_default=False),
    ] = None,
    store: StoreOption = None,
    router: Annotated[
        str | None,
        typer.Option(
            help="accurate, fast or fastest (students of it), cascade, or a checkpoint folder.",
            show_default="accurate",
        ),
    ] = None,
) -> None:
    """Serve an OpenAI-compatible API that answers each request with the candidate most likely to get it right."""
    from modelsat.gateway.settings import load_settings

    settings = load_settings(
        config,
        {
            "zoo": zoo,
            "policy": policy,
            "host": host,
            "port": port,
            "shadow": shadow,
            "route_timeout_ms": route_timeout_ms,
            "log_prompts": log_prompts,
            "store": store,
            "router": router,
        },
    )
    _serve(settings)


def _serve(settings: "GatewaySettings") -> None:
    from modelsat.capability.zoo import ModelZoo
    from modelsat.endpoints.client import EndpointClient
    from modelsat.gateway.auth import KeyAuthenticator
    from modelsat.gateway.gateway import Gateway
    from modelsat.gateway.keys import count_keys
    from modelsat.gateway.serving import is_loopback, log_as_json, require_loopback, run
    from modelsat.gateway.serving_state import make_serving_state
    from modelsat.gateway.store.database import store_url, using_store
    from modelsat.gateway.store.journal import StoreJournal
    from modelsat.gateway.store.secret import store_secret

    state = make_serving_state(
        ModelZoo.shipped() if settings.zoo is None else ModelZoo.load(settings.zoo), settings
    )

    def load_scorer() -> "Scorer":
        from modelsat.routing.load import load_tuned

        with progress_bars(lines=True) as advance:
            return load_tuned(settings.router, runtime=settings.runtime, progress=advance)

    with using_store(store_url(settings.store)) as engine:
        made, _ = count_keys(engine)
        if not made:
            require_loopback(settings.host)
            say(
                "warning: no API keys: everyone on this machine may use the candidates (`modelsat keys create`)."
            )
        for warning in state.price_warnings(settings.routing_policy):
            say(f"warning: {warning}")
        authenticator = KeyAuthenticator(engine, open_without_keys=is_loopback(settings.host))
        gateway = Gateway(
            settings=settings,
            state=state,
            journal=StoreJournal(engine),
            authenticator=authenticator,
            client=EndpointClient(connect_timeout_s=settings.connect_timeout_s, proxies=False),
            conversation_key=store_secret(engine, "conversations"),
        )
        log_as_json()
        say(
            f"http://{settings.host}:{settings.port}/v1: {len(state.zoo)} candidates, policy {settings.policy}."
        )
        authenticator.start()
        try:
            run(gateway, load_scorer)
        finally:
            authenticator.close()
