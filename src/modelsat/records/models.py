"""What is publicly known of models: the optional file `models` in a folder of outcomes.

One row per model: model, released (YYYY-MM), params_b (billions of parameters); unknown values are null.
"""

import re
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

from modelsat.errors import DataError
from modelsat.records.side_files import side_rows

_MONTH = re.compile(r"\d{4}-\d{2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """Facts about one model.

    Attributes:
        released: Month of its release (YYYY-MM); empty where unknown.
        parameters: In billions; None where unknown.
    """

    released: str = ""
    parameters: float | None = None


def _none_if_nan(value: object) -> object:
    return None if isinstance(value, float) and not isfinite(value) else value


class _ModelRow(BaseModel):
    model_config = ConfigDict(extra="ignore", protected_namespaces=())
    model: str
    released: str | None = None
    params_b: Annotated[float | None, BeforeValidator(_none_if_nan)] = None


def read_models(folder: Path) -> dict[str, ModelFacts]:
    """Read what is known of the models in a folder of outcomes.

    Args:
        folder: With or without `models.parquet` or `models.jsonl`.

    Returns:
        Facts by model; nothing where there is no such file.

    Raises:
        DataError: The file is malformed; names file and row.
    """
    facts = {}
    for where, row in side_rows(folder, "models", _ModelRow):
        released = row.released or ""
        if released and not _MONTH.match(released):
            raise DataError(f"{where}: released is {released!r}; expected a month such as 2024-07.")
        facts[row.model] = ModelFacts(released=released[:7], parameters=row.params_b)
    return facts
