"""The gateway's APIs as an OpenAPI document: what is sent, what comes back, and how it fails."""

from typing import Any, get_args

from pydantic import TypeAdapter

from modelsat import __version__
from modelsat.gateway.api import FeedbackForm
from modelsat.gateway.overrides import Overrides
from modelsat.gateway.records import Origin
from modelsat.gateway.route_api import RouteBatchForm, RouteForm
from modelsat.types import Comparison

Schema = dict[str, Any]
_REF = "#/components/schemas/"
_FORMS = (Comparison, FeedbackForm, Overrides, RouteBatchForm, RouteForm)
_FAULTS = {
    400: "Malformed, or no candidate can take it: the message says which constraint removed whom.",
    401: "No API key, or an unknown one.",
    403: "The key was revoked, has spent its budget, or may not use this candidate.",
    404: "No such model or decision.",
    413: "The body is too large.",
    415: "The body is not application/json.",
    429: "Too many requests of this key, or of all; see Retry-After.",
    500: "A fault of the gateway.",
    502: "No candidate answered.",
    503: "The router is still loading, or all candidates are left alone after failures; see Retry-After.",
    504: "No candidate answered in time.",
}


def openapi_document() -> Schema:
    """The document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Model-SAT gateway",
            "version": __version__,
            "description": "OpenAI-compatible; sends each request to the candidate most likely to get it right.",
        },
        "security": [{}, {"key": []}],
        "paths": {
            "/v1/chat/completions": {"post": _operation("Answer a chat", _reference("ChatRequest"), _ANY)},
            "/v1/completions": {"post": _operation("Continue a text", _reference("CompletionRequest"), _ANY)},
            "/v1/route": {
                "post": _operation(
                    "Decide who would answer, and why",
                    {"anyOf": [_reference("RouteForm"), _reference("RouteBatchForm")]},
                    {"anyOf": [_reference("Decision"), _DECISIONS]},
                )
            },
            "/v1/feedback": {
                "post": _operation(
                    "Tell what became of a decision", _reference("FeedbackForm"), _reference("FeedbackForm")
                )
            },
            "/v1/models": {"get": _operation("List models", None, _reference("Models"))},
            "/v1/models/{name}": {
                "get": _operation("One model", None, _reference("Model"))
                | {
                    "parameters": [
                        {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
                    ]
                }
            },
            "/healthz": {"get": _plain("Whether the process answers", 200)},
            "/readyz": {"get": _plain("Whether requests can be routed", 200, 503)},
        },
        "components": {
            "schemas": _SCHEMAS | _form_schemas(),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _form_schemas() -> Schema:
    schemas: Schema = {}
    for form in _FORMS:
        schema = TypeAdapter(form).json_schema(ref_template=_REF + "{model}")
        schemas |= schema.pop("$defs", {}) | {form.__name__: schema}
    return schemas


def _reference(name: str) -> Schema:
    return {"$ref": _REF + name}


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _operation(summary: str, body: Schema | None, answer: Schema) -> Schema:
    answered: Schema = {"description": "The answer.", "content": _json(answer)}
    if answer is _ANY:
        answered["content"] |= {"text/event-stream": {"schema": {"type": "string"}}}
        answered["headers"] = _HEADERS
    faults = {
        str(status): {"description": what, "content": _json(_reference("Error"))}
        for status, what in _FAULTS.items()
    }
    operation: Schema = {
        "summary": summary,
        "responses": {"200": answered, **faults},
    }
    if body is not None:
        operation["requestBody"] = {"required": True, "content": _json(body)}
    return operation


def _plain(summary: str, *statuses: int) -> Schema:
    state = {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}}
    answers = {str(status): {"description": "How it is.", "content": _json(state)} for status in statuses}
    return {"summary": summary, "security": [], "responses": answers}


def _object(properties: Schema, *optional: str) -> Schema:
    return {
        "type": "object",
        "required": [name for name in properties if name not in optional],
        "properties": properties,
    }


_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "number"}
_MAYBE: Schema = {"type": ["number", "null"]}
_ORIGIN: Schema = {
    "type": "string",
    "enum": list(get_args(Origin)),
    "description": "What decided: the router's scores, overall level alone, the client by name, or the conversation's "
    "earlier choice.",
}
_TEXTS: Schema = {"type": "array", "items": _TEXT}
_ANY: Schema = {"type": "object", "description": "What the candidate answered, as it was sent."}
_MODEL: Schema = {
    "type": "string",
    "minLength": 1,
    "description": "auto, auto:best, auto:cheapest-above=0.6, auto:value=0.01, or a candidate's name.",
    "examples": ["auto"],
}
_HEADERS: Schema = {
    "x-modelsat-decision-id": {"schema": _TEXT, "description": "For /v1/feedback."},
    "x-modelsat-candidate": {"schema": _TEXT, "description": "Who answers."},
    "x-modelsat-origin": {
        "schema": {"type": "string", "enum": [*get_args(Origin), "fallback"]},
        "description": "Why this candidate answers; fallback: the one decided for gave no answer.",
    },
    "x-modelsat-policy": {"schema": _TEXT, "description": "Named where the client named a candidate."},
    "x-modelsat-score": {"schema": _TEXT, "description": "Its P(right); absent where no router was asked."},
    "x-modelsat-route-ms": {"schema": _TEXT, "description": "Milliseconds to the decision."},
}
_METADATA: Schema = {"type": "object", "properties": {"modelsat": _reference("Overrides")}}
_MESSAGE: Schema = _object(
    {"role": {"enum": ["system", "developer", "user", "assistant", "tool"]}, "content": {}}, "content"
)
_DECISIONS: Schema = _object({"decisions": {"type": "array", "items": _reference("Decision")}})
_SCHEMAS: Schema = {
    "ChatRequest": _object(
        {
            "model": _MODEL,
            "messages": {"type": "array", "minItems": 1, "items": _MESSAGE},
            "stream": {"type": "boolean"},
            "max_tokens": {"type": "integer", "minimum": 0},
            "metadata": _METADATA,
        },
        "stream",
        "max_tokens",
        "metadata",
    ),
    "CompletionRequest": _object(
        {
            "model": _MODEL,
            "prompt": {"anyOf": [_TEXT, _TEXTS]},
            "stream": {"type": "boolean"},
            "metadata": _METADATA,
        },
        "stream",
        "metadata",
    ),
    "Decision": _object(
        {
            "id": _TEXT,
            "candidate": _TEXT,
            "probability": _MAYBE,
            "policy": _TEXT,
            "origin": _ORIGIN,
            "ranking": {
                "type": "array",
                "items": _object({"candidate": _TEXT, "probability": _NUMBER, "expected_cost": _MAYBE}),
            },
            "removed": {"type": "object", "additionalProperties": _TEXT},
            "reasons": _TEXTS,
            "tasks": {"type": "array", "items": _object({"task": _TEXT, "weight": _NUMBER})},
            "comparison": {"anyOf": [_reference("Comparison"), {"type": "null"}]},
            "route_ms": _NUMBER,
        }
    ),
    "Model": _object(
        {"id": _TEXT, "object": {"const": "model"}, "created": {"type": "integer"}, "owned_by": _TEXT}
    ),
    "Models": _object({"object": {"const": "list"}, "data": {"type": "array", "items": _reference("Model")}}),
    "Error": _object(
        {
            "error": _object(
                {
                    "message": _TEXT,
                    "type": _TEXT,
                    "param": {"type": ["string", "null"]},
                    "code": {"type": ["string", "null"]},
                }
            )
        }
    ),
}
