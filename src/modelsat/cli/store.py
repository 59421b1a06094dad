"""`modelsat store`: what the gateway remembers, and for how long."""

import time
from typing import Annotated

import typer

from modelsat.cli.keys import JsonOption, StoreOption
from modelsat.cli.output import CommandGroup, print_json, progress, say

app = typer.Typer(cls=CommandGroup, no_args_is_help=True, help="Look after the gateway's store.")


@app.callback()
def store() -> None:
    """Look after the gateway's store."""


@app.command(epilog="Example: modelsat store prune --before 90d")
def prune(
    before: Annotated[
        str, typer.Option(help="Delete what is older: 24h, 90d, 12w, or a date such as 2026-03-31 (UTC).")
    ],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete old decisions, usage and feedback, prompts included.

    The gateway may run meanwhile. Keys and spending stay.
    """
    from modelsat.cli.report import moment
    from modelsat.gateway.report import iso_time
    from modelsat.gateway.store.database import store_url, using_store
    from modelsat.gateway.store.retention import prune

    limit = moment(before, time.time())
    with using_store(store_url(store)) as engine, progress("Deleting") as advance:
        deleted = prune(engine, before=limit, progress=advance)
    if as_json:
        print_json({"before": iso_time(limit), "deleted": deleted})
        return
    counts = ", ".join(f"{count:,} {name}" for name, count in deleted.items())
    say(f"Deleted from before {iso_time(limit)}: {counts}.")
