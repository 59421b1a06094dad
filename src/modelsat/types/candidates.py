"""Who can be asked."""

from dataclasses import dataclass

from modelsat.errors import DataError
from modelsat.types.ranges import require_not_negative


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A model that can be routed to.

    Attributes:
        name: Unique within a zoo.
        endpoint: Base URL of its OpenAI-compatible API, if it can be called.
        model: Name of the model at that endpoint (default: `name`).
        api_key_env: Environment variable that holds the endpoint's key; never the key itself.
        api_key_file: File that holds the endpoint's key, for keys that are mounted or change while running.
        input_price: Money per million input tokens; None where unknown.
        output_price: Money per million output tokens; None where unknown.
        context_window: Tokens that fit, input and output together; None where unknown.
        modalities: What it accepts, e.g. ("text", "image").
        tools: Whether it calls tools; None where unknown.
        tags: Free labels to filter by, e.g. ("open-weights", "eu-only").
        notes: Expert notes, in words; they join the capability representation.
    """

    name: str
    endpoint: str | None = None
    model: str | None = None
    api_key_env: str | None = None
    api_key_file: str | None = None
    input_price: float | None = None
    output_price: float | None = None
    context_window: int | None = None
    modalities: tuple[str, ...] = ("text",)
    tools: bool | None = None
    tags: tuple[str, ...] = ()
    notes: str = ""

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise DataError("a candidate's name is empty; give each candidate a unique name.")
        owner = f"candidate {self.name}"
        require_not_negative(owner, "input_price", self.input_price)
        require_not_negative(owner, "output_price", self.output_price)
        if self.context_window is not None and self.context_window <= 0:
            raise DataError(
                f"{owner}: context_window is {self.context_window}; expected a positive number of tokens."
            )
