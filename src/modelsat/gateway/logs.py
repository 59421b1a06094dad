"""Logs as JSON, one object a line, with the decision's id in every line about a request.

Keys never get here; what users wrote does only where `log_prompts` is set.
"""

import json
import logging
from datetime import UTC, datetime
from typing import Any

from modelsat.redaction import redact

logger = logging.getLogger("modelsat.gateway")
_FIELDS = "modelsat_fields"


def log(event: str, *, level: int = logging.INFO, **fields: Any) -> None:  # noqa: ANN401 - any JSON value
    """Write a line.

    Args:
        event: What happened, in one word.
        level: Of the line.
        fields: What else is known; None is left out.
    """
    if logger.isEnabledFor(level):
        known = {name: value for name, value in fields.items() if value is not None}
        logger.log(level, event, extra={_FIELDS: known})


class JsonFormatter(logging.Formatter):
    """A log record as one line of JSON, whoever made it."""

    def format(self, record: logging.LogRecord) -> str:
        """Time, level and event, then what belongs to it."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        if record.name != logger.name:
            line["logger"] = record.name
        line |= getattr(record, _FIELDS, {})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return redact(json.dumps(line, ensure_ascii=False, default=str))
