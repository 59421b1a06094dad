"""How much of an endpoint's speed an exam uses: against a bare loop of requests, and against the ideal.

Both against a fake endpoint in a process of its own, journal on. Ratios within one run; runs take turns, so that a
machine that slows down slows both.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp

from modelsat.capability.aptitude import AptitudeTest, ExamItem, ExamTask
from modelsat.exam.endpoint import Endpoint
from modelsat.exam.prompts import Prompting
from modelsat.exam.questions import Question
from modelsat.exam.session import Rules, Seat, hold_session
from modelsat.testing import FakeEndpoint
from modelsat.types import Candidate, Instruction

Progress = Callable[[int, int], None]

BARE_CONCURRENCY = 16
LATENCY_S = 0.2
IDEAL_CONCURRENCY = 64
BARE_BAR, IDEAL_BAR = 0.60, 0.85


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """One ratio beside its bar.

    Attributes:
        name: What was measured.
        rate: Questions per second of the exam.
        reference: Requests per second that it is compared with.
        bar: The ratio to reach.
        questions: Asked in each run.
        concurrency: Under way at once.
    """

    name: str
    rate: float
    reference: float
    bar: float
    questions: int
    concurrency: int

    @property
    def ratio(self) -> float:
        """Rate over reference."""
        return self.rate / self.reference

    @property
    def met(self) -> bool:
        """Whether the bar is reached."""
        return self.ratio >= self.bar

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self), "ratio": self.ratio, "met": self.met}


def measure_throughput(
    *, questions: int = 1000, repeats: int = 3, progress: Progress | None = None
) -> tuple[Throughput, Throughput]:
    """Measure both ratios.

    Args:
        questions: Asked in each run.
        repeats: Of each timing; medians are reported.
        progress: Called with (rounds done, rounds in all).
    """
    asked = _questions(questions)
    exam = _exam(asked)
    bare: list[float] = []
    ours: list[float] = []
    slow: list[float] = []
    with (
        FakeEndpoint.process("--text", "A") as quick,
        FakeEndpoint.process("--text", "A", "--delay", str(LATENCY_S)) as slow_url,
    ):
        for repeat in range(repeats):
            bare.append(asyncio.run(_bare(quick, asked)))
            ours.append(_exam_seconds(quick, exam, asked, BARE_CONCURRENCY))
            slow.append(_exam_seconds(slow_url, exam, asked, IDEAL_CONCURRENCY))
            if progress:
                progress(repeat + 1, repeats)
    # Rounds of so many questions, each as long as the latency.
    ideal_s = -(-questions // IDEAL_CONCURRENCY) * LATENCY_S
    return (
        Throughput(
            name="against a bare aiohttp loop, no latency",
            rate=questions / median(ours),
            reference=questions / median(bare),
            bar=BARE_BAR,
            questions=questions,
            concurrency=BARE_CONCURRENCY,
        ),
        Throughput(
            name=f"against the ideal, {1000 * LATENCY_S:.0f} ms latency",
            rate=questions / median(slow),
            reference=questions / ideal_s,
            bar=IDEAL_BAR,
            questions=questions,
            concurrency=IDEAL_CONCURRENCY,
        ),
    )


async def _bare(base_url: str, questions: Sequence[Question]) -> float:
    """Seconds of the plainest loop that asks the same: no limits, no retries, no journal."""
    endpoint, prompting = Endpoint(base_url=base_url, model="stand-in"), Prompting()
    waiting = [{"model": "stand-in", **prompting.body(question)} for question in questions]
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
    seat = Seat(
        candidate=Candidate(name="stand-in", input_price=1.0, output_price=1.0),
        endpoint=Endpoint(base_url=base_url, model="stand-in"),
    )
    with TemporaryDirectory() as folder:
        (result,) = asyncio.run(
            hold_session([seat], exam, questions, Rules(concurrency=concurrency), folder=Path(folder))
        )
    assert result.ending is not None and result.ending.finished, result.error
    return result.ending.seconds


def _questions(count: int) -> list[Question]:
    made = []
    for number in range(count):
        choices = ("yes", "no", "perhaps", "never")
        lettered = "".join(f"\n{'ABCD'[at]}. {choice}" for at, choice in enumerate(choices))
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
    task = ExamTask(
        name="rehearsal", keywords=("Rehearsal",), items=tuple(question.item for question in questions)
    )
    return AptitudeTest(name="rehearsal", dataset="rehearsal", tasks=(task,))
