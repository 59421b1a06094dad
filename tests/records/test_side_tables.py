"""Facts about models: an optional file, checked."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelsat.errors import DataError
from modelsat.records.side_tables import ModelFacts, read_models


def test_a_folder_without_the_file_knows_nothing(tmp_path: Path) -> None:
    assert read_models(tmp_path) == {}


def test_unknown_values_stay_unknown(tmp_path: Path) -> None:
    rows = [
        {"model": "a", "released": "2024-07", "params_b": 8.03, "family": "x"},
        {"model": "b", "released": None, "params_b": float("nan"), "family": "x"},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "models.parquet")
    assert read_models(tmp_path) == {
        "a": ModelFacts(released="2024-07", parameters=8.03),
        "b": ModelFacts(),
    }


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('{"model": "a", "released": "July"}', "models.jsonl:1: released is 'July'; expected a month"),
        ('{"released": "2024-07"}', "models.jsonl:1: field 'model' is missing"),
    ],
)
def test_a_malformed_row_is_named(tmp_path: Path, line: str, fault: str) -> None:
    (tmp_path / "models.jsonl").write_text(line, encoding="utf-8")
    with pytest.raises(DataError, match=fault):
        read_models(tmp_path)
