"""Throughput of an exam: against a bare loop of requests, and against the ideal.

Both against a fake endpoint in a process of its own, with the journal on. Ratios are taken within one run; runs take
turns, so that a machine that slows down slows both.
"""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Annotated

import aiohttp
import typer

from benchmarks.measure import Measure, MeasureReport, run
from modelsat.bench.timing import machine, versions
from modelsat.capability.aptitude import AptitudeTest, ExamItem, ExamTask
from modelsat.cli.output import progress_bars
from modelsat.exam.endpoint import Endpoint
from modelsat.exam.questions import PromptFormat, Question
from modelsat.exam.session import run_session
from modelsat.exam.settings import ExamSettings, Participant
from modelsat.progress import Progress, no_progress
from modelsat.testing import FakeEndpoint
from modelsat.types import Candidate, Instruction

BARE_CONCURRENCY = 16
LATENCY_S = 0.2
IDEAL_CONCURRENCY = 64
BARE_BAR, IDEAL_BAR = 60.0, 85.0


def main(
    questions: Annotated[int, typer.Option(min=1, help="Asked in each run.")] = 1000,
    repeats: Annotated[int, typer.Option(min=1, help="Runs of each; medians are shown.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure how much of an endpoint's throughput an exam uses, against a fake endpoint. Nothing fails."""
    with progress_bars() as advance:
        report = measure_throughput(questions=questions, repeats=repeats, progress=advance)
    report.print(as_json=as_json)


def measure_throughput(
    *, questions: int = 1000, repeats: int = 3, progress: Progress = no_progress
) -> MeasureReport:
    """Measure both ratios.

    Args:
        questions: Asked in each run.
        repeats: Runs of each; medians are reported.
        progress: Called with (rounds done, rounds in total).
    """
    here, asked = machine(), _questions(questions)
    exam = _exam(asked)
    bare, ours, slow = [], [], []
    with (
        FakeEndpoint.process("--text", "A") as quick,
        FakeEndpoint.process("--text", "A", "--delay", str(LATENCY_S)) as delayed,
    ):
        for repeat in range(repeats):
            bare.append(asyncio.run(_bare(quick, asked)))
            ours.append(_exam_seconds(quick, exam, asked, BARE_CONCURRENCY))
            slow.append(_exam_seconds(delayed, exam, asked, IDEAL_CONCURRENCY))
            progress("measuring", repeat + 1, repeats)
    # Rounds of so many questions, each as long as the latency.
    ideal_s = -(-questions // IDEAL_CONCURRENCY) * LATENCY_S
    measures = (
        _ratio("exam / a bare aiohttp loop", questions, ours, median(bare), BARE_BAR, BARE_CONCURRENCY),
        _ratio(
            f"exam / the ideal at {1000 * LATENCY_S:.0f} ms",
            questions,
            slow,
            ideal_s,
            IDEAL_BAR,
            IDEAL_CONCURRENCY,
        ),
    )
    return MeasureReport(machine=here, versions=versions(("modelsat", "aiohttp")), measures=measures)


def _ratio(
    name: str, questions: int, seconds: list[float], reference_s: float, bar: float, concurrency: int
) -> Measure:
    rate, reference = questions / median(seconds), questions / reference_s
    return Measure(
        name=name,
        value=100 * rate / reference,
        unit="%",
        bar=bar,
        better="higher",
        note=f"{rate:.0f} against {reference:.0f} questions/s, {concurrency} at once",
    )


async def _bare(base_url: str, questions: Sequence[Question]) -> float:
    """Seconds of the plainest loop that asks the same: no limits, no retries, no journal."""
    endpoint, prompts = Endpoint(base_url=base_url, model="fake"), PromptFormat()
    waiting = [{"model": "fake", **prompts.body(prompts.text(question))} for question in questions]
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=120.0)) as client:

        async def work() -> None:
            while waiting:
                async with client.post(endpoint.url, json=waiting.pop()) as response:
                    assert (await response.json())["choices"]

        started = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(BARE_CONCURRENCY)))
        return time.perf_counter() - started


def _exam_seconds(
    base_url: str, exam: AptitudeTest, questions: Sequence[Question], concurrency: int
) -> float:
    participant = Participant(
        candidate=Candidate(name="fake", input_price=1.0, output_price=1.0),
        endpoint=Endpoint(base_url=base_url, model="fake"),
    )
    settings = ExamSettings(concurrency=concurrency)
    with TemporaryDirectory() as folder:
        (result,) = asyncio.run(run_session([participant], exam, questions, settings, folder=Path(folder)))
    assert result.outcome is not None and result.outcome.finished, result.error
    return result.outcome.seconds


def _questions(count: int) -> list[Question]:
    choices = ("yes", "no", "perhaps", "never")
    lettered = "".join(f"\n{'ABCD'[at]}. {choice}" for at, choice in enumerate(choices))
    made = []
    for number in range(count):
        instruction = Instruction(
            id=f"rehearsal/{number}",
            text=f"Is {number} a number that one would choose at random from a few thousand?{lettered}",
            dataset="rehearsal",
            task="rehearsal",
            kind="multiple_choice",
            choices=choices,
            answer="A",
        )
        made.append(Question(item=ExamItem.of(instruction), task="rehearsal", instruction=instruction))
    return made


def _exam(questions: Sequence[Question]) -> AptitudeTest:
    items = tuple(question.item for question in questions)
    task = ExamTask(name="rehearsal", keywords=("Rehearsal",), items=items)
    return AptitudeTest(name="rehearsal", dataset="rehearsal", tasks=(task,))


if __name__ == "__main__":
    run(main)
