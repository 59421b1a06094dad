from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from modelsat.records.importers import SourceRow, gather
from modelsat.records.store import OutcomeDirectory
from modelsat.types import Instruction, Outcome

FILE = Path("log")


def row(line: int = 1, **values: object) -> SourceRow:
    whole = {"instruction_id": "q", "text": "What?", "model": "m", "score": 1.0, "source": "s", **values}
    return SourceRow(file=FILE, line=line, values=whole)


def directory(*outcomes: Outcome) -> OutcomeDirectory:
    from modelsat.records.outcomes import Outcomes

    known = (Instruction(id="q", text="What?"),)
    return OutcomeDirectory(path=FILE, instructions=known, outcomes=Outcomes.of(outcomes))


KNOWN = Outcome(candidate="m", instruction_id="q", score=0.0, source="s")


def test_rows_that_are_no_outcome_are_counted_by_reason() -> None:
    result = gather(
        [
            row(1),
            SourceRow(file=FILE, line=2, left_out="filter b"),
            SourceRow(file=FILE, line=3, left_out="filter b"),
            SourceRow(file=FILE, line=4, fault="not JSON"),
        ]
    )
    assert (result.rows, dict(result.left_out)) == (4, {"filter b": 2})
    assert [(bad.line, bad.reason) for bad in result.rejected] == [(4, "not JSON")]
    assert len(result.outcomes) == 1


def test_one_candidate_may_have_an_outcome_under_each_protocol() -> None:
    result = gather([row(1), row(2, source="other"), row(3, score=0.0)])
    assert [(outcome.source, outcome.score) for outcome in result.outcomes] == [("s", 1.0), ("other", 1.0)]
    (twice,) = result.duplicates
    assert (twice.line, twice.candidate, twice.instruction_id, twice.known_before) == (3, "m", "q", False)


def test_what_a_directory_has_already_stays_and_is_reported() -> None:
    result = gather([row(1), row(2, model="new")], into=directory(KNOWN))
    assert [(outcome.candidate, outcome.score) for outcome in result.outcomes] == [("m", 0.0), ("new", 1.0)]
    assert [outcome.candidate for outcome in result.new_outcomes] == ["new"]
    assert result.new_instructions == 0
    assert [twice.known_before for twice in result.duplicates] == [True]


def test_an_outcome_takes_the_place_of_the_old_one_on_request() -> None:
    result = gather([row(1), row(2, score=0.5)], into=directory(KNOWN), replace=True)
    assert [outcome.score for outcome in result.outcomes] == [1.0]
    assert [twice.known_before for twice in result.duplicates] == [True, False]


def test_a_known_id_with_another_text_is_rejected_by_line() -> None:
    result = gather([row(7, text="Why?", model="new")], into=directory(KNOWN))
    assert [(bad.line, "another text" in bad.reason) for bad in result.rejected] == [(7, True)]
    assert list(result.outcomes) == [KNOWN]


def test_a_fixed_value_goes_before_the_logs_own() -> None:
    result = gather([row(model=None)], fixed={"model": "ours", "source": "our protocol"})
    assert [(outcome.candidate, outcome.source) for outcome in result.outcomes] == [("ours", "our protocol")]


def test_faults_are_sentences() -> None:
    faults = {
        "--set candidate=NAME": row(model=""),
        "text is missing": row(text=" "),
        "score is nan": row(score=float("nan")),
        "score is missing": row(score=None),
        "text holds a broken character": row(text="half \ud800"),
        "choices holds a broken character": row(choices=["\udfff"]),
        "output_tokens is -1": row(output_tokens=-1),
    }
    for reason, faulty in faults.items():
        (bad,) = gather([faulty]).rejected
        assert reason in bad.reason


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text(max_size=3))


@settings(max_examples=50)
@given(
    st.dictionaries(
        st.sampled_from(
            ["instruction_id", "text", "model", "score", "choices", "answer", "kind", "parsed", "images"]
        ),
        values,
    )
)
def test_whatever_a_row_holds_it_is_an_outcome_or_a_rejection(content: dict[str, object]) -> None:
    result = gather([SourceRow(file=FILE, line=1, values=content)])
    assert len(result.outcomes) + len(result.rejected) == 1
    assert all(bad.reason for bad in result.rejected)
