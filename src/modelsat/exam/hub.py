"""The exam's texts from the Hugging Face hub, for the datasets listed here; other texts come from a file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pyarrow.parquet as pq

from modelsat.environment import disable_telemetry
from modelsat.errors import DataError, MissingExtraError
from modelsat.records.importers import mmlu_pro
from modelsat.records.schema import instruction_from_row
from modelsat.types import Instruction

REACHABLE_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HubDataset:
    """A dataset on the hub.

    Attributes:
        repository: Its name there.
        files: Parquet files with the questions.
        columns: Columns to read.
        convert: Makes an instruction of a row.
    """

    repository: str
    files: tuple[str, ...]
    columns: tuple[str, ...]
    convert: Callable[[Mapping[str, Any]], Instruction]


def _mmlu_pro(row: Mapping[str, Any]) -> Instruction:
    return instruction_from_row(mmlu_pro.question(row), "a row")


DATASETS: dict[str, HubDataset] = {
    "mmlu_pro": HubDataset(
        repository="TIGER-Lab/MMLU-Pro",
        files=("data/test-00000-of-00001.parquet",),
        columns=("question_id", "question", "options", "answer", "category", "src"),
        convert=_mmlu_pro,
    ),
}


def fetch_texts(dataset: str) -> tuple[Instruction, ...]:
    """Download a blueprint's dataset, or take it from the hub's own cache.

    Raises:
        DataError: The dataset is not listed, the hub cannot be reached, or the dataset has changed its columns.
        MissingExtraError: The hub's client is not installed.
    """
    known = DATASETS.get(dataset)
    if known is None:
        raise DataError(
            f"the texts of dataset {dataset!r} are not fetched from the hub (it knows {', '.join(DATASETS)}); "
            "give them with --source FILE."
        )
    disable_telemetry()
    try:
        from huggingface_hub import hf_hub_download, try_to_load_from_cache
        from huggingface_hub.utils.logging import set_verbosity_error
    except ImportError:
        raise MissingExtraError("exam", "fetching the exam's texts from the hub") from None
    # Its warnings become one sentence here.
    set_verbosity_error()  # type: ignore[no-untyped-call]
    instructions: list[Instruction] = []
    for file in known.files:
        cached = try_to_load_from_cache(known.repository, file, repo_type="dataset")
        if not isinstance(cached, str):
            _require_hub(known.repository)
            try:
                cached = hf_hub_download(known.repository, file, repo_type="dataset")
            except Exception as error:
                # The type of its errors depends on its version: it has changed its HTTP library twice.
                raise DataError(_not_fetched(known.repository, error)) from None
        instructions += read_hub_file(Path(cached), known)
    return tuple(instructions)


def _require_hub(repository: str) -> None:
    """Check that the hub is reachable: its own client would retry for half a minute, and log every attempt."""
    from huggingface_hub.constants import ENDPOINT

    try:
        urlopen(Request(ENDPOINT, method="HEAD"), timeout=REACHABLE_S).close()
    except HTTPError as error:
        # Any answer will do.
        error.close()
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise DataError(
            _not_fetched(repository, reason if isinstance(reason, Exception) else error)
        ) from None


def read_hub_file(path: Path, dataset: HubDataset) -> list[Instruction]:
    """Read one of a dataset's files.

    Raises:
        DataError: It does not have the expected columns.
    """
    try:
        rows = pq.read_table(path, columns=list(dataset.columns)).to_pylist()
        return [dataset.convert(row) for row in rows]
    except (OSError, ValueError, KeyError, DataError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"{dataset.repository} on the hub does not have the expected columns ({said}); "
            "give the texts with --source FILE."
        ) from None


def _not_fetched(repository: str, error: Exception) -> str:
    said = (str(error).strip().splitlines() or [""])[0][:120]
    return (
        f"{repository} could not be fetched from the hub ({type(error).__name__}{f': {said}' if said else ''}); "
        "give the exam's texts with --source FILE (parquet or JSONL)."
    )
