import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.errors import DataError
from modelsat.records.splits import content_hash, read_splits, split_of, stem, stem_hash


def test_the_stem_is_the_question_without_options_case_and_signs() -> None:
    assert stem("What is 2 + 2?\nA. 3\nB. 4") == "whatis22"


@given(st.text(max_size=40))
def test_the_split_follows_the_published_rule(text: str) -> None:
    u = int(hashlib.sha256(("modelsat-1/" + stem(text)).encode()).hexdigest(), 16) % 100
    assert split_of(text) == ("test" if u < 20 else "validation" if u < 26 else "tuning")


@given(st.text(max_size=40), st.lists(st.text(max_size=10), max_size=4))
def test_options_do_not_move_a_question_to_another_split(text: str, options: list[str]) -> None:
    rendered = text + "".join(f"\n{chr(65 + at)}. {option}" for at, option in enumerate(options))
    assert split_of(rendered) == split_of(text)
    assert content_hash(rendered, options) == content_hash(text, options)
    if stem(text):
        assert stem_hash(rendered) == stem_hash(text)


def test_a_copy_has_the_same_content_hash() -> None:
    assert content_hash("What  is\nit? ", ["One", " two"]) == content_hash("what is it?", ["one", "two"])


@pytest.mark.parametrize(
    ("text", "choices"),
    [("What is it!", ("one", "two")), ("What is it?", ("two", "one")), ("What is it?", ("onetwo",))],
)
def test_another_question_has_another_content_hash(text: str, choices: tuple[str, ...]) -> None:
    assert content_hash(text, choices) != content_hash("What is it?", ("one", "two"))


def test_questions_without_latin_letters_are_told_apart() -> None:
    assert stem_hash("这是什么？") != stem_hash("那是什么？")


def test_splits_are_read(tmp_path: Path) -> None:
    path = tmp_path / "splits.json"
    path.write_text(
        '{"rule": "x", "out_of_domain": {"mmlu_pro_categories": ["law"], "datasets": ["d"]},'
        ' "candidates": {"unseen_test": ["a"], "unseen_validation": ["b"]}, "zoos": {"z": ["a", "b"]}}'
    )
    splits = read_splits(path)
    assert splits.unseen == {"a", "b"}
    assert splits.out_of_domain_categories == ("law",)
    assert splits.zoos == {"z": ("a", "b")}


def test_a_malformed_splits_file_names_the_field(tmp_path: Path) -> None:
    path = tmp_path / "splits.json"
    path.write_text('{"zoos": {"z": 3}}')
    with pytest.raises(DataError, match=r"splits\.json: field 'zoos\.z' is 3"):
        read_splits(path)
    path.write_text("{")
    with pytest.raises(DataError, match=r"splits\.json:1: not JSON"):
        read_splits(path)
    path.write_text("[]")
    with pytest.raises(DataError, match="expected one JSON object"):
        read_splits(path)
