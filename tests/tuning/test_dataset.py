"""What is held out never reaches tuning."""

import numpy as np
import pytest

from modelsat.errors import DataError
from modelsat.records.splits import Splits, split_of, stem_hash
from modelsat.tuning.dataset import read_tuning_data

from .conftest import Small


def test_each_part_holds_its_own_split_and_no_exam_question(small: Small) -> None:
    data = small.data()
    exam_stems = {item.stem_hash for item in small.exam.items}
    for part, split in ((data.tuning, "tuning"), (data.validation, "validation")):
        assert part.instructions
        assert {split_of(text) for text in part.texts()} == {split}
        assert not exam_stems & {stem_hash(text) for text in part.texts()}
        assert "cooking" not in {row.category for row in part.instructions}
        assert part.scores.shape == (len(part.instructions), len(part.profiles))
    # Nothing else is lost.
    allowed = [row for row in small.directory.instructions if row.category != "cooking"]
    kept = [row for row in allowed if stem_hash(row.text) not in exam_stems]
    assert len(data.tuning.instructions) == sum(split_of(row.text) == "tuning" for row in kept)


def test_unseen_candidates_are_validated_on_or_not_seen_at_all(small: Small) -> None:
    data = small.data()
    assert {p.candidate for p in data.tuning.profiles} == {"all-round", "jurist", "scientist", "weak"}
    assert data.validation.profiles[:-1] == data.tuning.profiles
    assert data.validation.profiles[-1].candidate == "held-out"
    assert data.held_out.tolist() == [False] * 4 + [True]
    assert data.tuning.scores.shape[1] == 4


def test_without_held_out_candidates_validation_uses_the_seen_ones(small: Small) -> None:
    data = read_tuning_data(small.directory, small.exam, splits=Splits(), rng=np.random.default_rng(0))
    assert data.validation.profiles == data.tuning.profiles
    assert data.held_out.all()
    assert len(data.tuning.profiles) == 6


def test_outcomes_stay_with_their_instructions_and_candidates(small: Small) -> None:
    known = {(one.instruction_id, one.candidate): one.score for one in small.directory.outcomes}
    part = small.data().tuning
    for row, instruction in enumerate(part.instructions):
        for column, profile in enumerate(part.profiles):
            assert part.scores[row, column] == known[instruction.id, profile.candidate]


def test_item_texts_and_categories_follow_the_exam(small: Small) -> None:
    data = small.data()
    texts = {row.id: row for row in small.directory.instructions}
    assert data.item_texts == tuple(texts[item.id].text for item in small.exam.items)
    items, rows, count = data.item_categories()
    assert count == 4
    names = {texts[item.id].category: int(at) for item, at in zip(small.exam.items, items, strict=True)}
    assert [names[row.category] for row in data.tuning.instructions] == rows.tolist()


def test_options_are_dropped_from_stems(small: Small) -> None:
    part = small.data().tuning
    assert any("\nA. " in text for text in part.texts())
    assert not any("\nA. " in stem for stem in part.stems())


def test_a_limit_keeps_so_many_of_each_part(small: Small) -> None:
    data = read_tuning_data(
        small.directory, small.exam, splits=Splits(), limit=5, rng=np.random.default_rng(0)
    )
    assert (len(data.tuning.instructions), len(data.validation.instructions)) == (5, 5)


@pytest.mark.parametrize(
    ("splits", "datasets", "fault"),
    [
        (Splits(out_of_domain_datasets=("toy",)), None, "dataset toy is held out"),
        (Splits(), ["elsewhere"], "no outcomes are left"),
        (Splits(unseen_test=("all-round", "jurist", "scientist", "weak", "held-out")), None, "needs 2"),
        (
            Splits(out_of_domain_categories=("algebra", "law", "biology", "history", "cooking")),
            None,
            "is left",
        ),
    ],
)
def test_nothing_left_to_tune_on_is_one_sentence(
    small: Small, splits: Splits, datasets: list[str] | None, fault: str
) -> None:
    with pytest.raises(DataError, match=fault):
        read_tuning_data(
            small.directory, small.exam, splits=splits, datasets=datasets, rng=np.random.default_rng(0)
        )
