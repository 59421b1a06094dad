"""`modelsat cache`: where the cache is, how large it is, and what builds it in advance."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from modelsat.cli.output import CommandGroup, confirm_deletion, print_json, print_table, progress_bars, say
from modelsat.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from modelsat.cache import CachePart
    from modelsat.onnx.sizes import Precision

app = typer.Typer(cls=CommandGroup, help="Show, move, clear or build the cache.")
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@app.callback(invoke_without_command=True)
def cache(context: typer.Context, as_json: JsonOption = False) -> None:
    """Show, move, clear or build the cache."""
    if context.invoked_subcommand is None:
        show(as_json)


@app.command()
def show(as_json: JsonOption = False) -> None:
    """Show where the cache is, what it holds and how large it is."""
    from modelsat.cache import cache_folder, cache_parts

    parts = cache_parts()
    if as_json:
        print_json(
            {
                "folder": str(cache_folder()),
                "size": _size(parts),
                "parts": [asdict(part) for part in parts],
            }
        )
        return
    rows = [(part.name, _megabytes(part.size), f"{part.files:,}", part.purpose) for part in parts]
    rows.append(("in all", _megabytes(_size(parts)), "", ""))
    print_table(
        ("part", "MB", "files", "what it holds"), rows, title=str(cache_folder()), numeric=("MB", "files")
    )


@app.command(epilog="Example: modelsat cache clear engines")
def clear(
    part: Annotated[list[str] | None, typer.Argument(metavar="[PART]...", help="Parts to delete.")] = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Delete the cache, or parts of it. What is needed is made again."""
    from modelsat.cache import cache_folder, cache_parts, clear_cache, require_parts

    names = require_parts(part or ())
    found = [known for known in cache_parts() if known.name in names]
    what = f"{', '.join(known.name for known in found) or 'nothing'} ({_megabytes(_size(found))} MB)"
    if found and not yes:
        confirm_deletion(f"This deletes {what} in {cache_folder()}.")
    deleted = clear_cache(names)
    if as_json:
        print_json({"folder": str(cache_folder()), "deleted": [asdict(known) for known in deleted]})
    else:
        say(f"{cache_folder()}: deleted {what}.")


@app.command(epilog="Example: modelsat cache move /data/modelsat-cache")
def move(
    target: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A folder that does not exist or is empty.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Move the cache to another folder or disk, and leave a link to it where it was."""
    from modelsat.cache import VARIABLE, cache_folder, move_cache

    source = cache_folder()
    moved = move_cache(target)
    linked = cache_folder().resolve() == target.resolve()
    if as_json:
        print_json(
            {"from": str(source), "to": str(target), "linked": linked, "moved": [asdict(p) for p in moved]}
        )
        return
    say(f"{target}: {_megabytes(_size(moved))} MB moved from {source}.")
    if not linked:
        say(f"Set {VARIABLE}={target.absolute()} from now on.")


@app.command(
    epilog="Example, in a Dockerfile: RUN modelsat cache build --to /opt/cache, then ENV MODELSAT_CACHE=/opt/cache"
)
def build(
    to: Annotated[
        Path | None,
        typer.Option(
            "--to", metavar="FOLDER", help="The cache to fill; your own by default.", show_default=False
        ),
    ] = None,
    router: Annotated[
        list[str] | None,
        typer.Option(
            "--router",
            help="accurate (the default), fast, fastest, cascade or a checkpoint folder; repeatable.",
            show_default=False,
        ),
    ] = None,
    precision: Annotated[
        Literal["auto", "fp32", "int8", "both"],
        typer.Option(help="Of the engines: auto is what this processor takes; both fits an image for any."),
    ] = "auto",
    as_json: JsonOption = False,
) -> None:
    """Build what routing otherwise builds on first use, e.g. while an image is made whose files are read-only later."""
    from modelsat.cache import VARIABLE, cache_folder
    from modelsat.onnx.load import build_engines
    from modelsat.onnx.session import best_precision
    from modelsat.routing.load import DEFAULT_ROUTER, checkpoint_folders
    from modelsat.scoring.checkpoint import load_checkpoint

    if to is not None:
        os.environ[VARIABLE] = str(to.absolute())
    cache_folder().mkdir(parents=True, exist_ok=True)
    folders = dict.fromkeys(path for name in router or [DEFAULT_ROUTER] for path in checkpoint_folders(name))
    precisions: dict[str, tuple[Precision, ...]] = {
        "auto": (best_precision(),),
        "fp32": ("fp32",),
        "int8": ("int8",),
        "both": ("fp32", "int8"),
    }
    engines: set[Path] = set()
    with progress_bars() as advance:
        for folder in folders:
            checkpoint = load_checkpoint(folder)
            for kind in precisions[precision]:
                for engine in build_engines(checkpoint, precision=kind, progress=advance):
                    if isinstance(engine, bytes):
                        raise DataError(
                            f"{cache_folder()}: not all engines could be written; choose another folder."
                        )
                    engines.add(engine)
    built = sorted(engines)
    if as_json:
        print_json({"folder": str(cache_folder()), "engines": [str(path) for path in built]})
        return
    size = sum(path.stat().st_size for path in built)
    say(
        f"{cache_folder()}: {len(built)} engines, {_megabytes(size)} MB. Route with {VARIABLE}={cache_folder()}."
    )


def _size(parts: "Iterable[CachePart]") -> int:
    return sum(part.size for part in parts)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f}"
