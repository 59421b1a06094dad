"""What is wrong with a file is said in its user's words, whatever is wrong with it."""

import json
import tomllib
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from modelsat.bench.prices import PriceTable
from modelsat.capability.aptitude import AptitudeTest
from modelsat.capability.card import read_card
from modelsat.capability.zoo_file import read_candidates
from modelsat.errors import ModelSatError
from modelsat.gateway.settings import FORMAT, load_settings
from modelsat.records.splits import read_splits
from modelsat.scoring.checkpoint import load_checkpoint

ASSETS = files("modelsat") / "assets"
# How pydantic, Python and its typing talk.
FOREIGN = (
    "Input should",
    "valid ",
    "Value error",
    "Assertion",
    "pydantic",
    "instance of",
    "unable to parse",
    "constrained",
    "function-",
    "tuple[",
    "nullable",
    "keyword argument",
    "NoneType",
    "Extra inputs",
)


def _json(name: str) -> Any:
    return json.loads((ASSETS / name).read_text(encoding="utf-8"))


def _short(value: dict[str, Any], key: str) -> dict[str, Any]:
    return {**value, key: value[key][:2]}


@cache
def samples() -> dict[str, tuple[dict[str, Any], Callable[[Path], object]]]:
    """A good file of each format, and what reads it."""
    zoo = tomllib.loads((ASSETS / "zoo.toml").read_text(encoding="utf-8"))
    zoo["candidate"] = zoo["candidate"][:2]
    exam = _short(_json("exam/core.json"), "tasks")
    exam.pop("hash")
    checkpoint = _json("router/config.json")
    return {
        "card.json": (_short(_json(f"cards/{_a_card()}"), "tasks"), read_card),
        "exam.json": (exam, AptitudeTest.load),
        "zoo.toml": (zoo, read_candidates),
        "gateway.toml": ({"format": FORMAT, "port": 80, "policy": "best", "zoo": "zoo.toml"}, _settings),
        "splits.json": (
            {
                "candidates": {"unseen_test": ["a"], "unseen_validation": ["b"]},
                "out_of_domain": {"datasets": ["d"], "mmlu_pro_categories": ["law"]},
                "zoos": {"small": ["a"]},
            },
            read_splits,
        ),
        "prices.toml": (
            {
                "format": "modelsat-prices/1",
                "date": "2026-01-01",
                "currency": "USD",
                "candidates": {"a": {"input": 1.0, "output": 2.0}},
            },
            PriceTable.load,
        ),
        "config.json": (checkpoint, lambda path: load_checkpoint(path.parent)),
    }


def _settings(path: Path) -> object:
    return load_settings(path, {})


def _a_card() -> str:
    return min(entry.name for entry in (ASSETS / "cards").iterdir())


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths to every part of a JSON value but itself."""
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, part in entries:
        yield (*at, key)
        yield from places(part, (*at, key))


def write(path: Path, value: dict[str, Any]) -> None:
    text = tomlkit.dumps(value) if path.suffix == ".toml" else json.dumps(value)
    path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("name", list(samples()))
def test_the_samples_are_good_with_and_without_a_byte_order_mark(name: str, tmp_path: Path) -> None:
    value, read = samples()[name]
    for before in ("", "\ufeff"):
        write(tmp_path / name, value)
        text = (tmp_path / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(before + text, encoding="utf-8")
        try:
            read(tmp_path / name)
        except ModelSatError as error:
            # Its weights are not there.
            assert name == "config.json" and "weights.safetensors" in str(error)


@pytest.mark.parametrize("name", list(samples()))
@given(data=st.data())
def test_a_fault_is_named_in_plain_words(name: str, data: st.DataObject) -> None:
    value, read = samples()[name]
    wrong = deepcopy(value)
    *above, last = data.draw(st.sampled_from(list(places(value))))
    parent: Any = wrong
    for part in above:
        parent = parent[part]
    values: list[Any] = [
        True,
        -1,
        1.5,
        10**400,
        "",
        "x",
        " ",
        [],
        {},
        [1],
        {"a": 1},
        ["x", "x"],
        float("inf"),
    ]
    change = data.draw(st.sampled_from([*values, "delete", "add"]))
    if change == "add" and isinstance(parent, dict):
        parent["surprise"] = 1
    elif change == "delete":
        del parent[last]
    else:
        parent[last] = change
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        write(path, wrong)
        try:
            read(path)
        except ModelSatError as error:
            message = str(error)
            assert not [word for word in FOREIGN if word in message], message
            assert "\n" not in message
            assert folder in message
