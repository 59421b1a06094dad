import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.records.importers.questions import answer_letter, digest, kind_of, lettered, texts
from modelsat.records.splits import content_hash


@given(
    st.text(max_size=30).filter(lambda text: "\nA. " not in text), st.lists(st.text(max_size=5), max_size=30)
)
def test_lettering_a_question_does_not_make_it_another_one(question: str, choices: list[str]) -> None:
    assert content_hash(lettered(question, choices), choices) == content_hash(question, choices)
    assert lettered(lettered(question, choices), choices) == lettered(question, choices)


@pytest.mark.parametrize(
    ("answer", "choices", "by_position", "letter"),
    [
        (1, ["x", "y"], True, "B"),
        ("1", ["x", "y"], True, "B"),
        ("1", ["2", "1"], False, "B"),
        ("1", ["2", "1"], True, "B"),
        ("0", ["1", "0"], True, "A"),
        ("y", ["x", "y"], False, "B"),
        ("B", ["x", "y"], False, "B"),
        ("7", [], True, "7"),
        (None, ["x"], False, None),
        (["a"], [], False, None),
    ],
)
def test_answers_are_letters_of_the_options(
    answer: object, choices: list[str], by_position: bool, letter: str | None
) -> None:
    assert answer_letter(answer, choices, by_position=by_position) == letter


def test_kinds_follow_options_and_answer() -> None:
    assert kind_of(["a"], "1") == "multiple_choice"
    assert [kind_of([], answer) for answer in ("-1,234.5", " 7 ", "seven", "1.2.3", None)] == [
        "numeric",
        "numeric",
        "open",
        "open",
        "open",
    ]


def test_options_are_read_from_the_shapes_that_logs_have() -> None:
    assert texts(["a", 1]) == ["a", "1"]
    assert texts({"text": ["a"], "label": ["A"]}) == ["a"]
    assert texts("a") == texts(None) == texts([["a"]]) == []


def test_a_digest_tells_where_texts_end() -> None:
    assert digest("a", "b") == digest("a", "b") != digest("ab", "")
