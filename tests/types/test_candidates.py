"""Candidates are checked wherever their values come from, and their fields are those of the zoo file."""

import copy
import pickle
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.errors import DataError
from modelsat.records.files import parse_object
from modelsat.types import Candidate

# Each is refused alike by the constructor and in a file.
FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"name": " "}, "its name is empty"),
    ({"name": "a\nb"}, "does not print"),
    ({"name": "x\x1b[31m"}, "does not print"),
    ({"name": "x", "input_price": -1.0}, "'input_price' is -1.0"),
    ({"name": "x", "output_price": float("inf")}, "'output_price' is inf"),
    ({"name": "x", "output_tokens": -1}, "'output_tokens' is -1"),
    ({"name": "x", "output_tokens": 0}, "'output_tokens' is 0; expected more than 0"),
    ({"name": "x", "context_window": 0}, "'context_window' is 0"),
    ({"name": "x", "context_window": True}, "'context_window' is True"),
    ({"name": "x", "modalities": ["images"]}, "'text', 'image', 'audio', 'video' or 'file'"),
    ({"name": "x", "modalities": []}, "modalities is empty"),
    ({"name": "x", "tools": 1}, "'tools' is 1"),
    ({"name": "x", "endpoint": "llm.example/v1"}, "expected a base URL"),
    ({"name": "x", "api_key_env": "A", "api_key_file": "b"}, "both api_key_env and api_key_file"),
    ({"name": "x", "price": 1}, "unknown field 'price'"),
    ({"endpoint": "https://llm.example/v1"}, "field 'name' is missing"),
]


@pytest.mark.parametrize(("values", "fault"), FAULTS)
def test_a_bad_value_is_one_sentence_however_it_comes(values: dict[str, Any], fault: str) -> None:
    builders: list[Callable[[], Candidate]] = [
        lambda: Candidate(**values),
        lambda: parse_object(values, Candidate, "zoo.toml:4"),
    ]
    for build in builders:
        with pytest.raises(DataError) as caught:
            build()
        assert fault in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_password_in_an_endpoint_is_not_repeated() -> None:
    for endpoint in ("https://me:hunter2@llm.example/v1", "hunter2@"):
        with pytest.raises(DataError, match="holds a user or password") as caught:
            Candidate(name="x", endpoint=endpoint)
        assert "hunter2" not in str(caught.value)


def test_a_key_in_the_place_of_its_variable_is_not_repeated() -> None:
    with pytest.raises(DataError, match="not the name of an environment variable") as caught:
        Candidate(name="x", api_key_env="sk-live-0123456789")
    assert "0123456789" not in str(caught.value)


@given(
    st.builds(
        dict,
        name=st.text(min_size=1).filter(lambda name: name.strip() and name.isprintable()),
        input_price=st.none() | st.floats(0, 1e6),
        output_tokens=st.none() | st.floats(0, 1e6, exclude_min=True),
        context_window=st.none() | st.integers(1, 10**8),
        modalities=st.lists(st.sampled_from(["text", "image", "file"]), min_size=1),
        tags=st.lists(st.text(min_size=1)),
    )
)
def test_the_constructor_and_the_file_agree(values: dict[str, Any]) -> None:
    made = Candidate(**values)
    assert made == parse_object(values, Candidate, "zoo.toml")
    assert Candidate(**asdict(made)) == made == replace(made) == copy.deepcopy(made)
    assert pickle.loads(pickle.dumps(made)) == made
    assert hash(made) == hash(replace(made))
