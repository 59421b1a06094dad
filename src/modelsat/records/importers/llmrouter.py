"""The routing data of LLMRouter (ulab-uiuc): JSONL, one line is one model's answer to one query.

Fields: task_name, query, ground_truth, metric, choices (JSON in a string), model_name, performance, output_tokens,
response_time and others that are not looked at.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from modelsat.errors import DataError
from modelsat.records.importers.columns import jsonl_rows
from modelsat.records.importers.gather import SourceRow
from modelsat.records.importers.questions import answer_letter, digest, kind_of, lettered, texts

_NEEDED = ("query", "model_name", "performance")


def llmrouter_rows(path: Path) -> Iterator[SourceRow]:
    """Read one JSONL file.

    Raises:
        DataError: The file is missing.
    """
    for row in jsonl_rows(path):
        if row.values is None:
            yield row
            continue
        try:
            values = _values(row.values)
        except DataError as error:
            yield SourceRow(file=path, line=row.line, fault=str(error))
        else:
            yield SourceRow(file=path, line=row.line, values=values)


def _values(record: Mapping[str, Any]) -> dict[str, Any]:
    missing = [name for name in _NEEDED if record.get(name) is None]
    if missing:
        raise DataError(f"field {missing[0]!r} is missing; the line has {', '.join(map(str, record))}")
    query, task = record["query"], str(record.get("task_name") or "llmrouter")
    if not isinstance(query, str):
        raise DataError(f"query is {str(query)[:40]!r}; expected text")
    choices = _choices(record.get("choices"))
    answer = answer_letter(record.get("ground_truth"), choices)
    metric = record.get("metric")
    return {
        # What LLMRouter itself tells queries apart by.
        "instruction_id": f"{task}/{digest(query, str(record.get('ground_truth')), str(metric))}",
        "dataset": task,
        "task": task,
        "kind": kind_of(choices, answer),
        "text": lettered(query, choices),
        "choices": choices,
        "answer": answer,
        "model": record["model_name"],
        "score": record["performance"],
        "output_tokens": record.get("output_tokens"),
        "latency_s": record.get("response_time"),
        "source": f"llmrouter {metric}" if metric else "llmrouter",
    }


def _choices(value: Any) -> list[str]:  # noqa: ANN401
    if isinstance(value, str) and value.strip():
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise DataError(f"choices are {value[:40]!r}, which is not JSON") from None
    return texts(value)
