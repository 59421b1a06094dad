"""Logs of lm-evaluation-harness: `samples_TASK_DATE.jsonl`, as `lm_eval --log_samples` writes them.

Beside the samples lies `results_DATE.json`, which names the model and how many shots it was shown. A sample holds the
dataset's own record (`doc`), so that the question is found in it, not in the prompt that the task made of it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelsat.errors import DataError
from modelsat.records.files import load_json, read_text
from modelsat.records.importers.columns import jsonl_rows
from modelsat.records.importers.gather import SourceRow, find_logs
from modelsat.records.importers.questions import answer_letter, kind_of, lettered, texts

_SAMPLES = re.compile(r"samples_(?P<task>.+?)(_(?P<date>\d{4}-\d\d-\d\dT[\d.-]+))?\.jsonl")
_QUESTION = ("question", "query", "problem", "input", "prompt", "instruction", "goal", "sentence", "text")
# What a question must be read with.
_CONTEXT = ("passage", "context", "article", "story", "ctx")
_CHOICES = ("choices", "options", "endings")
_CHOICE_BY_CHOICE = (("option1", "option2"), ("sol1", "sol2"))
# The first one that a sample has is its score.
_METRICS = ("acc", "exact_match", "pass@1", "pass_at_1", "em", "prompt_level_strict_acc", "f1", "acc_norm")
_NO_FILTER = "none"
_UNREAD = "[invalid]"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dataset:
    """A dataset that lm-eval splits into one task per subject.

    Attributes:
        prefix: What the names of its tasks begin with.
        name: Its name here.
        id_field: The field of a record that identifies it; its position within the task where there is none.
    """

    prefix: str
    name: str
    id_field: str = ""


_DATASETS = (
    _Dataset(prefix="mmlu_pro", name="mmlu_pro", id_field="question_id"),
    _Dataset(prefix="leaderboard_mmlu_pro", name="mmlu_pro", id_field="question_id"),
    _Dataset(prefix="mmlu_", name="mmlu"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """What the results file says of a samples file."""

    task: str
    model: str | None
    shots: int | None


def lm_eval_rows(
    path: Path, *, metric: str | None = None, filter_name: str | None = None, text_field: str | None = None
) -> Iterator[SourceRow]:
    """Read one samples file, or all that lie in a folder, the newest first.

    Args:
        path: A samples file, or a folder at any depth above some.
        metric: Score by this metric (default: the first known one that a sample has, accuracy before others).
        filter_name: Where a task has several filters, take this one (default: the first in the file).
        text_field: The record's field that holds the question (default: the first known one that it has).

    Raises:
        DataError: There is no samples file, or it is unreadable.
    """
    files = find_logs(path, _SAMPLES, what="samples_*.jsonl", mend="run lm_eval with --log_samples")
    files.sort(key=lambda file: (str(file.parent), _date(file)), reverse=True)
    for file in files:
        run = _run(file)
        chosen = filter_name
        for row in jsonl_rows(file):
            if row.values is None:
                yield row
                continue
            name = str(row.values.get("filter", _NO_FILTER))
            chosen = chosen or name
            if name not in (chosen, _NO_FILTER):
                yield SourceRow(file=file, line=row.line, left_out=f"filter {name}")
                continue
            try:
                values = _values(row.values, run, name, metric, text_field)
            except DataError as error:
                yield SourceRow(file=file, line=row.line, fault=str(error))
            else:
                yield SourceRow(file=file, line=row.line, values=values)


def _date(file: Path) -> str:
    match = _SAMPLES.fullmatch(file.name)
    return (match["date"] or "") if match else ""


def _run(samples: Path) -> _Run:
    match = _SAMPLES.fullmatch(samples.name)
    task = match["task"] if match else samples.stem
    date = _date(samples)
    beside = [samples.with_name(f"results_{date}.json")] if date else []
    found = [file for file in beside if file.is_file()] or sorted(samples.parent.glob("results*.json"))
    report = _report(found[-1]) if found else {}
    model = report.get("model_name")
    shots = report.get("n-shot")
    shots = shots.get(task) if isinstance(shots, dict) else None
    if not isinstance(model, str) or not model:
        # lm-eval names the folder after the model, with "__" for what a path cannot hold.
        folder = samples.absolute().parent.name
        model = folder.replace("__", "/").strip("/") if "__" in folder else None
    return _Run(task=task, model=model, shots=shots if isinstance(shots, int) else None)


def _report(file: Path) -> dict[str, Any]:
    try:
        value = load_json(read_text(file), str(file))
    except DataError as error:
        raise DataError(f"{error} Mend it, or remove it and name the model.") from None
    return value if isinstance(value, dict) else {}


def _values(
    sample: Mapping[str, Any], run: _Run, filter_name: str, metric: str | None, text_field: str | None
) -> dict[str, Any]:
    doc = sample.get("doc")
    doc = doc if isinstance(doc, dict) else {}
    requests = _requests(sample)
    choices = _choices(doc, requests)
    score_by = metric or _metric(sample)
    if score_by not in sample:
        raise DataError(
            f"no metric {score_by!r}; the sample has {', '.join(_metric_names(sample)) or 'none'}"
        )
    answer = answer_letter(sample.get("target"), choices, by_position=len(requests) > 1)
    dataset = next((entry for entry in _DATASETS if run.task.startswith(entry.prefix)), None)
    subject = next((doc[name] for name in ("subject", "category") if isinstance(doc.get(name), str)), None)
    filtered = sample.get("filtered_resps")
    return {
        "instruction_id": _id(sample, doc, run, dataset),
        "dataset": run.task if dataset is None else dataset.name,
        "task": subject or run.task,
        "category": doc.get("category") if isinstance(doc.get("category"), str) else None,
        "kind": kind_of(choices, answer),
        "text": lettered(_question(doc, requests, run, text_field), choices),
        "choices": choices,
        "answer": answer,
        "model": run.model,
        "score": _score(sample[score_by], score_by),
        "parsed": not (isinstance(filtered, list) and filtered[:1] == [_UNREAD]),
        "source": _source(score_by, filter_name, run.shots),
    }


def _requests(sample: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Prompt and continuation of every request that was made for the sample."""
    made = sample.get("arguments")
    made = list(made.values()) if isinstance(made, dict) else made
    requests = []
    for request in made if isinstance(made, list) else ():
        parts = list(request.values()) if isinstance(request, dict) else request
        if isinstance(parts, list) and parts and isinstance(parts[0], str):
            requests.append((parts[0], parts[1] if len(parts) > 1 else None))
    return requests


def _choices(doc: Mapping[str, Any], requests: list[tuple[str, Any]]) -> list[str]:
    for name in _CHOICES:
        if found := texts(doc.get(name)):
            return found
    for names in _CHOICE_BY_CHOICE:
        if all(isinstance(doc.get(name), str) for name in names):
            return [doc[name] for name in names]
    # One request per option, all after the same prompt.
    prompts = {prompt for prompt, _ in requests}
    endings = [ending.strip() for _, ending in requests if isinstance(ending, str)]
    return endings if len(prompts) == 1 and len(set(endings)) == len(requests) > 1 else []


def _question(
    doc: Mapping[str, Any], requests: list[tuple[str, Any]], run: _Run, text_field: str | None
) -> str:
    def text(name: str) -> str:
        value = doc.get(name)
        return value if isinstance(value, str) and value.strip() else ""

    if text_field is not None:
        if not text(text_field):
            raise DataError(f"doc has no text {text_field!r}; it has {', '.join(map(str, doc))}")
        return text(text_field)
    question = next(filter(None, map(text, _QUESTION)), "")
    if question:
        context = next(filter(None, map(text, _CONTEXT)), "")
        return f"{context}\n\n{question}" if context else question
    if requests and not run.shots:
        return requests[0][0]
    raise DataError(
        f"no known field holds the question; name it with --text-field (doc has {', '.join(map(str, doc))})"
    )


def _metric_names(sample: Mapping[str, Any]) -> list[str]:
    named = sample.get("metrics")
    if isinstance(named, list):
        return [name for name in named if isinstance(name, str)]
    return [name for name in _METRICS if name in sample]


def _metric(sample: Mapping[str, Any]) -> str:
    names = _metric_names(sample)
    known = next((name for name in _METRICS if name in names), None)
    if known is None and not names:
        raise DataError("no metric in the sample; name one with --metric")
    return known or names[0]


def _score(value: Any, metric: str) -> float:  # noqa: ANN401
    if isinstance(value, bool):
        return float(value)
    if not isinstance(value, int | float) or not 0 <= value <= 1:
        raise DataError(
            f"metric {metric!r} is {str(value)[:40]}; expected a number from 0 to 1 (see --metric)"
        )
    return float(value)


def _id(sample: Mapping[str, Any], doc: Mapping[str, Any], run: _Run, dataset: _Dataset | None) -> str:
    own = doc.get(dataset.id_field) if dataset is not None and dataset.id_field else None
    if dataset is not None and isinstance(own, int | str):
        return f"{dataset.name}/{own}"
    number = sample.get("doc_id")
    if not isinstance(number, int | str):
        raise DataError(f"doc_id is {number!r}; expected the record's number")
    if dataset is None:
        return f"{run.task}/{number}"
    return f"{dataset.name}/{run.task.removeprefix(dataset.prefix).strip('_')}/{number}"


def _source(metric: str, filter_name: str, shots: int | None) -> str:
    how = metric if filter_name == _NO_FILTER else f"{metric} {filter_name}"
    return f"lm-eval {how}" + ("" if shots is None else f" {shots}-shot")
