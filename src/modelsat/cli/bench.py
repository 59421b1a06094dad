"""`modelsat bench`: is routing worth it, and what the machine at hand makes of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelsat.cli import bench_engine, bench_students, bench_suite
from modelsat.cli.bench_report import report
from modelsat.cli.output import print_json, print_table, progress, say
from modelsat.errors import DataError

if TYPE_CHECKING:
    from modelsat.bench.measure import Measure, SpeedReport

app = typer.Typer(no_args_is_help=True)
app.callback(
    invoke_without_command=True,
    epilog='Example: modelsat bench --suite quick --outcomes data/ -o report/ --require "lead.mean>0"',
)(bench_suite.bench)
app.command(epilog=bench_students.EPILOG)(bench_students.students)
app.command(epilog="Example: modelsat bench report report/result.json -o report --no-plots")(report)
app.command(epilog=bench_engine.EXAMPLE)(bench_engine.engine)


@app.command(epilog="Example: modelsat bench speed --part engine --repeats 9")
def speed(
    part: Annotated[
        list[str] | None,
        typer.Option(
            "--part",
            help="processes, layouts, engine, route or rivals; repeat for more (default: all).",
            show_default=False,
        ),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Of each timing; medians are shown.")] = 5,
    litellm: Annotated[
        Path | None,
        typer.Option(
            metavar="PYTHON",
            help="Time LiteLLM's heuristic router too, in the environment of this interpreter.",
            show_default=False,
        ),
    ] = None,
    report_file: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the report as JSON.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure speed and memory beside their bars. A busy machine misses bars; nothing fails."""
    from modelsat.network.pretrained import require_torch

    require_torch()
    from modelsat.bench.speed import PARTS, measure_speed

    unknown = [name for name in part or () if name not in PARTS]
    if unknown:
        raise DataError(f"--part is {unknown[0]!r}; expected {', '.join(PARTS)}.")
    if litellm is not None and not litellm.is_file():
        raise DataError(f"--litellm is {litellm}, which is no file; give a Python that has LiteLLM.")
    with progress("Measuring") as advance:
        report = measure_speed(
            parts=[name for name in PARTS if not part or name in part],
            repeats=repeats,
            litellm=litellm,
            progress=advance,
        )
    if report_file is not None:
        report.save(report_file)
        say(f"{report_file}: written.")
    _print_report(report, as_json=as_json)


@app.command(epilog="Example: modelsat bench gateway --part relay --seconds 60")
def gateway(
    part: Annotated[
        list[str] | None,
        typer.Option(
            "--part",
            help="relay, routed, rate or faults; repeat for more (default: all).",
            show_default=False,
        ),
    ] = None,
    rate: Annotated[float, typer.Option(min=1, help="Of the relay's load, requests a second.")] = 100.0,
    seconds: Annotated[float, typer.Option(min=1, help="Of the relay's load.")] = 20.0,
    requests: Annotated[int, typer.Option(min=100, help="Of the run with faults.")] = 10_000,
    faults: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the endpoint's answers that are faulty.")
    ] = 0.05,
    litellm: Annotated[
        Path | None,
        typer.Option(metavar="PROGRAM", help="Measure LiteLLM's proxy beside the relay.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure a gateway on loopback, against a scripted endpoint. A busy machine misses bars; nothing fails."""
    from modelsat.bench.gateway_load import PARTS, LoadPlan, measure_gateway

    unknown = [name for name in part or () if name not in PARTS]
    if unknown:
        raise DataError(f"--part is {unknown[0]!r}; expected {', '.join(PARTS)}.")
    plan = LoadPlan(
        parts=tuple(name for name in PARTS if not part or name in part),
        rate=rate,
        seconds=seconds,
        requests=requests,
        fault_rate=faults,
        litellm=litellm,
    )
    with progress("Measuring") as advance:
        report = measure_gateway(plan, progress=advance)
    _print_report(report, as_json=as_json)


@app.command(epilog="Example: modelsat bench exam --questions 2000")
def exam(
    questions: Annotated[int, typer.Option(min=1, help="Asked in each run.")] = 1000,
    repeats: Annotated[int, typer.Option(min=1, help="Of each run; medians are shown.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure how much of an endpoint's speed an exam uses, against a local stand-in. Nothing fails."""
    from modelsat.exam.throughput import measure_throughput

    with progress("Measuring") as advance:
        rows = measure_throughput(questions=questions, repeats=repeats, progress=advance)
    if as_json:
        print_json([row.to_json() for row in rows])
        return
    print_table(
        ("", "questions/s", "reference", "ratio", "bar", "", "at once"),
        [
            (
                row.name,
                f"{row.rate:.0f}",
                f"{row.reference:.0f}",
                f"{row.ratio:.0%}",
                f">= {row.bar:.0%}",
                "met" if row.met else "missed",
                row.concurrency,
            )
            for row in rows
        ],
        numeric=("questions/s", "reference", "ratio", "bar", "at once"),
    )


def _print_report(report: "SpeedReport", *, as_json: bool) -> None:
    if as_json:
        print_json(report.to_json())
        return
    typer.echo(", ".join(f"{name} {value}" for name, value in (report.machine | report.versions).items()))
    print_table(
        ("", "measured", "bar", "", "how"),
        [_row(measure) for measure in report.measures],
        numeric=("measured", "bar"),
    )


def _row(measure: "Measure") -> tuple[str, ...]:
    bar = "" if measure.bar is None else f"{'<=' if measure.better == 'lower' else '>='} {measure.bar:g}"
    met = {True: "met", False: "missed", None: ""}[measure.met]
    return measure.name, f"{measure.value:.3g} {measure.unit}", bar, met, measure.note
