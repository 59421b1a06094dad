import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.capability.card import card_from_object, card_name, card_object, read_card, write_card
from modelsat.errors import DataError
from modelsat.types import CapabilityProfile, TaskResult


def _result(task: str, items: tuple[float | None, ...]) -> TaskResult:
    sat = [score for score in items if score is not None]
    return TaskResult(
        task=task, keywords=("A", "B"), accuracy=sum(sat) / len(sat), shots=len(sat), items=items
    )


def _profile(*results: TaskResult) -> CapabilityProfile:
    return CapabilityProfile(
        candidate="m/1",
        exam="toy",
        exam_hash="abc",
        results=results,
        notes="Écrit bien.",
        mean_output_tokens=12.5,
        date="2025-01-31",
        source="here",
    )


scores = st.none() | st.floats(0, 1) | st.sampled_from([0.0, 1.0])


@given(
    st.lists(scores, min_size=1, max_size=30).filter(lambda items: any(score is not None for score in items))
)
def test_a_card_keeps_every_item(items: list[float | None]) -> None:
    profile = _profile(_result("law", tuple(items)))
    assert card_from_object(json.loads(json.dumps(card_object(profile))), "card") == profile


def test_a_card_is_read_as_it_was_written_and_easy_to_read(tmp_path: Path) -> None:
    profile = _profile(_result("law", (1.0, 0.0, None)), _result("physics", (0.5,)))
    path = tmp_path / "deep" / "card.json"
    write_card(path, profile)
    assert read_card(path) == profile
    assert '"items": "10-"' in path.read_text()
    assert "Écrit" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        (lambda card: card.update(format="modelsat-card/2"), "field 'format' is 'modelsat-card/2'"),
        (lambda card: card.update(colour=1), "unknown field 'colour'"),
        (lambda card: card.update(date="yesterday"), "field 'date' is 'yesterday'"),
        (lambda card: card.update(mean_output_tokens=-1), "field 'mean_output_tokens' is -1"),
        (lambda card: card.update(tasks=[]), "field 'tasks'"),
        (lambda card: card["tasks"][0].update(accuracy=85), r"field 'tasks\[0\].accuracy' is 85"),
        (lambda card: card["tasks"][0].update(accuracy=0.9), "accuracy is 0.9 but its items' mean is 0.5"),
        (lambda card: card["tasks"][0].update(shots=0), r"field 'tasks\[0\].shots' is 0"),
        (lambda card: card["tasks"][0].update(shots=3), "shots is 3 but 2 items have a score"),
        (lambda card: card["tasks"][0].update(items="1x"), r"field 'tasks\[0\].items"),
        (lambda card: card["tasks"][0].update(items=[2, 0]), r"field 'tasks\[0\].items"),
        (lambda card: card["tasks"].append(card["tasks"][0]), "a task appears twice"),
    ],
)
def test_a_malformed_card_names_file_and_field(
    tmp_path: Path, edit: Callable[[dict[str, Any]], object], fault: str
) -> None:
    card = card_object(_profile(_result("law", (1.0, 0.0))))
    edit(card)
    path = tmp_path / "card.json"
    path.write_text(json.dumps(card))
    with pytest.raises(DataError, match=rf"card\.json: .*{fault}"):
        read_card(path)


def test_a_missing_card_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.json: no such file"):
        read_card(tmp_path / "nowhere.json")


def test_distinct_candidates_have_distinct_card_names() -> None:
    names = ["a/b", "a-b", "a b", "..", "/", "模型", "m.1"]
    assert len({card_name(name) for name in names}) == len(names)
    assert card_name("gemma-7b") == "gemma-7b.json"
    assert all("/" not in card_name(name) and not card_name(name).startswith(".") for name in names)
