"""What a request says about its own routing: in `metadata.modelsat`, or in headers, which stay with the gateway."""

import json
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from modelsat.errors import DataError, PolicyError
from modelsat.gateway.errors import GatewayError
from modelsat.gateway.headers import first
from modelsat.records.files import parse_object
from modelsat.routing.policy import RoutingPolicy


class Overrides(BaseModel):
    """What a request may say.

    Attributes:
        candidates: The only ones that may answer.
        policy: What to prefer.
        tags: Tags that whoever answers must have.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    candidates: tuple[str, ...] | None = None
    policy: str | None = None
    tags: tuple[str, ...] = ()


def read_overrides(metadata: object, headers: Iterable[tuple[bytes, bytes]] = ()) -> Overrides:
    """Read what a request says; a header goes before the member of the same meaning.

    Args:
        metadata: The body's member `metadata`.
        headers: The request's.

    Raises:
        GatewayError: 400 where it is malformed.
    """
    given = _from_metadata(metadata)
    headers = list(headers)
    candidates, tags = _listed(headers, b"x-modelsat-candidates"), _listed(headers, b"x-modelsat-tags")
    overrides = Overrides(
        candidates=given.candidates if candidates is None else candidates,
        policy=first(headers, b"x-modelsat-policy") or given.policy,
        tags=given.tags if tags is None else tags,
    )
    if overrides.policy is not None:
        parse_policy(overrides.policy, "metadata.modelsat.policy")
    return overrides


def parse_policy(text: str, param: str) -> RoutingPolicy:
    """A policy that a client wrote.

    Raises:
        GatewayError: 400 where it is malformed.
    """
    try:
        return RoutingPolicy.parse(text)
    except PolicyError as error:
        raise refused(str(error).rstrip("."), param, code="invalid_policy") from None


def refused(fault: str, param: str | None = None, *, code: str = "invalid_request") -> GatewayError:
    """A request that the client must mend."""
    return GatewayError(f"{fault}.", status=400, code=code, param=param)


def _from_metadata(metadata: object) -> Overrides:
    value = metadata.get("modelsat") if isinstance(metadata, dict) else None
    if value is None:
        return Overrides()
    if isinstance(value, str):
        # OpenAI's own metadata has texts for values.
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise refused("metadata.modelsat is text that is not JSON", "metadata.modelsat") from None
    try:
        overrides = parse_object(value, Overrides, "metadata.modelsat")
    except DataError as error:
        raise refused(str(error).rstrip("."), "metadata.modelsat") from None
    return overrides


def _listed(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> tuple[str, ...] | None:
    """Names in a header, separated by commas; None without the header."""
    value = first(headers, name)
    return None if value is None else tuple(part.strip() for part in value.split(",") if part.strip())
