"""`modelsat exam run`: candidates sit the exam on their live endpoints."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelsat.cli.exam_report import report, show_plan
from modelsat.cli.exam_setup import choose_candidates, choose_questions, require_prices
from modelsat.cli.output import INTERRUPTED, progress_bars, say
from modelsat.cli.settings import RecipeOption, SetOption, read_settings

if TYPE_CHECKING:
    from modelsat.exam.session import ExamResult
    from modelsat.progress import Progress

EXAMPLES = """
Examples:

  modelsat exam run --candidate our-model --base-url http://localhost:8000/v1 --register zoo.toml

  modelsat exam run --candidate gpt --base-url https://api.openai.com/v1 --model gpt-4o-mini
  --api-key-env OPENAI_API_KEY --input-price 0.15 --output-price 0.6 --max-cost 2 --style think

  modelsat exam run --zoo zoo.toml --adaptive --register zoo.toml --set concurrency=4

An interrupted exam resumes with the same command and --resume.
"""
# Options of 0.3 that are settings now.
FORMER = {
    "--api": "api",
    "--max-tokens": "max_tokens",
    "--param": "params.",
    "--task": "only",
    "--tasks": "tasks",
    "--shots": "shots",
    "--max-items": "max_items",
    "--concurrency": "concurrency",
    "--timeout": "retries.timeout_s",
    "--attempts": "retries.attempts",
    "--skip-refused": "skip_refused=true",
    "--circle": "circle=true",
    "--hard-below": "hard_below",
    "--width": "width",
    "--reference": "reference",
}


def settings_type() -> type:
    """The settings of an exam."""
    from modelsat.exam.settings import ExamSettings

    return ExamSettings


def run(
    candidate: Annotated[
        list[str] | None,
        typer.Option("--candidate", help="Its name; with --zoo, only this candidate (default: all)."),
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(help="URL up to, and without, /chat/completions.", show_default=False)
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Its name at the endpoint (default: the candidate's).", show_default=False),
    ] = None,
    api_key_env: Annotated[
        str | None,
        typer.Option(metavar="VAR", help="Environment variable that holds the key.", show_default=False),
    ] = None,
    input_price: Annotated[
        float | None, typer.Option(min=0, help="Money per million input tokens.", show_default=False)
    ] = None,
    output_price: Annotated[
        float | None, typer.Option(min=0, help="Money per million output tokens.", show_default=False)
    ] = None,
    zoo: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Zoo file: all its candidates with an endpoint sit.", show_default=False
        ),
    ] = None,
    blueprint: Annotated[
        str, typer.Option("--exam", "--blueprint", metavar="NAME|FILE", help="The exam: core or a file.")
    ] = "core",
    source: Annotated[
        str, typer.Option(metavar="hub|PATH", help="Its texts: the hub, or parquet or JSONL in our schema.")
    ] = "hub",
    max_cost: Annotated[
        float | None,
        typer.Option(min=0, help="Spend at most this, all candidates together.", show_default=False),
    ] = None,
    style: Annotated[
        str | None,
        typer.Option(
            help="direct (answer at once, the default) or think (reason first).", show_default=False
        ),
    ] = None,
    adaptive: Annotated[
        bool, typer.Option("--adaptive", help="Adaptive testing: ask fewer, more informative questions.")
    ] = False,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for cards and journals.")
    ] = Path("cards"),
    register: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Zoo file to enter the candidates in.", show_default=False),
    ] = None,
    recipe: RecipeOption = None,
    set_: SetOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be asked and what it may cost; ask nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Let candidates sit the exam on their OpenAI-compatible endpoints, and write their capability cards."""
    from datetime import date

    from modelsat.capability.aptitude import AptitudeTest
    from modelsat.exam.session import run_session
    from modelsat.exam.settings import ExamSettings, Planner

    given = {"style": style, "adaptive": adaptive or None}
    settings = read_settings(ExamSettings, recipe, set_ or (), given=given)
    exam = AptitudeTest.find(blueprint)
    candidates = choose_candidates(
        candidate or [], zoo, base_url, model, api_key_env, input_price, output_price
    )
    require_prices(candidates, max_cost)
    participants = [settings.participant(one) for one in candidates]
    questions, left_out = choose_questions(exam, source, settings)
    if left_out:
        say(f"{left_out} code questions are left out: their tests are not run here.")
    if dry_run:
        Planner.of(exam, settings)
        show_plan(participants, questions, settings, as_json=as_json)
        return
    results = _until_stopped(
        lambda stop, progress: run_session(
            participants,
            exam,
            questions,
            settings,
            folder=output,
            date=date.today().isoformat(),
            max_cost=max_cost,
            resume=resume,
            left_out=left_out,
            progress=progress,
            stop=stop,
        )
    )
    report(results, output, register, as_json=as_json)


run.__doc__ = f"{run.__doc__}\n{EXAMPLES}"


def _until_stopped(
    session: "Callable[[asyncio.Event, Progress], Awaitable[list[ExamResult]]]",
) -> "list[ExamResult]":
    """Run a session; the first Ctrl-C stops it gently, the second at once."""

    async def work() -> "list[ExamResult]":
        stop = asyncio.Event()
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def interrupt() -> None:
            if stop.is_set() and task is not None:
                task.cancel()
                return
            say("stopping: waiting for answers under way (Ctrl-C again to abandon them) ...")
            stop.set()

        # Not on every platform; there, Ctrl-C ends at once, and the journal has every answer.
        with suppress(NotImplementedError):
            for kind in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(kind, interrupt)
        with progress_bars() as progress:
            return await session(stop, progress)

    try:
        return asyncio.run(work())
    except asyncio.CancelledError:
        say("stopped; all answers are kept. Pass --resume to continue.")
        raise typer.Exit(INTERRUPTED) from None
