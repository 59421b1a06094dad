"""Secrets stay out of messages, logs, journals, cards and errors.

Credentials are noted where they are read (`note_secret`); everything that leaves the process as text for people or
files passes through `redact`, and answers that are relayed through a `ByteMask`. Environment variables that are named
and look like credentials count as noted.
"""

import base64
import html
import json
import os
import re
from functools import cache
from urllib.parse import quote

REDACTED = "[redacted]"
# Shorter values, such as the "none" and "x" that local servers accept, are no secrets, and occur in other words.
_SHORTEST = 5
# Values of fewer characters are replaced as whole words only.
_DISTINCT = 12
# What people set where a local server wants any key at all.
_PLACEHOLDERS = frozenset(
    {
        "anything",
        "changeme",
        "dummy",
        "empty",
        "fake",
        "llamacpp",
        "lm-studio",
        "lmstudio",
        "local",
        "localhost",
    }
    | {
        "no-key",
        "no-key-required",
        "not-needed",
        "ollama",
        "password",
        "secret",
        "sk-no-key-required",
        "token",
    }
)
_SECRET_NAME = re.compile(r"((API|ACCESS|SECRET|PRIVATE)_?KEY|TOKEN|SECRET|PASSWORD)$", re.IGNORECASE)
# Letters, digits and no blank, so that a variable such as PAD_TOKEN=<|endoftext|> hides no word of the output.
_SECRET_VALUE = re.compile(rf"(?=.*[a-zA-Z])(?=.*\d)\S{{{_DISTINCT},}}")

_noted: set[str] = set()


def note_secret(value: str | None) -> None:
    """Note a credential that the process has read; None, very short values and placeholders are ignored."""
    if value and len(value) >= _SHORTEST and value.lower() not in _PLACEHOLDERS and value not in _noted:
        _noted.add(value)
        _known.cache_clear()


def redact(text: str) -> str:
    """A text without any noted secret: as it is, and as JSON, HTML, URLs and Base64 write it."""
    anywhere, words = _known()
    for form in anywhere:
        text = text.replace(form, REDACTED)
    return text if words is None else words.sub(REDACTED, text)


class ByteMask:
    """Overwrites one secret in a body that arrives in pieces, with as many asterisks: its length stays.

    Args:
        secret: The credential that was sent to whoever answers. None, or one of fewer than 12 characters, which an
            answer may contain by chance, masks nothing.
    """

    def __init__(self, secret: str | None) -> None:
        forms = _forms(secret) if secret and len(secret) >= _DISTINCT else set()
        self._forms = sorted((form.encode() for form in forms), key=len, reverse=True)
        self._held = b""

    def feed(self, piece: bytes) -> bytes:
        """The next piece; an end that may be the beginning of the secret is held back."""
        if not self._forms:
            return piece
        piece = self._held + piece
        for form in self._forms:
            piece = piece.replace(form, b"*" * len(form))
        held = max(_overlap(piece, form) for form in self._forms)
        self._held = piece[len(piece) - held :]
        return piece[: len(piece) - held]

    def end(self) -> bytes:
        """What was held back."""
        held, self._held = self._held, b""
        return held


def _overlap(piece: bytes, form: bytes) -> int:
    """Length of the longest end of a piece with which a form begins; not all of the form."""
    at = piece.find(form[:1], max(0, len(piece) - len(form) + 1))
    while at >= 0 and not form.startswith(piece[at:]):
        at = piece.find(form[:1], at + 1)
    return len(piece) - at if at >= 0 else 0


@cache
def _known() -> tuple[tuple[str, ...], re.Pattern[str] | None]:
    """Forms of all secrets that are replaced anywhere, and a pattern of those that are replaced as words."""
    named = {
        value
        for name, value in os.environ.items()
        if _SECRET_NAME.search(name) and _SECRET_VALUE.fullmatch(value)
    }
    # The longest first: a secret may be the beginning of another.
    forms = sorted({form for secret in _noted | named for form in _forms(secret)}, key=len, reverse=True)
    words = "|".join(re.escape(form) for form in forms if len(form) < _DISTINCT)
    pattern = re.compile(rf"(?<![\w-])({words})(?![\w-])") if words else None
    return tuple(form for form in forms if len(form) >= _DISTINCT), pattern


def _forms(secret: str) -> set[str]:
    """The secret as it is, and as it stands in JSON (also as Go and PHP write it), HTML, URLs and Base64."""
    escaped = json.dumps(secret)[1:-1]
    angled = escaped.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")
    urls = {quote(secret, safe=""), quote(secret)}
    forms = {secret, escaped, angled, escaped.replace("/", r"\/"), html.escape(secret)}
    forms |= urls | {re.sub("%..", lambda code: code[0].lower(), url) for url in urls}
    if len(secret) >= _DISTINCT:
        encoded = {_inner_base64(secret.encode(), before) for before in range(3)}
        forms |= encoded | {form.replace("+", "-").replace("/", "_") for form in encoded}
    return forms


def _inner_base64(raw: bytes, before: int) -> str:
    """What Base64 makes of a secret that follows other bytes: those characters that depend on nothing else.

    Args:
        raw: The secret.
        before: Bytes before it, modulo 3.
    """
    encoded = base64.b64encode(bytes(before) + raw).decode().rstrip("=")
    complete = (before + len(raw)) % 3 == 0
    return encoded[(0, 2, 3)[before] : None if complete else -1]
