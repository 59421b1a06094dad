"""`modelsat keys`: who may use the gateway, how often, and for how much money."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelsat.cli.output import CommandGroup, print_json, print_table, say
from modelsat.errors import DataError

if TYPE_CHECKING:
    from modelsat.gateway.keys import ApiKey

app = typer.Typer(
    cls=CommandGroup, no_args_is_help=True, help="Make, list and revoke the gateway's API keys."
)

StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="URL",
        help="SQLite file or database URL; by default DATABASE_URL, else a file in your data folder.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command(
    epilog="Example: modelsat keys create chat-app --rpm 60 --budget 20 --candidate gemma-7b --candidate Yi-6B-Chat"
)
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the key is for.")],
    rpm: Annotated[
        int | None, typer.Option("--rpm", help="Most requests in any 60 seconds.", show_default=False)
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option(
            "--budget",
            help="Most money in a calendar month (UTC), in the unit of the zoo's prices.",
            show_default=False,
        ),
    ] = None,
    candidate: Annotated[
        list[str] | None,
        typer.Option(
            "--candidate", help="A candidate it may use (default: all); repeat.", show_default=False
        ),
    ] = None,
    metrics: Annotated[
        bool, typer.Option("--metrics", help="A key that reads /metrics, and does nothing else.")
    ] = False,
    zoo: Annotated[
        Path | None,
        typer.Option("--zoo", metavar="FILE", help="Check candidates against this zoo.", show_default=False),
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key. It is shown once: the store keeps a hash of it."""
    from modelsat.gateway.keys import create_key
    from modelsat.gateway.store.database import store_url, using_store

    if zoo is not None:
        from modelsat.capability.zoo import ModelZoo

        ModelZoo.load(zoo).select(candidate or [])
    with using_store(store_url(store)) as engine:
        made, key = create_key(
            engine,
            name=name,
            now=time.time(),
            requests_per_minute=rpm,
            monthly_budget=budget,
            candidates=candidate or None,
            metrics=metrics,
        )
    if as_json:
        print_json({"key": key, **_object(made)})
        return
    typer.echo(key)
    say(f"Key {made.id} ({made.name}). Copy it now: it is not shown again.")


@app.command("list", epilog="Example: modelsat keys list --json")
def list_(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """List the keys, revoked ones too, with what each has spent this month."""
    from modelsat.gateway.keys import list_keys, spent_this_month
    from modelsat.gateway.store.database import store_url, using_store
    from modelsat.routing.pricing import format_money

    with using_store(store_url(store)) as engine:
        keys, spent = list_keys(engine), spent_this_month(engine, time.time())
    if as_json:
        print_json([_object(key) | {"spent_this_month": spent.get(key.id, 0.0)} for key in keys])
        return
    print_table(
        ["id", "name", "made", "revoked", "per minute", "budget", "spent", "candidates"],
        [
            (
                key.id,
                key.name,
                _date(key.created_at),
                "-" if key.revoked_at is None else _date(key.revoked_at),
                "any" if key.requests_per_minute is None else key.requests_per_minute,
                "any" if key.monthly_budget is None else format_money(key.monthly_budget, ""),
                format_money(spent.get(key.id, 0.0), ""),
                "metrics only" if key.metrics else ", ".join(key.candidates or ["all"]),
            )
            for key in keys
        ],
        numeric=["per minute", "budget", "spent"],
    )


@app.command(epilog="Example: modelsat keys revoke chat-app")
def revoke(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Its id, or its name.")],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Revoke a key for good; a running gateway refuses it within a second."""
    from modelsat.gateway.keys import key_id, revoke_key
    from modelsat.gateway.store.database import store_url, using_store

    identity = key_id(key)
    with using_store(store_url(store)) as engine:
        revoked = revoke_key(engine, identity or key, now=time.time())
    if as_json:
        print_json(_object(revoked))
    else:
        say(f"Key {revoked.id} ({revoked.name}) is revoked.")


def find_key(keys: "tuple[ApiKey, ...]", id_or_name: str) -> "ApiKey":
    """The key with this id, else the latest with this name.

    Raises:
        DataError: There is none.
    """
    for key in keys:
        if key.id == id_or_name:
            return key
    for key in reversed(keys):
        if key.name == id_or_name:
            return key
    raise DataError(f"no key {id_or_name!r}; `modelsat keys list` shows them all.")


def _object(key: "ApiKey") -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(key)


def _date(moment: float) -> str:
    from modelsat.gateway.report import iso_time

    return iso_time(moment)[:10]
