"""Results of MMLU-Pro's own evaluation scripts: JSON lists of questions, each with a model's answer.

The scripts write a file per category. The benchmark's repository publishes them as `model_outputs_MODEL_5shots.zip`.
"""

import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from modelsat.errors import DataError
from modelsat.records.files import load_json, read_text
from modelsat.records.importers.gather import SourceRow, find_logs, rows_of_each
from modelsat.records.importers.questions import lettered

DATASET = "mmlu_pro"
_FILE = re.compile(r"(?!\.).*\.(json|zip)")
_PUBLISHED = re.compile(r"model_outputs_(?P<model>.+?)(_\d+shots)?\.(json|zip)")
# The names of files differ from the models' own in these.
_MODELS = {"DeepSeek-Coder-V2": "DeepSeek-Coder-V2-Instruct", "Yi-6b-Chat": "Yi-6B-Chat"}
_FROM_MMLU = "ori_mmlu-"
# An answer's tokens are not recorded: its characters are, and English has about four a token.
_CHARACTERS_PER_TOKEN = 4


def mmlu_pro_rows(path: Path) -> Iterator[SourceRow]:
    """Read a file of results, alone or zipped, or all that lie in a folder.

    Raises:
        DataError: There is none, or it is the only one and cannot be read.
    """
    logs = find_logs(path, _FILE, what=".json or .zip file", mend="give results of MMLU-Pro's scripts")
    return rows_of_each(logs, _file_rows)


def question(record: Mapping[str, Any]) -> dict[str, Any]:
    """A question of MMLU-Pro under the schema's names, from the dataset's own columns.

    Raises:
        DataError: A column is missing, or is not what the dataset has in it.
    """
    missing = next(
        (name for name in ("question_id", "question", "options", "answer") if name not in record), None
    )
    if missing is not None:
        raise DataError(f"{missing} is missing")
    options, category, origin = record["options"], record.get("category") or "", record.get("src") or ""
    if not isinstance(options, list | tuple) or not all(isinstance(option, str) for option in options):
        raise DataError(f"options are {str(options)[:40]}; expected a list of texts")
    # Fewer than ten options are filled up with these.
    options = [option.strip() for option in options if option != "N/A"]
    if not isinstance(record["question"], str):
        raise DataError(f"question is {str(record['question'])[:40]}; expected text")
    subject = str(origin).removeprefix(_FROM_MMLU) if str(origin).startswith(_FROM_MMLU) else ""
    return {
        "instruction_id": f"{DATASET}/{record['question_id']}",
        "dataset": DATASET,
        "task": subject or f"{category}:{origin}",
        "category": category,
        "kind": "multiple_choice",
        "text": lettered(record["question"].strip(), options),
        "choices": options,
        "answer": record["answer"],
    }


def model_of(file: str) -> str | None:
    """The model whose results a published file holds, by the file's name; None where it does not tell."""
    match = _PUBLISHED.fullmatch(file)
    if match is None:
        return None
    name = match["model"].replace("3_1", "3.1").removesuffix("-hf")
    return _MODELS.get(name, name)


def _file_rows(file: Path) -> Iterator[SourceRow]:
    if file.suffix != ".zip":
        yield from _rows(load_json(read_text(file), str(file)), file, model_of(file.name))
        return
    try:
        with zipfile.ZipFile(file) as archive:
            members = [name for name in archive.namelist() if _FILE.fullmatch(Path(name).name)]
            lists = [name for name in members if name.endswith(".json") and "__MACOSX" not in name]
            if not lists:
                raise DataError(f"{file}: holds no .json file; give results of MMLU-Pro's scripts.")
            for name in lists:
                inside = file / name
                text = archive.read(name).decode("utf-8", "replace")
                yield from _rows(load_json(text, str(inside)), inside, model_of(file.name))
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise DataError(f"{file}: not a readable zip archive ({error}).") from None


def _rows(records: object, file: Path, model: str | None) -> Iterator[SourceRow]:
    if not isinstance(records, list):
        raise DataError(
            f"{file}: holds a {type(records).__name__}; expected a list of questions with answers."
        )
    for line, record in enumerate(records, start=1):
        try:
            if not isinstance(record, dict):
                raise DataError(f"holds a {type(record).__name__}, not an object")
            yield SourceRow(
                file=file, line=line, values={**question(record), **_outcome(record), "model": model}
            )
        except DataError as error:
            yield SourceRow(file=file, line=line, fault=str(error))


def _outcome(record: Mapping[str, Any]) -> dict[str, Any]:
    if "pred" not in record:
        raise DataError("pred is missing")
    read, written = record["pred"], record.get("model_outputs")
    parsed = isinstance(read, str) and read in tuple(ascii_uppercase)
    return {
        # The scripts guess where no answer can be read; here that is none.
        "score": float(parsed and read == record["answer"]),
        "parsed": parsed,
        "output_tokens": len(written) / _CHARACTERS_PER_TOKEN if isinstance(written, str) else None,
        "source": DATASET,
    }
