"""Secrets stay out of messages, logs, journals, cards and errors.

Credentials are noted where they are read (`note_secret`); everything that leaves the process as text for people or
files passes through `redact`. Environment variables whose names end in KEY, TOKEN, SECRET or PASSWORD count as noted.
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
_PLACEHOLDERS = frozenset({"empty", "dummy", "token", "secret", "password", "local", "sk-no-key-required"})
_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD)$", re.IGNORECASE)

_noted: set[str] = set()


def note_secret(value: str | None) -> None:
    """Note a credential that the process has read; None, very short values and placeholders are ignored."""
    if value and len(value) >= _SHORTEST and value.lower() not in _PLACEHOLDERS and value not in _noted:
        _noted.add(value)
        _pattern.cache_clear()


def redact(text: str) -> str:
    """A text without any noted secret: as it is, and as JSON, HTML, URLs and Base64 write it."""
    pattern = _pattern()
    return text if pattern is None else pattern.sub(REDACTED, text)


@cache
def _pattern() -> re.Pattern[str] | None:
    named = {
        value for name, value in os.environ.items() if _SECRET_NAME.search(name) and len(value) >= _DISTINCT
    }
    forms = {form for secret in _noted | named for form in _forms(secret)}
    if not forms:
        return None
    # The longest first: a secret may be the beginning of another.
    return re.compile("|".join(_bounded(form) for form in sorted(forms, key=lambda form: (-len(form), form))))


def _forms(secret: str) -> set[str]:
    raw = secret.encode()
    encoded = {base64.b64encode(raw).decode().rstrip("="), base64.urlsafe_b64encode(raw).decode().rstrip("=")}
    return {
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret).replace("/", r"\/")[1:-1],
        html.escape(secret),
        quote(secret, safe=""),
        *encoded,
    }


def _bounded(form: str) -> str:
    exact = re.escape(form)
    return exact if len(form) >= _DISTINCT else rf"(?<![\w-]){exact}(?![\w-])"
