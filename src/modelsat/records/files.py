"""Reading and writing small files: text, JSON checked against a format, JSON Lines; text replaced in one step.

Knows nothing of what the files mean; the formats live beside the types they describe.
"""

import json
import os
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from modelsat.errors import DataError
from modelsat.types.validation import describe_faults

Format = TypeVar("Format")

_BOM = "\ufeff"
_PACKED = frozenset({".gz", ".zst", ".xz", ".bz2", ".zip"})
# What is not text by its first bytes: what it is instead, and what to do about it.
_NOT_TEXT = {
    b"\x1f\x8b": ("compressed with gzip", "unpack it with gunzip"),
    b"\x28\xb5\x2f\xfd": ("compressed with zstd", "unpack it with zstd -d"),
    b"\xfd7zXZ\x00": ("compressed with xz", "unpack it with unxz"),
    b"PK\x03\x04": ("a zip archive or an Excel workbook", "unpack it, or save the sheet as CSV"),
    b"PAR1": ("a parquet file", "name it .parquet, or convert it to text"),
    b"\xff\xfe": ("in UTF-16", "save it as UTF-8"),
    b"\xfe\xff": ("in UTF-16", "save it as UTF-8"),
}


def read_bytes(path: Path) -> bytes:
    """Read a text file as bytes, without a byte order mark.

    Raises:
        DataError: It is missing or unreadable, or no text but compressed, an archive or in UTF-16; says which.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; check the path.") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None
    for beginning, (what, mend) in _NOT_TEXT.items():
        if content.startswith(beginning):
            raise DataError(f"{path}: is {what}; {mend}.")
    return content.removeprefix(_BOM.encode())


def packed_hint(folder: Path, names: re.Pattern[str]) -> str:
    """Part of a sentence on a compressed file below a folder that is looked for unpacked; empty where there is none."""
    packed = (
        file for file in sorted(folder.rglob("*")) if file.suffix in _PACKED and names.fullmatch(file.stem)
    )
    return next((f" ({file.relative_to(folder)} is compressed: unpack it)" for file in packed), "")


def read_text(path: Path) -> str:
    """Read a UTF-8 file, with or without a byte order mark; every line ends in a newline only.

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


def load_json(text: str, where: str) -> Any:  # noqa: ANN401  # JSON may hold anything
    """Read JSON.

    Args:
        text: The JSON text.
        where: What to call the text in errors, usually its path.

    Raises:
        DataError: It is not JSON; names the line.
    """
    try:
        return json.loads(text.removeprefix(_BOM))
    except json.JSONDecodeError as error:
        raise DataError(f"{where}:{error.lineno}: not JSON ({error.msg}).") from None
    except (ValueError, RecursionError):
        raise DataError(f"{where}: not JSON (a number or nesting too large).") from None


def load_toml(text: str, where: str) -> dict[str, Any]:
    """Read TOML; `where` and errors as for `load_json`."""
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise DataError(f"{where}: not TOML: {error}.") from None


def read_lines(path: Path) -> Iterator[tuple[int, Any, str]]:
    """Read a file with one JSON value per line, past lines that hold none.

    Yields:
        Number of the line (from 1), its value, and what is wrong with it (then the value is None); nothing for blank
        lines.

    Raises:
        DataError: The file is missing or unreadable.
    """
    # Split at newlines only: texts may hold other separators (U+2028).
    for number, content in enumerate(read_bytes(path).split(b"\n"), start=1):
        if not content.strip():
            continue
        try:
            yield number, json.loads(content.decode()), ""
        except UnicodeDecodeError:
            yield number, None, "not UTF-8; save the file as UTF-8"
        except json.JSONDecodeError as error:
            yield number, None, f"not JSON ({error.msg})"
        except (ValueError, RecursionError):
            yield number, None, "not JSON (a number or nesting too large)"


def read_objects(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read a file with one JSON object per line.

    Yields:
        Where an object stands, for errors, and the object.

    Raises:
        DataError: The file is missing or unreadable, or a line holds none; names the line.
    """
    for number, value, fault in read_lines(path):
        if fault or not isinstance(value, dict):
            fault = fault or f"holds a {type(value).__name__}"
            raise DataError(f"{path}:{number}: {fault}; expected one JSON object per line.")
        yield f"{path}:{number}", value


def parse_json(text: str, form: type[Format], where: str) -> Format:
    """Read one JSON object of a known form.

    Args:
        text: The JSON text.
        form: The pydantic model or dataclass of the file format.
        where: What to call the text in errors, usually its path.

    Raises:
        DataError: It is not JSON, or not of that form; names the file and the field.
    """
    value = load_json(text, where)
    if not isinstance(value, dict):
        raise DataError(f"{where}: holds a {type(value).__name__}; expected one JSON object.")
    return parse_object(value, form, where)


def parse_object(value: object, form: type[Format], where: str) -> Format:
    """Check an object that was read from JSON or TOML against its form; see `parse_json`."""
    try:
        return _adapter(form).validate_python(value)  # type: ignore[arg-type,no-any-return]
    except ValidationError as error:
        raise DataError(f"{where}: {describe_faults(error, value)}") from None


@cache
def _adapter(form: type[Any]) -> TypeAdapter[Any]:
    # Made once: it takes a millisecond, and a file may have an object on each line.
    return TypeAdapter(form)


def read_json(path: Path, form: type[Format]) -> Format:
    """Read a JSON file of a known form; see `parse_json`."""
    return parse_json(read_text(path), form, str(path))
