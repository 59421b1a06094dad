import importlib
import sys
from pathlib import Path
from urllib.error import URLError

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelsat.errors import DataError, MissingExtraError
from modelsat.exam import hub
from modelsat.exam.hub import DATASETS, fetch_texts, read_hub_file
from modelsat.records.splits import content_hash

ROW = {
    "question_id": 7,
    "question": "Which is even?",
    "options": ["1", "2", "3"],
    "answer": "B",
    "answer_index": 1,
    "category": "math",
    "src": "ori_mmlu-elementary_mathematics",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "test.parquet"
    pq.write_table(pa.Table.from_pylist([ROW]), path)
    return path


def test_a_row_of_the_hub_is_an_item_with_lettered_options(file: Path) -> None:
    (item,) = read_hub_file(file, DATASETS["mmlu_pro"])
    assert item.text == "Which is even?\nA. 1\nB. 2\nC. 3"
    assert (item.id, item.answer, item.kind, item.category) == ("mmlu_pro/7", "B", "multiple_choice", "math")
    assert content_hash(item.text, item.choices) == content_hash("which is  even?", ["1", "2", "3"])


def test_a_dataset_of_another_shape_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "other.parquet"
    pq.write_table(pa.table({"prompt": ["x"]}), path)
    with pytest.raises(DataError, match="does not have the expected columns"):
        read_hub_file(path, DATASETS["mmlu_pro"])


def test_texts_in_the_hubs_cache_need_no_network(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_, **__: str(file))
    assert len(fetch_texts("mmlu_pro")) == 1


def test_an_unreachable_hub_is_one_sentence_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def unplugged(*_: object, **__: object) -> None:
        raise URLError(ConnectionRefusedError(111, "Connection refused"))

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_, **__: None)
    monkeypatch.setattr(hub, "urlopen", unplugged)
    with pytest.raises(DataError, match="TIGER-Lab/MMLU-Pro could not be fetched from the hub") as error:
        fetch_texts("mmlu_pro")
    assert "Connection refused" in str(error.value)
    assert "--source FILE" in str(error.value) and "\n" not in str(error.value)


def test_other_datasets_come_from_files() -> None:
    with pytest.raises(DataError, match="give them with --source FILE"):
        fetch_texts("our_own")


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    monkeypatch.delitem(sys.modules, "modelsat.endpoints.client", raising=False)
    with pytest.raises(MissingExtraError, match=r"modelsat\[exam\]"):
        hub.fetch_texts("mmlu_pro")
    with pytest.raises(MissingExtraError, match=r"modelsat\[exam\]"):
        importlib.import_module("modelsat.endpoints.client")
