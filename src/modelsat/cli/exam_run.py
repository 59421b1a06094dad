"""`modelsat exam run`: candidates sit the exam on their live endpoints."""

import asyncio
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelsat.cli.exam_progress import exam_progress
from modelsat.cli.exam_report import report, show_plan
from modelsat.cli.exam_setup import (
    choose_prompting,
    choose_questions,
    known_items,
    read_params,
    require_prices,
    take_seats,
    who_sits,
)
from modelsat.cli.output import INTERRUPTED, say
from modelsat.errors import DataError

if TYPE_CHECKING:
    from modelsat.capability.aptitude import AptitudeTest
    from modelsat.exam.budget import Budget
    from modelsat.exam.questions import Question
    from modelsat.exam.session import Result, Rules, Seat

_EXAMPLES = """
Examples:

  modelsat exam run --candidate our-model --base-url http://localhost:8000/v1 --register zoo.toml

  modelsat exam run --candidate gpt --base-url https://api.openai.com/v1 --model gpt-4o-mini
  --api-key-env OPENAI_API_KEY --input-price 0.15 --output-price 0.6 --max-cost 2 --style think

  modelsat exam run --zoo zoo.toml --adaptive --register zoo.toml

An exam that was stopped, by whatever, goes on with the same command and --resume.
"""


def run(
    candidate: Annotated[
        list[str] | None,
        typer.Option("--candidate", help="Its name; with --zoo, which of its candidates (default: all)."),
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(help="What comes before /chat/completions.", show_default=False)
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Its name at the endpoint (default: the candidate's).", show_default=False),
    ] = None,
    api_key_env: Annotated[
        str | None,
        typer.Option(metavar="VAR", help="Environment variable that holds the key.", show_default=False),
    ] = None,
    zoo: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Zoo file: its candidates with an endpoint sit.", show_default=False
        ),
    ] = None,
    blueprint: Annotated[
        str, typer.Option("--blueprint", "--exam", metavar="NAME|FILE", help="The exam: core or a file.")
    ] = "core",
    source: Annotated[
        str, typer.Option(metavar="hub|PATH", help="Its texts: the hub, or parquet or JSONL in our schema.")
    ] = "hub",
    task: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT", help="Only tasks with this in their name; repeat for more.", show_default=False
        ),
    ] = None,
    tasks: Annotated[
        int | None, typer.Option(min=1, help="Only the first so many tasks.", show_default=False)
    ] = None,
    shots: Annotated[
        int | None, typer.Option(min=1, help="Only the first so many items of a task.", show_default=False)
    ] = None,
    style: Annotated[str, typer.Option(help="direct (answer at once) or think (reason first).")] = "direct",
    api: Annotated[str, typer.Option(help="chat or completions (base models).")] = "chat",
    max_tokens: Annotated[
        int | None,
        typer.Option(min=1, help="Room for an answer (default: 64 direct, 2048 think).", show_default=False),
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD=JSON",
            help="A further field of every request; null takes one out. Repeat for more.",
            show_default=False,
        ),
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Questions under way at once, per candidate.")] = 16,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds for one attempt.")] = 120.0,
    attempts: Annotated[int, typer.Option(min=1, help="Attempts per question.")] = 6,
    input_price: Annotated[
        float | None, typer.Option(min=0, help="Money per million input tokens.", show_default=False)
    ] = None,
    output_price: Annotated[
        float | None, typer.Option(min=0, help="Money per million output tokens.", show_default=False)
    ] = None,
    max_cost: Annotated[
        float | None,
        typer.Option(min=0, help="Never spend more, all candidates together.", show_default=False),
    ] = None,
    max_items: Annotated[
        int | None, typer.Option(min=1, help="Never ask more questions, all together.", show_default=False)
    ] = None,
    circle: Annotated[
        bool, typer.Option("--circle", help="Ask hard items in every rotation of their options.")
    ] = False,
    hard_below: Annotated[
        float, typer.Option(min=0, max=1, help="Hard: solved by a smaller share of the reference zoo.")
    ] = 0.3,
    adaptive: Annotated[
        bool, typer.Option("--adaptive", help="Ask what tells most; leave a task when it is known.")
    ] = False,
    width: Annotated[
        float, typer.Option(min=0.01, max=0.5, help="Known: its 95% interval is this narrow (half-width).")
    ] = 0.15,
    reference: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Zoo whose cards tell how hard items are (default: shipped).",
            show_default=False,
        ),
    ] = None,
    skip_refused: Annotated[
        bool, typer.Option("--skip-refused", help="Count questions the endpoint refuses as wrong; go on.")
    ] = False,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for cards and journals.")
    ] = Path("cards"),
    register: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Zoo file to enter the candidates in.", show_default=False),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an earlier run ended.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be asked, and ask nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Let candidates sit the exam on their OpenAI-compatible endpoints, and write their capability cards."""
    if circle and adaptive:
        raise DataError("--circle and --adaptive exclude each other; choose one.")
    from datetime import date

    from modelsat.capability.aptitude import AptitudeTest
    from modelsat.exam.budget import Budget
    from modelsat.exam.client import RetryPolicy
    from modelsat.exam.session import Rules

    exam = AptitudeTest.find(blueprint)
    sitting = who_sits(candidate or [], zoo, base_url, model, api_key_env, input_price, output_price)
    require_prices(sitting, max_cost)
    seats = take_seats(sitting, api, read_params(param or []))
    questions, left_out = choose_questions(exam, source, named=task or (), tasks=tasks, shots=shots)
    hard, bank = known_items(exam, reference, circle=circle, adaptive=adaptive, below=hard_below)
    rules = Rules(
        prompting=choose_prompting(style, api, max_tokens),
        hard=hard,
        bank=bank,
        width=width,
        concurrency=concurrency,
        retries=RetryPolicy(timeout_s=timeout, attempts=attempts),
        skip_refused=skip_refused,
        date=date.today().isoformat(),
    )
    if left_out:
        say(f"{left_out} code questions are left out: their tests are not run here.")
    if dry_run:
        show_plan(seats, questions, rules, as_json=as_json)
        return
    results = _hold(
        seats,
        exam,
        questions,
        rules,
        Budget(max_cost=max_cost, max_calls=max_items),
        folder=output,
        resume=resume,
        left_out=left_out,
    )
    report(results, output, register, as_json=as_json)


run.__doc__ = f"{run.__doc__}\n{_EXAMPLES}"


def _hold(
    seats: "Sequence[Seat]",
    exam: "AptitudeTest",
    questions: "Sequence[Question]",
    rules: "Rules",
    budget: "Budget",
    *,
    folder: Path,
    resume: bool,
    left_out: int,
) -> "list[Result]":
    from modelsat.exam.session import hold_session

    async def session() -> "list[Result]":
        stop = asyncio.Event()
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def interrupt() -> None:
            if stop.is_set() and task is not None:
                task.cancel()
                return
            say("stopping: waiting for answers that are under way (Ctrl-C again to leave them) ...")
            stop.set()

        # Not on every platform; there, Ctrl-C ends at once, and the journal has what was answered.
        with suppress(NotImplementedError):
            for kind in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(kind, interrupt)
        with exam_progress() as progress:
            return await hold_session(
                seats,
                exam,
                questions,
                rules,
                folder=folder,
                budget=budget,
                resume=resume,
                left_out=left_out,
                progress=progress,
                stop=stop,
            )

    try:
        return asyncio.run(session())
    except asyncio.CancelledError:
        say("stopped; what was answered is kept: go on with --resume.")
        raise typer.Exit(INTERRUPTED) from None
