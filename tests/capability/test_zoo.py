from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelsat.capability.aptitude import AptitudeTest
from modelsat.capability.card import write_card
from modelsat.capability.run import ExamRun
from modelsat.capability.zoo import ModelZoo
from modelsat.capability.zoo_file import add_entry, register, remove_entry, set_fields
from modelsat.errors import DataError
from modelsat.types import Candidate, CapabilityProfile, TaskResult

ZOO = """# Our models.
format = "modelsat-zoo/1"

[[candidate]]
name = "small"  # the cheap one
card = "cards/small.json"
input_price = 0.2
output_price = 1
context_window = 8192
tags = ["eu-only"]
notes = "Fluent in Dutch."

# Big one: ask before use.
[[candidate]]
name = "big"
card = "cards/big.json"
"""


def _profile(candidate: str, accuracy: float = 0.5) -> CapabilityProfile:
    result = TaskResult(task="law", keywords=("Law",), accuracy=accuracy, shots=2)
    return CapabilityProfile(
        candidate=candidate, exam="toy", exam_hash="", results=(result,), notes="Card note."
    )


@pytest.fixture
def zoo_file(tmp_path: Path) -> Path:
    for name in ("small", "big"):
        write_card(tmp_path / "cards" / f"{name}.json", _profile(name))
    path = tmp_path / "zoo.toml"
    path.write_text(ZOO)
    return path


def test_a_zoo_that_is_saved_keeps_how_its_exams_were_sat(zoo_file: Path, tmp_path: Path) -> None:
    run = ExamRun(endpoint="http://test/v1", model="small-8b", max_tokens=64, answers=2, cost=0.25)
    write_card(zoo_file.parent / "cards" / "small.json", _profile("small"), run)
    zoo = ModelZoo.load(zoo_file)
    zoo.add("third", zoo_file.parent / "cards" / "small.json")
    zoo.select(["third", "small", "big"]).save(tmp_path / "copy" / "zoo.toml")
    copy = ModelZoo.load(tmp_path / "copy" / "zoo.toml")
    assert [dict(copy.runs(name)) for name in copy] == [{"toy": run}, {"toy": run}, {}]
    assert copy.profiles == zoo.select(["third", "small", "big"]).profiles


def test_a_zoo_file_is_read_with_its_cards(zoo_file: Path) -> None:
    zoo = ModelZoo.load(zoo_file)
    assert zoo.names == ("small", "big")
    assert zoo["small"] == Candidate(
        name="small",
        input_price=0.2,
        output_price=1.0,
        context_window=8192,
        tags=("eu-only",),
        notes="Fluent in Dutch.",
    )
    assert zoo.profile("small").notes == "Card note. Fluent in Dutch."
    assert [profile.candidate for profile in zoo.profiles] == ["small", "big"]


def test_a_zoo_gives_the_same_profiles_until_it_changes(zoo_file: Path) -> None:
    zoo = ModelZoo.load(zoo_file)
    first, _ = zoo.profiles
    assert zoo.profiles[0] is first
    assert zoo.profile("small") is first
    zoo.remove("big")
    assert zoo.profiles == (first,)


def test_a_saved_zoo_is_the_same_zoo(zoo_file: Path, tmp_path: Path) -> None:
    zoo = ModelZoo.load(zoo_file)
    zoo.add(
        Candidate(name="a/b", endpoint="http://x", model="m", modalities=("text", "image")), _profile("other")
    )
    target = tmp_path / "copy" / "zoo.toml"
    zoo.save(target)
    again = ModelZoo.load(target)
    assert again.candidates == zoo.candidates
    assert again.profiles == zoo.profiles


def test_a_candidate_is_added_from_its_card_under_its_own_name(zoo_file: Path) -> None:
    zoo = ModelZoo()
    zoo.add("ours", zoo_file.parent / "cards" / "big.json")
    assert zoo.profiles[0].candidate == "ours"
    assert "ours" in zoo
    assert list(zoo) == ["ours"]
    with pytest.raises(DataError, match="in the zoo already"):
        zoo.add("ours", _profile("ours"))
    zoo.remove("ours")
    assert len(zoo) == 0


def test_selecting_keeps_the_wanted_order_and_the_zoo(zoo_file: Path) -> None:
    zoo = ModelZoo.load(zoo_file)
    assert zoo.select(["big", "small"]).names == ("big", "small")
    assert zoo.names == ("small", "big")
    with pytest.raises(DataError, match="no candidate 'x' in the zoo; it has small, big"):
        zoo.select(["x"])


def test_editing_a_zoo_file_keeps_what_a_person_wrote(zoo_file: Path) -> None:
    write_card(zoo_file.parent / "new.json", _profile("new"))
    add_entry(zoo_file, Candidate(name="new", output_price=3.0), zoo_file.parent / "new.json")
    remove_entry(zoo_file, "big")
    text = zoo_file.read_text()
    assert "# Our models." in text
    assert "# the cheap one" in text
    assert 'card = "new.json"' in text
    assert ModelZoo.load(zoo_file).names == ("small", "new")


def test_a_card_of_another_candidate_is_refused_unless_the_entry_names_it(zoo_file: Path) -> None:
    big = zoo_file.parent / "cards" / "big.json"
    before = zoo_file.read_text()
    for named in (None, "small"):
        with pytest.raises(DataError, match=r"big.json: is the card of 'big', not of 'ours'; .* --as big"):
            add_entry(zoo_file, Candidate(name="ours"), big, card_candidate=named)
    assert zoo_file.read_text() == before
    add_entry(zoo_file, Candidate(name="ours"), big, card_candidate="big")
    zoo = ModelZoo.load(zoo_file)
    assert zoo.profile("ours").results == zoo.profile("big").results
    zoo_file.write_text(zoo_file.read_text().replace('card_candidate = "big"\n', ""))
    line = zoo_file.read_text().splitlines().index('name = "ours"')
    with pytest.raises(
        DataError, match=rf"zoo.toml:{line}: candidate 'ours': .*is the card of 'big', not of 'ours'"
    ):
        ModelZoo.load(zoo_file)
    zoo.save(zoo_file.parent / "copy" / "zoo.toml")
    assert ModelZoo.load(zoo_file.parent / "copy" / "zoo.toml").profiles == zoo.profiles


def test_replacing_an_entry_keeps_its_place(zoo_file: Path) -> None:
    add_entry(zoo_file, Candidate(name="small", input_price=9.0), zoo_file.parent / "cards" / "small.json")
    zoo = ModelZoo.load(zoo_file)
    assert zoo.names == ("small", "big")
    assert (zoo["small"].input_price, zoo["small"].output_price, zoo["small"].tags) == (9.0, None, ())


def test_the_last_candidate_may_leave_and_another_come(zoo_file: Path) -> None:
    remove_entry(zoo_file, "small")
    remove_entry(zoo_file, "big")
    assert len(ModelZoo.load(zoo_file)) == 0
    add_entry(zoo_file, Candidate(name="big"), zoo_file.parent / "cards" / "big.json")
    assert ModelZoo.load(zoo_file).names == ("big",)
    with pytest.raises(DataError, match="no candidate 'x'"):
        remove_entry(zoo_file, "x")


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("modelsat-zoo/1", "modelsat-zoo/2", r"zoo\.toml: format is 'modelsat-zoo/2'"),
        (
            "input_price = 0.2",
            "input_price = -1",
            r"zoo\.toml:4: candidate 'small': field 'input_price' is -1",
        ),
        ("context_window = 8192", "context_windw = 1", r"zoo\.toml:4: .*unknown field 'context_windw'"),
        ('name = "big"', 'name = "small"', r"zoo\.toml:14: candidate 'small': the name appears twice"),
        ('name = "big"', "", r"zoo\.toml:14: candidate 2: field 'name' is missing"),
        ("cards/big.json", "cards/x.json", r"zoo\.toml:14: candidate 'big': .*x\.json: no such file"),
        ("input_price = 0.2", "input_price = ", r"zoo\.toml: not TOML: .*line 7"),
        ("[[candidate]]", "[candidate]", "not TOML|single table"),
        ('format = "modelsat-zoo/1"', 'format = "modelsat-zoo/1"\nprice = 1', "unknown field 'price'"),
    ],
)
def test_a_malformed_zoo_names_file_line_and_entry(zoo_file: Path, old: str, new: str, fault: str) -> None:
    zoo_file.write_text(ZOO.replace(old, new))
    with pytest.raises(DataError, match=fault):
        ModelZoo.load(zoo_file)


def test_the_shipped_zoo_sat_the_shipped_exam() -> None:
    zoo = ModelZoo.shipped()
    exam = AptitudeTest.shipped()
    assert len(zoo) >= 25
    keywords = {task.name: task.keywords for task in exam.tasks}
    for profile in zoo.profiles:
        assert profile.exam_hash == exam.hash
        assert profile.date
        assert profile.source
        assert all(keywords[result.task] == result.keywords for result in profile.results)
    assert all(
        candidate.output_price is not None and candidate.context_window for candidate in zoo.candidates
    )


def test_an_endpoint_comes_with_the_place_of_its_key(zoo_file: Path) -> None:
    endpoint = 'endpoint = "https://llm.example/v1"\napi_key_file = "secrets/small"\ntools = true\n'
    zoo_file.write_text(ZOO.replace("input_price = 0.2\n", endpoint))
    small = ModelZoo.load(zoo_file)["small"]
    assert small.endpoint == "https://llm.example/v1"
    assert small.tools is True
    # Beside the zoo file, wherever the program was started.
    assert small.api_key_file == str(zoo_file.parent / "secrets" / "small")
    ModelZoo.load(zoo_file).save(zoo_file.parent / "copy.toml")
    assert ModelZoo.load(zoo_file.parent / "copy.toml")["small"] == small


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('endpoint = "llm.example/v1"', "expected a base URL"),
        ('endpoint = "file:///etc/passwd"', "expected a base URL"),
        ('endpoint = "http+unix://llm.sock/v1"', "expected a base URL"),
        ('endpoint = "https://llm.example:port/v1"', "expected a base URL"),
        ('endpoint = "https://llm.example/v1?key=1"', "expected a base URL"),
        ('endpoint = "https://me:hunter2@llm.example/v1"', "holds a user or password"),
        ('api_key_env = "A"\napi_key_file = "b"', "both api_key_env and api_key_file"),
        ("tools = 1", "'tools' is 1"),
    ],
)
def test_an_endpoint_that_cannot_be_called_is_refused(zoo_file: Path, line: str, fault: str) -> None:
    zoo_file.write_text(ZOO.replace("input_price = 0.2", line))
    with pytest.raises(DataError, match=fault) as caught:
        ModelZoo.load(zoo_file)
    assert "zoo.toml:4" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def _sat(exam: str, accuracy: float = 0.5) -> CapabilityProfile:
    return replace(_profile("small", accuracy), exam=exam)


def test_a_candidate_may_bring_cards_of_further_exams(zoo_file: Path, tmp_path: Path) -> None:
    write_card(tmp_path / "cards" / "small.sql.json", _sat("sql", 0.9))
    register(zoo_file, Candidate(name="small"), tmp_path / "cards" / "small.sql.json")
    assert "the cheap one" in zoo_file.read_text()
    profile = ModelZoo.load(zoo_file).profile("small")
    assert [(sat.exam, sat.level) for sat in profile.exams] == [("toy", 0.5), ("sql", 0.9)]

    copy = tmp_path / "copy" / "zoo.toml"
    ModelZoo.load(zoo_file).save(copy)
    assert [sat.exam for sat in ModelZoo.load(copy).profile("small").exams] == ["toy", "sql"]


def test_a_card_of_an_exam_sat_again_takes_the_old_ones_place(zoo_file: Path, tmp_path: Path) -> None:
    for name, card in {
        "sql": _sat("sql"),
        "sql-again": _sat("sql", 1.0),
        "toy-again": _sat("toy", 1.0),
        "law": _sat("law"),
    }.items():
        write_card(tmp_path / f"{name}.json", card)
        register(zoo_file, Candidate(name="small"), tmp_path / f"{name}.json")
    profile = ModelZoo.load(zoo_file).profile("small")
    assert [(sat.exam, sat.level) for sat in profile.exams] == [("toy", 1.0), ("sql", 1.0), ("law", 0.5)]


def test_two_cards_of_one_exam_are_refused(zoo_file: Path) -> None:
    zoo_file.write_text(
        ZOO.replace('card = "cards/big.json"', 'card = "cards/big.json"\nmore_cards = ["cards/big.json"]')
    )
    with pytest.raises(DataError, match=r"zoo\.toml:14: candidate 'big': .*two cards of the exam 'toy'"):
        ModelZoo.load(zoo_file)


def test_a_zoo_names_the_currency_of_its_prices(zoo_file: Path, tmp_path: Path) -> None:
    assert ModelZoo.load(zoo_file).currency == "USD"
    zoo_file.write_text(ZOO.replace('zoo/1"', 'zoo/1"\ncurrency = "EUR"'))
    zoo = ModelZoo.load(zoo_file)
    assert zoo.select(["small"]).currency == zoo.currency == zoo["big"].currency == "EUR"
    copy = tmp_path / "copy" / "zoo.toml"
    zoo.save(copy)
    assert ModelZoo.load(copy).currency == "EUR"
    remove_entry(zoo_file, "big")
    assert ModelZoo.load(zoo_file).currency == "EUR"


def test_a_currency_is_a_code(zoo_file: Path) -> None:
    zoo_file.write_text(ZOO.replace('zoo/1"', 'zoo/1"\ncurrency = "dollars"'))
    with pytest.raises(DataError, match=r"zoo\.toml: currency is 'dollars'; expected three capital letters"):
        ModelZoo.load(zoo_file)


def test_setting_fields_keeps_comments_at_their_places(zoo_file: Path) -> None:
    set_fields(zoo_file, "small", {"input_price": "0.5", "output_tokens": "300", "context_window": ""})
    set_fields(zoo_file, "big", {"modalities": "text,image"})
    assert zoo_file.read_text() == (
        ZOO.replace("input_price = 0.2", "input_price = 0.5")
        .replace("context_window = 8192\n", "")
        .replace('notes = "Fluent in Dutch."\n', 'notes = "Fluent in Dutch."\noutput_tokens = 300.0\n')
        .replace('card = "cards/big.json"\n', 'card = "cards/big.json"\nmodalities = ["text", "image"]\n')
    )
    assert ModelZoo.load(zoo_file)["small"].output_tokens == 300.0


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            ["input_price", "model", "tags", "tools", "context_window", "notes", "modalities", "endpoint"]
        ),
        st.sampled_from(
            ["1", "0.5", "true", "a,b", "text", "https://x/v1", "-1", "#", '"', "]", "ü\x00", " "]
        )
        | st.just(""),
    )
)
def test_whatever_is_set_the_file_stays_a_zoo_or_is_untouched(changes: dict[str, str]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "zoo.toml"
        for name in ("small", "big"):
            write_card(path.parent / "cards" / f"{name}.json", _profile(name))
        path.write_text(ZOO)
        try:
            set_fields(path, "small", changes)
        except DataError:
            assert path.read_text() == ZOO
        zoo = ModelZoo.load(path)
        assert zoo["big"] == Candidate(name="big")
        assert '# Big one: ask before use.\n[[candidate]]\nname = "big"' in path.read_text()


def test_a_zoo_has_one_currency(zoo_file: Path) -> None:
    zoo = ModelZoo.load(zoo_file)
    zoo.add(Candidate(name="unpriced", currency="EUR"), _profile("unpriced"))
    with pytest.raises(DataError, match="'dear' has prices in EUR, the zoo in USD; a zoo has one currency"):
        zoo.add(Candidate(name="dear", input_price=1.0, currency="EUR"), _profile("dear"))
    with pytest.raises(DataError, match="has prices in EUR, the file in USD"):
        add_entry(zoo_file, Candidate(name="big", currency="EUR"), zoo_file.parent / "cards" / "big.json")
    zoo_file.write_text(ZOO.replace('name = "big"', 'name = "big"\ncurrency = "EUR"'))
    with pytest.raises(DataError, match=r"zoo\.toml:14: candidate 'big': 'currency' is for the whole file"):
        ModelZoo.load(zoo_file)


def test_an_entry_takes_the_files_currency_and_a_new_file_the_candidates(zoo_file: Path) -> None:
    card = zoo_file.parent / "cards" / "small.json"
    zoo_file.write_text(ZOO.replace('zoo/1"', 'zoo/1"\ncurrency = "CHF"'))
    add_entry(zoo_file, Candidate(name="small", input_price=1.0), card)
    assert ModelZoo.load(zoo_file)["small"].currency == "CHF"
    new = zoo_file.parent / "new.toml"
    add_entry(new, Candidate(name="small", input_price=1.0, currency="EUR"), card)
    assert ModelZoo.load(new)["small"].currency == "EUR"
