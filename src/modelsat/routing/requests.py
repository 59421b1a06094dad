"""From what a client sends to what a router reads: text, or a chat as a list of role/content messages.

Of a chat, the router reads the last user turn: that is the request to be answered. A short one ("And in
French?") says little alone, so the turns before it are put in front, latest first to be kept, each up to what
is left of `CONTEXT_CHARACTERS`. Nothing is put in front of a turn of `SELF_CONTAINED` characters or more.

A system prompt is the same from request to request and disturbs what the router reads of each, so it is read only where
the turns say next to nothing ("Fix this."): in front of less than `TELLING` characters go the first
`SYSTEM_CHARACTERS` of the first system (or developer) message. Tool messages are left out.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from modelsat.errors import DataError
from modelsat.types import Instruction, InstructionKind

SELF_CONTAINED = 200
CONTEXT_CHARACTERS = 400
TELLING = 60
SYSTEM_CHARACTERS = 120
CONVERSATION_ROLES = ("user", "assistant")
SYSTEM_ROLES = ("system", "developer")

# Of a request, what is read for its kind.
KIND_CHARACTERS = 4_000
_KINDS: tuple[tuple[InstructionKind, re.Pattern[str]], ...] = (
    ("multiple_choice", re.compile(r"^\s*\(?A[).:]\s.*\n\s*\(?B[).:]\s", re.MULTILINE)),
    (
        "code",
        re.compile(
            r"```|\b(python|javascript|typescript|java|rust|golang|sql|html|css|regex|bash|c\+\+)(?!\w)"
            r"|\b(write|implement|refactor|debug|fix)\b[^.?!\n]{0,60}\b(function|class|method|script|program|query|code)\b",
            re.IGNORECASE,
        ),
    ),
    (
        "numeric",
        re.compile(
            r"\b(how (many|much)|calculate|compute|solve|evaluate|probability|percent(age)?|integral|derivative"
            r"|find (all|the (value|number|sum)))\b|\d\s*[-+*/^=]\s*\d",
            re.IGNORECASE,
        ),
    ),
)

Request = str | Instruction | Sequence[Mapping[str, Any]]


def to_instruction(request: Request, *, id: str = "") -> Instruction:
    """Read a request in any of its forms.

    Args:
        request: Text, an instruction, or chat messages as the OpenAI API has them.
        id: What to call it; by default a hash of the text, so that the same text has the same id.

    Raises:
        DataError: The request is empty, or is not a list of messages with role and content.
    """
    if isinstance(request, Instruction):
        instruction = request
    elif isinstance(request, str):
        instruction = Instruction(id=id or _text_id(request), text=request, kind=guess_kind(request))
    else:
        text, images = read_messages(request)
        instruction = Instruction(id=id or _text_id(text), text=text, kind=guess_kind(text), images=images)
    if not instruction.text.strip():
        raise DataError("the instruction is empty; give it at least one word.")
    return instruction


def guess_kind(text: str) -> InstructionKind:
    """The kind of task that a live request looks like, for the length of its answer; "open" where nothing tells."""
    read = text[:KIND_CHARACTERS]
    return next((kind for kind, sign in _KINDS if sign.search(read)), "open")


def read_messages(messages: Sequence[Mapping[str, Any]]) -> tuple[str, tuple[str, ...]]:
    """Text and image references that a chat is routed by.

    Args:
        messages: Each with `role` and `content`; content is text, or a list of text and image_url parts.

    Returns:
        The text as the module's docstring says, and the references of the last user turn's images.

    Raises:
        DataError: A message is malformed, or no user turn has content.
    """
    if not isinstance(messages, Sequence):
        raise DataError("chat messages: expected a list of objects with role and content.")
    turns = [_read_message(index, message) for index, message in enumerate(messages)]
    conversation = [turn for turn in turns if turn[0] in CONVERSATION_ROLES and (turn[1].strip() or turn[2])]
    last_user = max((i for i, (role, _, _) in enumerate(conversation) if role == "user"), default=None)
    if last_user is None:
        raise DataError("chat messages: no user message with content; add one with role 'user'.")
    _, text, images = conversation[last_user]
    parts = [text.strip()]
    if len(parts[0]) < SELF_CONTAINED:
        left = CONTEXT_CHARACTERS
        for _, earlier, _ in reversed(conversation[:last_user]):
            # The beginning of a turn names its subject.
            clipped = earlier.strip()[:left]
            if not clipped:
                break
            parts.insert(0, clipped)
            left -= len(clipped)
    if sum(map(len, parts)) < TELLING:
        prompts = (text.strip() for role, text, _ in turns if role in SYSTEM_ROLES)
        parts.insert(0, next(filter(None, prompts), "")[:SYSTEM_CHARACTERS].strip())
    return "\n\n".join(part for part in parts if part), images


def looks_like_messages(value: object) -> bool:
    """Whether a JSON value is a chat rather than anything else."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, dict) and "role" in item for item in value)
    )


def _read_message(index: int, message: object) -> tuple[str, str, tuple[str, ...]]:
    where = f"chat message {index + 1}"
    if not isinstance(message, Mapping):
        raise DataError(f"{where}: found {type(message).__name__}; expected an object with role and content.")
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str):
        raise DataError(f"{where}: role is {role!r}; expected 'system', 'user', 'assistant' or 'tool'.")
    if content is None:
        return role, "", ()
    if isinstance(content, str):
        return role, content, ()
    if not isinstance(content, list):
        raise DataError(f"{where}: content is {type(content).__name__}; expected text or a list of parts.")
    texts, images = [], []
    for part in content:
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind == "text" and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif kind == "image_url":
            source = part.get("image_url")
            images.append(str(source.get("url", "") if isinstance(source, Mapping) else source))
        elif kind is None:
            raise DataError(
                f"{where}: a part of its content has no type; expected 'text' or 'image_url' parts."
            )
    return role, "\n".join(texts), tuple(images)


def _text_id(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()[:12]
