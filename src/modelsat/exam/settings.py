"""Settings of an exam run, and its participants."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field

from modelsat.capability.aptitude import AptitudeTest
from modelsat.capability.irt import ItemBank
from modelsat.capability.zoo import ModelZoo
from modelsat.errors import DataError
from modelsat.exam.endpoint import Endpoint, RetryPolicy, endpoint_of
from modelsat.exam.plan import AdaptivePlan, CirclePlan, FullPlan, Plan, hard_items
from modelsat.exam.questions import MAX_TOKENS, Api, PromptFormat, Question, Style
from modelsat.types import Candidate

_AtLeastOne = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """A candidate that sits the exam, and its endpoint."""

    candidate: Candidate
    endpoint: Endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamSettings:
    """How an exam is sat; the same for every participant.

    Attributes:
        style: How questions are asked: `direct` (answer at once) or `think` (reason first).
        api: API that is called: `chat`, or `completions` for base models.
        max_tokens: Token limit of an answer; by default 64 for `direct` and 2048 for `think`.
        params: Further fields of every request, e.g. `params.top_p=0.9`; null removes a field.
        only: Ask only tasks with one of these texts in their name.
        tasks: Ask only the first so many tasks.
        shots: Ask only the first so many items of each task.
        max_items: Ask at most so many questions, all participants together.
        concurrency: Questions under way at once, per participant.
        retries: Time limits and repetitions, e.g. `retries.timeout_s=30`.
        skip_refused: Count questions that the endpoint refuses as wrong, instead of stopping.
        circle: Ask hard items in every rotation of their options.
        hard_below: An item is hard if a smaller share of the reference zoo's candidates solves it.
        adaptive: Adaptive testing: ask the most informative item; stop a task once its interval is narrow enough.
        width: Half-width of the 95% interval at which adaptive testing stops a task.
        reference: Zoo file whose cards show how hard the items are; by default the shipped zoo.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    style: Style = "direct"
    api: Api = "chat"
    max_tokens: _AtLeastOne | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    tasks: _AtLeastOne | None = None
    shots: _AtLeastOne | None = None
    max_items: _AtLeastOne | None = None
    concurrency: _AtLeastOne = 16
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    skip_refused: bool = False
    circle: bool = False
    hard_below: Annotated[float, Field(ge=0, le=1)] = 0.3
    adaptive: bool = False
    width: Annotated[float, Field(ge=0.01, le=0.5)] = 0.15
    reference: str | None = None

    def __post_init__(self) -> None:
        if self.circle and self.adaptive:
            raise DataError("circle and adaptive exclude each other; choose one.")

    @property
    def prompts(self) -> PromptFormat:
        """How questions are put into words."""
        room = self.max_tokens or MAX_TOKENS[self.style]
        return PromptFormat(style=self.style, api=self.api, max_tokens=room)

    def participant(self, candidate: Candidate) -> Participant:
        """A candidate at its endpoint.

        Raises:
            DataError: It has no endpoint, or its key cannot be read.
        """
        return Participant(
            candidate=candidate, endpoint=endpoint_of(candidate, api=self.api, params=self.params)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Planner:
    """Makes each participant's plan, from what the cards of a reference zoo show of the items.

    Attributes:
        hard: Ids of the items to ask in every rotation of their options (circle test).
        bank: Difficulties of the items, for adaptive testing.
        width: Half-width of a task's interval at which adaptive testing stops.
    """

    hard: frozenset[str] = frozenset()
    bank: ItemBank | None = None
    width: float = 0.0

    @classmethod
    def of(cls, exam: AptitudeTest, settings: ExamSettings) -> "Planner":
        """Prepare the plans of an exam.

        Raises:
            DataError: The reference zoo has too few cards with results per item of this exam.
        """
        if not (settings.circle or settings.adaptive):
            return cls()
        zoo = ModelZoo.shipped() if settings.reference is None else ModelZoo.load(settings.reference)
        if settings.circle:
            return cls(hard=hard_items(exam, zoo.profiles, below=settings.hard_below))
        return cls(bank=ItemBank.of_profiles(exam, zoo.profiles), width=settings.width)

    def plan(self, questions: list[Question]) -> Plan:
        """One participant's plan."""
        if self.bank is not None:
            return AdaptivePlan(questions, self.bank, width=self.width)
        return CirclePlan(questions, self.hard) if self.hard else FullPlan(questions)
