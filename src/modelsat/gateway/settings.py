"""How a gateway behaves: one flat table of settings, from the defaults, a TOML file and the command line.

Holds no secrets: keys of endpoints are named in the zoo file and kept elsewhere.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from modelsat.errors import DataError, PolicyError
from modelsat.records.files import load_toml, parse_object, read_text
from modelsat.routing.load import CASCADE, DEFAULT_ROUTER, SHIPPED
from modelsat.routing.policy import RoutingPolicy
from modelsat.routing.score_cache import DEFAULT_MEGABYTES

FORMAT: Literal["modelsat-gateway/1"] = "modelsat-gateway/1"
LONGEST_BATCH_WAIT_MS = 3.0
# Settings of 0.3 by their names of today.
RENAMED = {"checkpoint": "router", "engine": "router", "memory_mb": "score_cache_mb"}
MEGABYTE = 1_000_000

_log = logging.getLogger(__name__)


class GatewaySettings(BaseModel):
    """Every setting with its default; unknown ones are errors, so that a misspelt one is noticed."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    format: Literal["modelsat-gateway/1"] = FORMAT
    zoo: Path | None = Field(
        default=None, description="Zoo file; a relative path is taken from the settings file"
    )
    store: str | None = Field(
        default=None,
        description="SQLite file or database URL of decisions, feedback and keys; DATABASE_URL by default",
    )
    router: str = Field(
        default=DEFAULT_ROUTER,
        min_length=1,
        description="accurate, fast or fastest (students of it), cascade, or a checkpoint's folder",
    )
    runtime: Literal["auto", "onnx", "onnx-fp32", "torch"] = Field(
        default="auto",
        description="What runs the router: onnx, onnx-fp32, torch, or auto for the first that can",
    )
    host: str = Field(default="127.0.0.1", min_length=1, description="Address to listen on")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on")

    policy: str = Field(default="best", description="What model `auto` prefers")
    require_tags: tuple[str, ...] = Field(
        default=(), description="Tags that every candidate must have to be asked"
    )
    shadow: str | None = Field(default=None, description="Route and record, but let this candidate answer")
    sticky: bool = Field(default=True, description="Whether a conversation stays with its candidate")
    sticky_margin: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="How much better another candidate must be to take over a conversation",
    )
    sticky_ttl_s: float = Field(default=3600, gt=0, description="How long a conversation is remembered")
    sticky_conversations: int = Field(default=10_000, ge=1, description="Conversations remembered at once")

    route_timeout_ms: float = Field(
        default=1000, gt=0, description="Later than this, the policy's best single candidate answers"
    )
    batch_wait_ms: float = Field(
        default=2,
        ge=0,
        le=LONGEST_BATCH_WAIT_MS,
        description="How long a request waits for others to be scored with",
    )
    batch_size: int = Field(default=32, ge=1, le=256, description="Requests scored together at most")
    score_cache_mb: float = Field(
        default=DEFAULT_MEGABYTES,
        ge=0,
        description="Scores remembered for requests that come again; 0 for none",
    )

    deadline_s: float = Field(default=600, gt=0, description="From a request to the end of its answer")
    connect_timeout_s: float = Field(default=5, gt=0, description="To connect to an endpoint")
    first_byte_timeout_s: float = Field(
        default=120, gt=0, description="From a request to its answer's first byte"
    )
    idle_timeout_s: float = Field(default=60, gt=0, description="Between two pieces of an answer")
    max_fallbacks: int = Field(default=3, ge=0, description="Candidates tried after the first one failed")
    breaker_window_s: float = Field(default=30, gt=0, description="How far back failures count")
    breaker_requests: int = Field(default=5, ge=1, description="Requests in the window before failures count")
    breaker_error_rate: float = Field(
        default=0.5, gt=0, le=1, description="Share of failures that opens a breaker"
    )
    breaker_open_s: float = Field(default=15, gt=0, description="How long it stays open before a probe")

    max_concurrent: int = Field(default=256, ge=1, description="Requests worked on at once")
    max_queue: int = Field(
        default=256, ge=0, description="Requests that may wait for their turn; more are refused"
    )
    queue_timeout_s: float = Field(default=30, gt=0, description="How long one waits for its turn")
    max_body_bytes: int = Field(default=20 * MEGABYTE, ge=1024, description="Largest request body")
    max_header_bytes: int = Field(default=32_768, ge=4096, description="Largest request head")
    drain_s: float = Field(default=30, ge=0, description="How long running answers may take after SIGTERM")

    zoo_poll_s: float = Field(default=2, gt=0, description="How often the zoo file is looked at")
    log_prompts: bool = Field(default=False, description="Keep the text that was routed on in logs and store")
    open_metrics: bool = Field(
        default=False, description="Answer /metrics without an API key where keys are needed"
    )

    @field_validator("policy")
    @classmethod
    def _known_policy(cls, text: str) -> str:
        try:
            return str(RoutingPolicy.parse(text))
        except PolicyError as error:
            raise ValueError(str(error)) from None

    @property
    def routing_policy(self) -> RoutingPolicy:
        """What model `auto` prefers."""
        return RoutingPolicy.parse(self.policy)


def load_settings(path: Path | None, options: Mapping[str, Any]) -> GatewaySettings:
    """Settings of a TOML file, with options of the command line before it.

    Args:
        path: The file; None where there is none.
        options: By name; None where not given.

    Raises:
        DataError: The file or an option is malformed; names the field.
    """
    values = {} if path is None else read_settings_file(path)
    for old in RENAMED.keys() & values:
        _log.warning("%s: %s is now %s; the old name goes with 0.5.", path, old, RENAMED[old])
        values.setdefault(RENAMED[old], values.pop(old))
    given = {name: value for name, value in options.items() if value is not None}
    settings = parse_object(values, GatewaySettings, str(path))
    if not given:
        return settings
    return parse_object(settings.model_dump() | given, GatewaySettings, "options")


def read_settings_file(path: Path) -> dict[str, Any]:
    """The values of a settings file, with the paths in it taken from its folder.

    Raises:
        DataError: It is missing, is not TOML, or does not name its format.
    """
    values = load_toml(read_text(path), str(path))
    if values.get("format") != FORMAT:
        raise DataError(f"{path}: format is {values.get('format')!r}; expected {FORMAT!r} in the first line.")
    for name in ("zoo", "checkpoint", "router"):
        value = values.get(name)
        if isinstance(value, str) and value not in (*SHIPPED, CASCADE):
            values[name] = str(path.parent / value)
    return values
