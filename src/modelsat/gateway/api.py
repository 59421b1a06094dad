"""What the gateway answers about itself: models, and feedback on its decisions."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from modelsat.gateway.asgi import Scope
from modelsat.gateway.errors import GatewayError
from modelsat.gateway.gateway import Gateway
from modelsat.gateway.json_endpoint import read_form
from modelsat.gateway.model_names import AUTO
from modelsat.gateway.records import Caller, FeedbackRecord


class FeedbackForm(BaseModel):
    """What became of one decision."""

    model_config = ConfigDict(extra="forbid")
    decision_id: Annotated[str, Field(min_length=1, max_length=100)]
    score: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Api:
    """Lists models and takes feedback.

    Args:
        gateway: Its parts.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def models(self, scope: Scope, members: dict[str, Any], caller: Caller) -> object:
        """What may be written as `model`."""
        return {"object": "list", "data": [_model(name) for name in self._names(caller)]}

    async def model(self, scope: Scope, members: dict[str, Any], caller: Caller) -> object:
        """One of them."""
        name = scope["path_params"]["name"]
        if name not in self._names(caller):
            raise GatewayError(
                f"There is no model {name[:100]!r}; GET /v1/models lists them.",
                status=404,
                code="model_not_found",
                param="model",
            )
        return _model(name)

    async def feedback(self, scope: Scope, members: dict[str, Any], caller: Caller) -> object:
        """Note what became of a decision."""
        gateway, form = self._gateway, read_form(members, FeedbackForm)
        if not await gateway.journal.known_decision(form.decision_id, caller.key_id):
            raise GatewayError(
                "There is no such decision; send the x-modelsat-decision-id of an answer to this API key.",
                status=404,
                code="decision_not_found",
                param="decision_id",
            )
        record = FeedbackRecord(decision_id=form.decision_id, at=gateway.now(), score=form.score)
        if not gateway.write(record):
            raise GatewayError(
                "The feedback could not be noted; try again.",
                status=503,
                code="journal_busy",
                retry_after=1.0,
            )
        return {"decision_id": form.decision_id, "score": form.score}

    def _names(self, caller: Caller) -> list[str]:
        zoo, allowed = self._gateway.state.zoo, caller.allowed_candidates
        candidates = [
            candidate.name
            for candidate in zoo.candidates
            if candidate.endpoint is not None and (allowed is None or candidate.name in allowed)
        ]
        return [AUTO, *candidates]


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "modelsat"}
