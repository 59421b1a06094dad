"""HELM run folders: `per_instance_stats.json` holds the scores, its neighbours the questions and the model.

A run folder has `run_spec.json` (scenario, model), `per_instance_stats.json` (per instance, trial and metric), and the
instances themselves in `instances.json` (written by helm-summarize) or inside `scenario_state.json`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from modelsat.errors import DataError
from modelsat.records.files import load_json, read_text
from modelsat.records.importers.gather import SourceRow, find_logs, rows_of_each
from modelsat.records.importers.questions import answer_letter, kind_of, lettered

_STATS = "per_instance_stats.json"
# The first one that an instance has is its score.
_METRICS = (
    "exact_match",
    "quasi_exact_match",
    "prefix_exact_match",
    "quasi_prefix_exact_match",
    "final_number_exact_match",
    "math_equiv_chain_of_thought",
    "chain_of_thought_correctness",
    "f1_score",
)
_TOKENS = ("num_output_tokens", "num_completion_tokens")
_LATENCY = "inference_runtime"


@dataclass(slots=True, kw_only=True)
class _Instance:
    """What the entries of one instance add up to.

    Attributes:
        line: Its first entry.
        stats: Metric to its value in each trial.
    """

    line: int
    stats: dict[str, list[float]] = field(default_factory=dict)


def helm_rows(path: Path, *, metric: str | None = None) -> Iterator[SourceRow]:
    """Read one run folder, or all below a folder; lines are entries of `per_instance_stats.json`.

    Several trials of an instance are averaged; perturbed copies of it are left out.

    Args:
        path: A run folder, its `per_instance_stats.json`, or any folder above some.
        metric: Score by this metric (default: the first known one that an instance has).

    Raises:
        DataError: There is no run, or it is the only one and cannot be read.
    """
    logs = find_logs(path, re.compile(re.escape(_STATS)), what=_STATS, mend="give a run folder of helm-run")
    return rows_of_each(logs, partial(_run_rows, metric=metric))


def _run_rows(file: Path, metric: str | None) -> Iterator[SourceRow]:
    # Any file of a run folder stands for the folder.
    folder, file = file.parent, file.with_name(_STATS)
    spec = _load(folder / "run_spec.json", dict)
    shared, questions = _shared(spec), _instances(folder)
    multiple_choice = str(_path(spec, "adapter_spec", "method")).startswith("multiple_choice")
    measured: dict[str, _Instance] = {}
    for line, entry in enumerate(_load(file, list), start=1):
        number = entry.get("instance_id") if isinstance(entry, dict) else None
        if not isinstance(number, str):
            yield SourceRow(file=file, line=line, fault="instance_id is missing")
        elif entry.get("perturbation") is not None:
            yield SourceRow(file=file, line=line, left_out="perturbed instance")
        elif number not in questions:
            yield SourceRow(file=file, line=line, fault=f"no instance {number!r} in this run")
        else:
            _add(measured.setdefault(number, _Instance(line=line)), entry.get("stats"))
    for number, instance in measured.items():
        try:
            text, choices, answer = _question(questions[number], multiple_choice)
            name, score = _score(instance, metric)
        except DataError as error:
            yield SourceRow(file=file, line=instance.line, fault=str(error))
            continue
        values = {
            **shared,
            "instruction_id": f"{shared['dataset']}/{shared['task']}/{number}",
            "kind": kind_of(choices, answer),
            "text": text,
            "choices": choices,
            "answer": answer,
            "score": score,
            "output_tokens": next(
                (_mean(instance, name) for name in _TOKENS if name in instance.stats), None
            ),
            "latency_s": _mean(instance, _LATENCY) if _LATENCY in instance.stats else None,
            "source": f"helm {name}",
        }
        yield SourceRow(file=file, line=instance.line, values=values)


def _shared(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What all instances of a run have in common."""
    name = str(spec.get("name") or "")
    dataset = name.split(":")[0].split(",")[0] or "helm"
    arguments = _path(spec, "scenario_spec", "args")
    named = (
        ",".join(str(value) for _, value in sorted(arguments.items())) if isinstance(arguments, dict) else ""
    )
    subject = arguments.get("subject") if isinstance(arguments, dict) else None
    return {
        "dataset": dataset,
        "task": str(subject or named or dataset),
        "model": _path(spec, "adapter_spec", "model"),
    }


def _instances(folder: Path) -> dict[str, Mapping[str, Any]]:
    """Instances by id, the unperturbed ones."""
    plain = folder / "instances.json"
    if plain.is_file():
        found = _load(plain, list)
    else:
        states = _load(folder / "scenario_state.json", dict).get("request_states")
        found = [_path(state, "instance") for state in states] if isinstance(states, list) else []
    return {
        instance["id"]: instance
        for instance in found
        if isinstance(instance, dict)
        and isinstance(instance.get("id"), str)
        and instance.get("perturbation") is None
    }


def _question(instance: Mapping[str, Any], multiple_choice: bool) -> tuple[str, list[str], str | None]:
    """Text, options and answer of an instance."""
    question = _text(instance.get("input"))
    if question is None:
        raise DataError(f"instance {instance['id']!r} has no input text")
    references = instance.get("references")
    options, correct = [], None
    for reference in references if isinstance(references, list) else ():
        output = _text(_path(reference, "output"))
        if output is None:
            continue
        options.append(output)
        tags = _path(reference, "tags")
        if correct is None and isinstance(tags, list) and "correct" in tags:
            correct = output
    choices = options if multiple_choice else []
    return lettered(question, choices), choices, answer_letter(correct, choices)


def _text(value: Any) -> str | None:  # noqa: ANN401
    """Inputs and outputs were bare texts in early versions, and are objects with a text since."""
    value = _path(value, "text") if isinstance(value, dict) else value
    return value if isinstance(value, str) else None


def _add(instance: _Instance, stats: Any) -> None:  # noqa: ANN401
    for stat in stats if isinstance(stats, list) else ():
        name, value = _path(stat, "name", "name"), _path(stat, "mean")
        if value is None and _path(stat, "count") == 1:
            value = _path(stat, "sum")
        if isinstance(name, str) and isinstance(value, int | float):
            instance.stats.setdefault(name, []).append(float(value))


def _score(instance: _Instance, metric: str | None) -> tuple[str, float]:
    name = metric or next((known for known in _METRICS if known in instance.stats), None)
    if name is None or name not in instance.stats:
        listed = ", ".join(sorted(instance.stats)) or "none"
        wanted = "known metric" if name is None else f"metric {name!r}"
        raise DataError(f"no {wanted}; name one with --metric (the instance has {listed})")
    score = _mean(instance, name)
    if not 0 <= score <= 1:
        raise DataError(f"metric {name!r} is {score}; expected a number from 0 to 1 (see --metric)")
    return name, score


def _mean(instance: _Instance, name: str) -> float:
    return sum(instance.stats[name]) / len(instance.stats[name])


def _path(value: Any, *names: str) -> Any:  # noqa: ANN401
    """What stands at a path of nested objects; None where it breaks off."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _load(file: Path, kind: type[Any]) -> Any:  # noqa: ANN401
    value = load_json(read_text(file), str(file))
    if not isinstance(value, kind):
        raise DataError(f"{file}: holds a {type(value).__name__}; expected a {kind.__name__}.")
    return value
