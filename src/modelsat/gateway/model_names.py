"""What a client may write as `model`: `auto`, `auto:` and a policy, or a candidate's own name."""

from collections.abc import Iterable
from dataclasses import dataclass

from modelsat.errors import DataError
from modelsat.gateway.errors import GatewayError
from modelsat.gateway.overrides import parse_policy
from modelsat.routing.policy import FORMS, RoutingPolicy

AUTO = "auto"
PREFIX = f"{AUTO}:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Who is to answer.

    Attributes:
        candidate: The one that the client named; None where it is to be routed.
        policy: The policy that the client named; None for the default one.
    """

    candidate: str | None = None
    policy: RoutingPolicy | None = None


def read_model_name(text: str, candidates: Iterable[str]) -> Target:
    """Read a model name.

    Args:
        text: What the client wrote.
        candidates: Names of the zoo.

    Raises:
        GatewayError: 404 for an unknown name, 400 for a malformed policy.
    """
    if text == AUTO:
        return Target()
    if text.startswith(PREFIX):
        return Target(policy=parse_policy(text.removeprefix(PREFIX), "model"))
    if text in candidates:
        return Target(candidate=text)
    raise GatewayError(
        f"There is no model {text[:100]!r}; write auto, auto: with a policy ({FORMS}), or a candidate's name "
        "as GET /v1/models lists them.",
        status=404,
        code="model_not_found",
        param="model",
    )


def check_candidate_names(names: Iterable[str]) -> None:
    """Refuse a zoo in which a candidate's name means something else.

    Raises:
        DataError: A candidate is called like a policy.
    """
    for name in names:
        if name == AUTO or name.startswith(PREFIX):
            raise DataError(
                f"candidate {name!r}: names of that form ask the gateway to route; use another name."
            )
