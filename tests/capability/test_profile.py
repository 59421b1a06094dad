import numpy as np
import pytest

from modelsat.capability.profile import perturbed_orders, represent, task_phrases
from modelsat.errors import DataError
from modelsat.types import CapabilityProfile, TaskResult

PROFILE = CapabilityProfile(
    candidate="m",
    exam="toy",
    exam_hash="",
    results=(
        TaskResult(task="genetics", keywords=("Genetics", "Mutations"), accuracy=0.4, shots=20),
        TaskResult(task="law", keywords=("Law",), accuracy=0.2, shots=20),
    ),
    notes="Fluent in Dutch.",
)


def test_the_representation_is_the_papers_sentence_with_notes() -> None:
    assert represent(PROFILE) == (
        'The model achieves accuracy 40.0% on the task of "Genetics, Mutations", '
        'accuracy 20.0% on the task of "Law". Fluent in Dutch.'
    )


def test_an_order_changes_the_order_and_nothing_else() -> None:
    assert task_phrases(PROFILE, [1, 0]) == task_phrases(PROFILE)[::-1]
    assert represent(PROFILE, np.array([1, 0])).startswith(
        'The model achieves accuracy 20.0% on the task of "Law", '
    )


@pytest.mark.parametrize("order", [[0], [0, 0], [0, 2]])
def test_an_order_names_each_task_once(order: list[int]) -> None:
    with pytest.raises(DataError, match="each of its 2 tasks once"):
        represent(PROFILE, order)


def test_perturbed_orders_are_permutations_from_the_seed() -> None:
    orders = perturbed_orders(PROFILE, times=3, rng=np.random.default_rng(1))
    again = perturbed_orders(PROFILE, times=3, rng=np.random.default_rng(1))
    assert [sorted(order) for order in orders] == [[0, 1]] * 3
    assert [order.tolist() for order in orders] == [order.tolist() for order in again]
