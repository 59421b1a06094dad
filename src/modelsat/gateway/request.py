"""What a client asks for: which model, of what kind, how long, and the text that it is routed on.

Reads what routing needs and leaves the rest to the upstream: a field that is unknown or odd here is no error here.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from modelsat.errors import DataError
from modelsat.gateway.body import JsonBody
from modelsat.gateway.headers import Headers
from modelsat.gateway.overrides import Overrides, read_overrides, refused
from modelsat.routing.pricing import instruction_tokens
from modelsat.routing.requests import Request, to_instruction
from modelsat.types import Instruction, InstructionKind

Kind = Literal["chat/completions", "completions"]
# The router reads the beginning and the end of a long text; more than this would be read for nothing.
ROUTED_CHARACTERS = 8_000
IMAGE_TOKENS = 1_000
MESSAGE_TOKENS = 4
_OUTPUT_LIMITS = ("max_completion_tokens", "max_tokens")
# Types of content parts, and what a candidate must accept to be given one.
_MODALITIES = {
    "image_url": "image",
    "input_audio": "audio",
    "video_url": "video",
    "file": "file",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRequest:
    """One request for a completion.

    Attributes:
        kind: Which API, as the end of its path.
        body: As it came.
        model: The model name that the client wrote.
        overrides: What the request says about its own routing.
        tokens: Estimate of the tokens that a candidate will read.
        output_tokens: How many it may write; None where the client does not say.
        modalities: What the content holds besides text.
        tools: Whether tools are offered.
        instruction: What is routed on; None where there is no text to read.
        messages: The chat; empty for completions.
        user: The client's name for its user, or empty.
    """

    kind: Kind
    body: JsonBody
    model: str
    overrides: Overrides
    tokens: int
    output_tokens: int | None
    modalities: frozenset[str]
    tools: bool
    instruction: Instruction | None
    messages: tuple[Mapping[str, Any], ...] = ()
    user: str = ""

    @property
    def task_kind(self) -> InstructionKind:
        """What kind of task it looks like."""
        return "open" if self.instruction is None else self.instruction.kind


def read_request(kind: Kind, body: JsonBody, headers: Headers) -> ClientRequest:
    """Read what routing needs.

    Args:
        kind: Which API.
        body: As it came.
        headers: As they came, names in lower case.

    Raises:
        GatewayError: 400 where the model name, the messages or `metadata.modelsat` are not what they must be.
    """
    members = body.members
    model = members.get("model")
    if not isinstance(model, str) or not model:
        raise refused(
            "'model' is missing; write auto, a policy such as auto:best, or a candidate's name", "model"
        )
    messages = _messages(members) if kind == "chat/completions" else ()
    texts, parts = _content(messages) if kind == "chat/completions" else (_prompts(members.get("prompt")), [])
    modalities = {_MODALITIES[part] for part in parts if part in _MODALITIES}
    wanted = members.get("modalities")
    if isinstance(wanted, list):
        modalities |= {name for name in wanted if isinstance(name, str) and name != "text"}
    offered = [members[name] for name in ("tools", "functions") if members.get(name)]
    tokens = sum(map(instruction_tokens, texts)) + MESSAGE_TOKENS * len(messages)
    tokens += IMAGE_TOKENS * sum(part == "image_url" for part in parts)
    tokens += instruction_tokens(json.dumps(offered)) if offered else 0
    limits = [members[name] for name in _OUTPUT_LIMITS if _is_count(members.get(name))]
    return ClientRequest(
        kind=kind,
        body=body,
        model=model,
        overrides=read_overrides(members.get("metadata"), headers),
        tokens=max(1, tokens),
        output_tokens=limits[0] if limits else None,
        modalities=frozenset(modalities),
        tools=bool(offered),
        instruction=_instruction(messages or "\n".join(texts)),
        messages=messages,
        user=members["user"] if isinstance(members.get("user"), str) else "",
    )


def clip(text: str) -> str:
    """What the router reads of a text: its beginning and its end, without halves of characters."""
    half = ROUTED_CHARACTERS // 2
    clipped = text if len(text) <= ROUTED_CHARACTERS else f"{text[:half]}\n{text[-half:]}"
    return clipped.encode(errors="replace").decode()


def _messages(members: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    messages = members.get("messages")
    if not isinstance(messages, list) or not messages:
        raise refused("'messages' must be a list of at least one message", "messages")
    for number, message in enumerate(messages):
        if not isinstance(message, dict):
            raise refused(
                f"messages[{number}] must be an object with role and content", f"messages[{number}]"
            )
    return tuple(messages)


def _content(messages: Iterable[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """All texts of a chat, and the types of its parts."""
    texts, parts = [], []
    for message in messages:
        content = message.get("content")
        if isinstance(content, str):
            texts.append(content)
        elif isinstance(content, list):
            for part in content:
                if isinstance(part, dict) and isinstance(part.get("type"), str):
                    parts.append(part["type"])
                    texts += [part["text"]] if isinstance(part.get("text"), str) else []
        if message.get("tool_calls"):
            texts.append(json.dumps(message["tool_calls"]))
    return texts, parts


def _prompts(prompt: object) -> list[str]:
    """Texts of a completion's prompt; none where it is given as tokens."""
    prompts = prompt if isinstance(prompt, list) else [prompt]
    return [text for text in prompts if isinstance(text, str)]


def _instruction(request: Request) -> Instruction | None:
    try:
        instruction = to_instruction(request)
    except DataError:
        # A chat without words of the user is for the upstream to judge.
        return None
    return replace(instruction, text=clip(instruction.text))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
