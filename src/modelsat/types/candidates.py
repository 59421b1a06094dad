"""Models that can be routed to."""

import re
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field

from modelsat.types.ranges import require_currency
from modelsat.types.validation import validated

Modality = Literal["text", "image", "audio", "video", "file"]
UNIX = "http+unix"
# Of prices, where a zoo does not name one (ISO 4217).
CURRENCY = "USD"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_Text = Annotated[str, Field(min_length=1)]
_Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Tokens = Annotated[int, Field(gt=0, strict=True)]


def _owner(values: dict[str, object]) -> str:
    name = str(values.get("name", ""))
    return f"candidate {name if name.isprintable() else repr(name)}"


@validated(_owner)
class Candidate:
    """A model that can be routed to.

    Its fields are those of an entry in a zoo file, but for the currency, which the file names once.

    Attributes:
        name: Unique within a zoo.
        endpoint: Base URL of its OpenAI-compatible API, if it can be called; without credentials.
        model: Name of the model at that endpoint (default: `name`).
        api_key_env: Environment variable that holds the endpoint's key; never the key itself.
        api_key_file: File that holds the endpoint's key, for keys that are mounted or change while running.
        input_price: Money per million input tokens; None where unknown.
        output_price: Money per million output tokens; None where unknown.
        currency: Of its prices (ISO 4217).
        output_tokens: Mean tokens of an answer; None to take its card's.
        context_window: Tokens that fit, input and output together; None where unknown.
        modalities: What it accepts.
        tools: Whether it calls tools; None where unknown.
        tags: Free labels to filter by, e.g. ("open-weights", "eu-only").
        notes: Expert notes, in words; they join the capability representation.

    Raises:
        DataError: A value is out of range, the name has characters that do not print, the endpoint is not a base URL or
            holds a password, or there are two places for its key.
    """

    name: _Text
    endpoint: _Text | None = None
    model: _Text | None = None
    api_key_env: _Text | None = None
    api_key_file: _Text | None = None
    input_price: _Price | None = None
    output_price: _Price | None = None
    currency: str = CURRENCY
    output_tokens: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    context_window: _Tokens | None = None
    modalities: tuple[Modality, ...] = ("text",)
    tools: Annotated[bool, Field(strict=True)] | None = None
    tags: tuple[_Text, ...] = ()
    notes: str = ""

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise ValueError("its name is empty; give each candidate a unique name")
        if not self.name.isprintable():
            # It stands in terminals, logs and HTTP headers.
            raise ValueError("its name has a line break, or another character that does not print; remove it")
        if not self.modalities:
            raise ValueError("modalities is empty; name what it accepts, such as text")
        require_currency(f"candidate {self.name}", self.currency)
        if self.api_key_env is not None and self.api_key_file is not None:
            raise ValueError("has both api_key_env and api_key_file; keep one of them")
        if self.api_key_env is not None and not _VARIABLE.fullmatch(self.api_key_env):
            # It may be the key itself, so it is not repeated.
            raise ValueError(
                "api_key_env is not the name of an environment variable; write the name, such as OPENAI_API_KEY, "
                "and put the key into the variable"
            )
        if self.endpoint is not None:
            _check_base_url(self.endpoint)


def _check_base_url(endpoint: str) -> None:
    try:
        parts = urlsplit(endpoint)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        # The socket's path stands where a host would, with %2F for each slash.
        valid |= parts.scheme == UNIX and unquote(parts.netloc).startswith("/")
    except ValueError:
        valid = False
    # An address that may hold a password is not repeated.
    if "@" in endpoint:
        raise ValueError(
            "its endpoint holds a user or password; remove them and name api_key_env or api_key_file"
        )
    if not valid or "?" in endpoint or "#" in endpoint:
        raise ValueError(
            f"endpoint is {endpoint!r}; expected a base URL such as https://llm.example/v1, without ? and #"
        )
