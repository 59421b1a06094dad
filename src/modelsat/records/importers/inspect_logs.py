"""Logs of Inspect (inspect_ai), read by its own reader: `.eval` and `.json` files alike."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelsat.errors import DataError, MissingExtraError
from modelsat.records.importers.gather import SourceRow, find_logs, rows_of_each
from modelsat.records.importers.questions import answer_letter, kind_of, lettered

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog, EvalSample

# A folder may hold other JSON beside the logs, whose names begin with their date.
_LOG = re.compile(r".*\.eval|\d{4}-\d\d-\d\dT.*\.json")
# Inspect's marks: correct, incorrect, partly correct, no answer.
_MARKS = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0}
_NO_ANSWER = "N"


def inspect_rows(path: Path, *, metric: str | None = None) -> Iterator[SourceRow]:
    """Read one log, or all in a folder; lines are the samples' positions in the log.

    A sample that was asked in several epochs counts once, with its mean score.

    Args:
        path: A log file, or a folder at any depth above some.
        metric: Score by this scorer (default: the log's first), or by one of its values ("scorer/value").

    Raises:
        DataError: There is no log, or it is the only one and cannot be read.
        MissingExtraError: inspect_ai is not installed.
    """
    logs = find_logs(
        path, _LOG, what=".eval or .json log", mend="give a log of inspect eval, or a folder of them"
    )
    # A log's name begins with its date: of two runs of one task the newer comes first.
    logs.sort(key=lambda file: file.name, reverse=True)
    return rows_of_each(logs, partial(_log_rows, metric=metric))


def _read(file: Path) -> "EvalLog":
    try:
        from inspect_ai.log import read_eval_log
    except ModuleNotFoundError:
        raise MissingExtraError("inspect", "reading Inspect logs") from None
    try:
        return read_eval_log(str(file.absolute()), resolve_attachments=True)
    except Exception as error:  # whatever a damaged log makes the reader raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{file}: not a readable Inspect log ({reason[:120]}).") from None


def _log_rows(file: Path, metric: str | None) -> Iterator[SourceRow]:
    log = _read(file)
    epochs: dict[int | str, list[tuple[EvalSample, float, bool, str]]] = {}
    first_line: dict[int | str, int] = {}
    for line, sample in enumerate(log.samples or (), start=1):
        if sample.error is not None:
            reason = (sample.error.message.splitlines() or [""])[0][:120]
            yield SourceRow(file=file, line=line, fault=f"sample {sample.id}: ended in an error ({reason})")
            continue
        try:
            score, answered, scorer = _score(sample, metric)
        except DataError as error:
            yield SourceRow(file=file, line=line, fault=f"sample {sample.id}: {error}")
            continue
        first_line.setdefault(sample.id, line)
        epochs.setdefault(sample.id, []).append((sample, score, answered, scorer))
    for number, runs in epochs.items():
        sample, _, _, scorer = runs[0]
        values = {
            **_question(sample, log),
            "model": log.eval.model,
            "score": sum(score for _, score, _, _ in runs) / len(runs),
            "parsed": any(answered for _, _, answered, _ in runs),
            "output_tokens": _mean([_tokens(sample, log.eval.model) for sample, _, _, _ in runs]),
            "latency_s": _mean([sample.working_time for sample, _, _, _ in runs]),
            "source": f"inspect {scorer}",
        }
        yield SourceRow(file=file, line=first_line[number], values=values)


def _question(sample: "EvalSample", log: "EvalLog") -> dict[str, Any]:
    task = log.eval.task.rsplit("/", 1)[-1]
    choices = list(sample.choices or ())
    target = sample.target if isinstance(sample.target, str) else (list(sample.target) or [None])[0]
    answer = answer_letter(target, choices)
    subject = next(
        (
            sample.metadata[name]
            for name in ("subject", "category")
            if isinstance(sample.metadata.get(name), str)
        ),
        task,
    )
    return {
        "instruction_id": f"{task}/{sample.id}",
        "dataset": task,
        "task": subject,
        "kind": kind_of(choices, answer),
        "text": lettered(_text(sample), choices),
        "choices": choices,
        "answer": answer,
        "images": _images(sample),
    }


def _text(sample: "EvalSample") -> str:
    """What the user says in the sample; system messages are the task's, not the user's."""
    if isinstance(sample.input, str):
        return sample.input
    return "\n\n".join(message.text for message in sample.input if message.role == "user")


def _images(sample: "EvalSample") -> list[str]:
    if isinstance(sample.input, str):
        return []
    parts = [
        part
        for message in sample.input
        if message.role == "user" and not isinstance(message.content, str)
        for part in message.content
        if part.type == "image"
    ]
    # An image that lies in the log itself has no name to go by.
    return ["embedded" if part.image.startswith("data:") else part.image for part in parts]


def _score(sample: "EvalSample", metric: str | None) -> tuple[float, bool, str]:
    """A sample's score, whether an answer was read, and the scorer's name."""
    scores = sample.scores or {}
    name, _, key = (metric or next(iter(scores), "")).partition("/")
    if name not in scores:
        listed = ", ".join(scores) or "none"
        raise DataError(f"no score {name!r}; its scorers are {listed}" if name else "it has no score")
    value: Any = scores[name].value
    if isinstance(value, Mapping):
        if key not in value:
            raise DataError(
                f"scorer {name!r} gives {', '.join(map(str, value))}; choose one with --metric {name}/VALUE"
            )
        value = value[key]
    number = _MARKS.get(value) if isinstance(value, str) else value
    if isinstance(number, Sequence) or not isinstance(number, int | float) or not 0 <= number <= 1:
        raise DataError(
            f"scorer {name!r} gives {str(value)[:40]!r}; expected C, I, P, N or a number from 0 to 1"
        )
    # An empty answer means that the scorer looked for one and found none.
    answered = number > 0 or (value != _NO_ANSWER and scores[name].answer != "")
    return float(number), answered, f"{name}/{key}" if key else name


def _tokens(sample: "EvalSample", model: str) -> float | None:
    usage = sample.model_usage.get(model)
    return None if usage is None else float(usage.output_tokens)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
