"""RouterBench's wide table: one row is one prompt, with a column of scores per model.

Columns: sample_id, prompt, eval_name, then per model its score under the model's name, "MODEL|model_response" and
"MODEL|total_cost", and last oracle_model_to_route_to. The published files are pickles of a pandas table; a pickle runs
whatever code its writer put into it, so that one is read on explicit trust only.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from modelsat.errors import DataError, MissingExtraError
from modelsat.records.importers.columns import csv_rows
from modelsat.records.importers.gather import SourceRow

_NEEDED = ("sample_id", "prompt", "eval_name")
_MARKS = ("|total_cost", "|model_response")
_PICKLES = (".pkl", ".pickle")


def routerbench_rows(
    path: Path, *, trust_pickle: bool = False, delimiter: str | None = None
) -> Iterator[SourceRow]:
    """Read a wide table; every cell with a score is a row.

    Args:
        path: A CSV file, or a pickled pandas table.
        trust_pickle: Read a pickle, which may run any code.
        delimiter: Of a CSV file, as for `csv_rows`.

    Raises:
        DataError: The file is missing, has other columns, or is a pickle without trust.
        MissingExtraError: It is a pickle, and pandas is not installed.
    """
    models: list[str] | None = None
    pickled = path.suffix in _PICKLES
    for row in _pickle_rows(path, trust_pickle) if pickled else csv_rows(path, delimiter=delimiter):
        if row.values is None:
            yield row
            continue
        if models is None:
            models = _models(path, row.values)
        yield from _cells(row, row.values, models)


def _models(path: Path, columns: Iterable[str]) -> list[str]:
    names = list(columns)
    missing = [name for name in _NEEDED if name not in names]
    models = [name for name in names if any(f"{name}{mark}" in names for mark in _MARKS)]
    if missing or not models:
        fault = f"column {missing[0]!r} is missing" if missing else "no model has a column '...|total_cost'"
        raise DataError(
            f"{path}: {fault}; expected RouterBench's wide table. Its columns are {', '.join(names)}."
        )
    return models


def _cells(row: SourceRow, cells: Mapping[str, Any], models: Iterable[str]) -> Iterator[SourceRow]:
    number, dataset = str(cells["sample_id"]).strip(), str(cells["eval_name"]).strip()
    shared = {
        "instruction_id": f"{dataset}/{number}",
        "dataset": dataset,
        "task": dataset,
        "text": _prompt(cells["prompt"]),
        "source": "routerbench",
    }
    for model in models:
        score, fault = _score(cells[model])
        if not number or not dataset:
            fault = "sample_id or eval_name is missing"
        if fault:
            yield SourceRow(file=row.file, line=row.line, fault=f"{model}: {fault}")
        elif score is None:
            yield SourceRow(file=row.file, line=row.line, left_out="no score")
        else:
            values = {**shared, "model": model, "score": score}
            yield SourceRow(file=row.file, line=row.line, values=values)


def _score(cell: Any) -> tuple[float | None, str]:  # noqa: ANN401
    """A cell's score, None where it is empty; and what is wrong with it."""
    text = str(cell).strip().casefold()
    if text in ("", "nan", "none"):
        return None, ""
    if text in ("true", "false"):
        return float(text == "true"), ""
    try:
        return float(text), ""
    except ValueError:
        return None, f"score is {str(cell)[:40]!r}; expected a number from 0 to 1"


def _prompt(cell: Any) -> str:  # noqa: ANN401
    """The prompt's text: RouterBench writes a list of messages as Python would print it."""
    text = str(cell)
    if not text.startswith("["):
        return text
    try:
        parts = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return text
    return "\n\n".join(parts) if isinstance(parts, list) and all(isinstance(p, str) for p in parts) else text


def _pickle_rows(path: Path, trusted: bool) -> Iterator[SourceRow]:
    if not trusted:
        raise DataError(
            f"{path}: a pickle runs the code that its writer put into it; convert it to CSV, or pass "
            "--trust-pickle if you trust where it comes from."
        )
    try:
        import pandas
    except ModuleNotFoundError:
        raise MissingExtraError("pickle", "reading a pickled table") from None
    if not path.is_file():
        raise DataError(f"{path}: no such file; check the path.")
    try:
        table = pandas.read_pickle(path)
    except Exception as error:  # a pickle may raise whatever its code does
        raise DataError(f"{path}: not a readable pickle ({type(error).__name__}).") from None
    if not isinstance(table, pandas.DataFrame):
        raise DataError(f"{path}: holds a {type(table).__name__}; expected a pandas table.")
    for line, record in enumerate(table.to_dict("records"), start=1):
        yield SourceRow(file=path, line=line, values={str(name): value for name, value in record.items()})
