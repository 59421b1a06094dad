"""Reading and writing small files: JSON checked against a format, text replaced in one step.

Knows nothing of what the files mean; the formats live beside the types they describe.
"""

import json
import os
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from modelsat.errors import DataError
from modelsat.types.validation import describe_faults

Format = TypeVar("Format")


def read_bytes(path: Path) -> bytes:
    """Read a file as it is.

    Raises:
        DataError: It is missing or unreadable.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; check the path.") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None


def read_text(path: Path) -> str:
    """Read a UTF-8 file.

    Raises:
        DataError: It is missing, unreadable or not UTF-8.
    """
    try:
        return read_bytes(path).decode().replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8.") from None


def write_text(path: Path, text: str) -> None:
    """Write a file in one step: a reader sees the old text or the new, never half of it.

    Raises:
        DataError: The file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise DataError(f"{path}: cannot be written ({error.strerror}).") from None


def parse_json(text: str, form: type[Format], where: str) -> Format:
    """Read one JSON object of a known form.

    Args:
        text: The JSON text.
        form: The pydantic model or dataclass of the file format.
        where: What to call the text in errors, usually its path.

    Raises:
        DataError: It is not JSON, or not of that form; names the file and the field.
    """
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{where}:{error.lineno}: not JSON ({error.msg}).") from None
    if not isinstance(value, dict):
        raise DataError(f"{where}: holds a {type(value).__name__}; expected one JSON object.")
    return parse_object(value, form, where)


def parse_object(value: object, form: type[Format], where: str) -> Format:
    """Check an object that was read from JSON or TOML against its form; see `parse_json`."""
    try:
        return TypeAdapter(form).validate_python(value)
    except ValidationError as error:
        raise DataError(f"{where}: {describe_faults(error)}") from None


def read_json(path: Path, form: type[Format]) -> Format:
    """Read a JSON file of a known form; see `parse_json`."""
    return parse_json(read_text(path), form, str(path))
