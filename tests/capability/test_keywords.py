import pytest

from modelsat.capability.keywords import task_keywords
from modelsat.errors import DataError

TEXTS = {
    "health: nutrition": [
        "Which vitamins are found in dairy products?\nA. vitamin A\nB. 12",
        "A vitamin in dairy products and fatty acids?\nA. fatty acids\nB. 13",
        "How do fatty acids and proteins differ in dairy products?",
        "Which protein and which vitamin?",
    ],
    "law": [
        "The defendant told the court a story.",
        "May the defendant leave the court?",
        "A defendant sued in court, 1999.",
    ],
}


def test_keywords_set_a_task_apart_and_are_capitalised() -> None:
    keywords = task_keywords(TEXTS)
    assert keywords["health: nutrition"][0] == "Nutrition"
    assert {"Dairy Products", "Vitamin"} <= set(keywords["health: nutrition"])
    assert keywords["law"][0] == "Law"
    assert {"Defendant", "Court"} <= set(keywords["law"])


def test_no_keyword_is_a_number_a_letter_or_another_in_the_plural() -> None:
    for keywords in task_keywords(TEXTS, count=20).values():
        words = [word.lower().rstrip("s") for keyword in keywords for word in keyword.split()]
        assert len(words) == len(set(words))
        assert not any(word.isdigit() or len(word) < 3 for word in words if word != "law")


def test_texts_without_words_leave_the_name() -> None:
    assert task_keywords({"arithmetic": ["1 + 1", "2 + 2"], "": ["3"]}) == {
        "arithmetic": ("Arithmetic",),
        "": ("",),
    }


def test_no_task_is_an_error() -> None:
    with pytest.raises(DataError, match="no task"):
        task_keywords({})


def test_function_words_of_any_language_name_no_task() -> None:
    keywords = task_keywords(
        {
            "huur": [
                "Mag de verhuurder de huur van de woning verhogen?",
                "Wat is de opzegtermijn voor de huurder van de woning?",
                "Moet de verhuurder een gebrek in de woning van de huurder herstellen?",
            ],
            "arbeid": [
                "Mag de werkgever van de werknemer een bewijs vragen?",
                "Heeft de werknemer bij ziekte recht op loon van de werkgever?",
                "Wat is de opzegtermijn voor de werkgever?",
            ],
        }
    )
    assert {"Huur", "Woning", "Verhuurder"} <= set(keywords["huur"])
    assert {"Arbeid", "Werkgever", "Werknemer"} <= set(keywords["arbeid"])
    assert "Van" not in {*keywords["huur"], *keywords["arbeid"]}


def test_a_task_of_few_texts_has_keywords_too() -> None:
    texts = {
        "joins": ["Which join keeps customers?", "What does a cross product give?"],
        "speed": ["Which index helps a search?", "What does the optimizer show?"],
    }
    assert {"Index Helps", "Optimizer", "Search"} < set(task_keywords(texts)["speed"])
