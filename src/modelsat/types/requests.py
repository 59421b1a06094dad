"""What is asked, and how it went: instructions and outcomes."""

from dataclasses import dataclass
from typing import Literal

from modelsat.types.ranges import require_fraction, require_not_negative

InstructionKind = Literal["multiple_choice", "numeric", "code", "open"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """A user's request.

    Attributes:
        id: Unique among the instructions at hand.
        text: The request as a user would send it (lettered options included, no shots).
        dataset: Where it comes from; empty for a live request.
        task: Subject within the dataset.
        category: Coarser subject, where the source has one.
        kind: How an answer would be graded.
        choices: Options of a multiple-choice item, in the order of their letters.
        answer: The reference answer, if known. Never shown to a router.
        images: References to images that belong to the request.
    """

    id: str
    text: str
    dataset: str = ""
    task: str = ""
    category: str = ""
    kind: InstructionKind = "open"
    choices: tuple[str, ...] = ()
    answer: str | None = None
    images: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one candidate did on one instruction.

    Attributes:
        candidate: The candidate's name.
        instruction_id: The instruction's id.
        score: Quality of the answer, from 0 to 1 (1: solved).
        parsed: False where no answer could be read (then scored 0).
        output_tokens: Tokens of the answer, if known.
        latency_s: Seconds to the full answer, if known.
        source: The evaluation protocol; outcomes compare within one source only.
    """

    candidate: str
    instruction_id: str
    score: float
    parsed: bool = True
    output_tokens: float | None = None
    latency_s: float | None = None
    source: str = ""

    def __post_init__(self) -> None:
        owner = f"outcome of {self.candidate} on {self.instruction_id}"
        require_fraction(owner, "score", self.score)
        require_not_negative(owner, "output_tokens", self.output_tokens)
        require_not_negative(owner, "latency_s", self.latency_s)
