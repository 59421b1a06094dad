"""`modelsat store`: what the gateway remembers, and for how long."""

import time
from typing import Annotated

import typer

from modelsat.cli.keys import JsonOption, StoreOption
from modelsat.cli.output import CommandGroup, confirm_deletion, print_json, progress_bars, say

app = typer.Typer(cls=CommandGroup, no_args_is_help=True, help="Look after the gateway's store.")


@app.callback()
def store() -> None:
    """Look after the gateway's store."""


@app.command(epilog="Example: modelsat store prune --before 90d")
def prune(
    before: Annotated[
        str,
        typer.Option(
            help="Delete what is older: 24h, 90d, 12w, 6months, or a date such as 2026-03-31 (UTC)."
        ),
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.")] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete old decisions, usage and feedback, prompts included, after asking.

    The gateway may run meanwhile. Keys and spending stay.
    """
    from modelsat.cli.report import moment
    from modelsat.gateway.report import iso_time
    from modelsat.gateway.store.database import store_url, using_store
    from modelsat.gateway.store.retention import count_before, prune

    limit = moment(before, time.time())
    with using_store(store_url(store), must_exist=True) as engine:
        found = count_before(engine, limit)
        if any(found.values()) and not yes:
            confirm_deletion(f"This deletes {_listed(found)} from before {iso_time(limit)} for good.")
        with progress_bars() as advance:
            deleted = prune(engine, before=limit, progress=advance)
    if as_json:
        print_json({"before": iso_time(limit), "deleted": deleted})
        return
    say(f"Deleted from before {iso_time(limit)}: {_listed(deleted)}.")


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())
