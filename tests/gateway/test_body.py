"""The model name's splice, against Python's own JSON."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.gateway.body import read_body
from modelsat.gateway.errors import GatewayError

names = st.sampled_from(["model", "messages", "a", "\\", '"', "\u00e9", "\ud800", "", "@"]) | st.text(
    max_size=3
)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | names
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(names, values, max_size=5)
spaces = st.text(alphabet=" \t\r\n", max_size=2)


@given(value=objects, model=values, indent=st.none() | st.integers(0, 2), name=names)
def test_only_the_model_name_changes(
    value: dict[str, Any], model: Any, indent: int | None, name: str
) -> None:
    value |= {"model": model}
    raw = json.dumps(value, indent=indent).encode()
    body = read_body(raw)
    assert body.members == value
    assert body.with_model(name) == json.dumps(value | {"model": name}, indent=indent).encode()


@given(before=st.lists(st.tuples(names, scalars), max_size=4), space=spaces, name=names)
def test_every_other_byte_stays(before: list[tuple[str, Any]], space: str, name: str) -> None:
    # Members may repeat, and the model's name may be written in escapes.
    others = [
        f"{json.dumps(key, ensure_ascii=key != 'é')}{space}:{space}{json.dumps(value)}"
        for key, value in before
        if key != "model"
    ]
    start = f"{space}{{{space}" + "".join(f"{other}{space},{space}" for other in others)
    first, second, end = (
        f'"\\u006dodel"{space}:{space}',
        f'{space},{space}"model":{space}',
        f"{space}}}{space}",
    )
    raw = f'{start}{first}"auto"{second}["any", {{"value": 1}}]{end}'.encode()
    new = json.dumps(name)
    assert read_body(raw).with_model(name) == f"{start}{first}{new}{second}{new}{end}".encode()


@given(raw=st.binary(max_size=60) | st.text(alphabet='{}[]",:model 0e1\\u', max_size=40).map(str.encode))
def test_what_python_cannot_read_is_refused_and_nothing_else(raw: bytes) -> None:
    try:
        readable = isinstance(json.loads(raw.decode()), dict)
    except ValueError:
        readable = False
    if readable:
        assert read_body(raw).members == json.loads(raw)
    else:
        with pytest.raises(GatewayError) as refused:
            read_body(raw)
        assert refused.value.status == 400


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        (b"", "Expecting '{'"),
        (b"[]", "Expecting '{'"),
        (b'{"model": "a"', "Expecting ','"),
        (b'{"model": "a",}', "a name in double quotes"),
        (b'{"model": "a"} {}', "Extra data"),
        (b'{"model": \xff}', "byte 10 is not UTF-8"),
        (b'\xef\xbb\xbf{"model": "a"}', "Expecting '{'"),
        (b'{"a": ' + b"[" * 200_000, "nested too deeply"),
        (b'{"a": ' + b"1" * 5_000 + b"}", "number that is too long"),
    ],
)
def test_a_body_that_is_no_object_is_told_where(raw: bytes, fault: str) -> None:
    with pytest.raises(GatewayError, match=fault):
        read_body(raw)
