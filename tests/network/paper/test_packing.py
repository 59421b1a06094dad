import torch
from hypothesis import given
from hypothesis import strategies as st

from modelsat.network.paper.packing import Packing, capability_first, shared_prefix

Sequences = st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=9), min_size=1, max_size=5)


def seen_from(packing: Packing, row: int, query: int) -> set[int]:
    return set(packing.visible[row, query].nonzero().flatten().tolist())


@given(sequences=Sequences)
def test_capability_first_is_a_causal_sequence_read_at_its_end(sequences: list[list[int]]) -> None:
    packing = capability_first(sequences)
    for row, sequence in enumerate(sequences):
        length = len(sequence) + 1
        assert packing.read[row].tolist() == [length - 1]
        assert packing.positions[row, :length].tolist() == list(range(length))
        assert packing.ids[row, : length - 1].tolist() == sequence
        for query in range(length):
            assert seen_from(packing, row, query) == set(range(query + 1))


def test_capability_first_in_plain_text_has_no_slot() -> None:
    packing = capability_first([[1, 2, 3], [4]], slots=0)
    assert packing.length == 3
    assert packing.read.tolist() == [[2], [0]]
    tokens = torch.rand(2, 3, 4)
    assert packing.place(tokens, None) is tokens


@given(prefixes=Sequences, slots=st.integers(1, 4))
def test_a_candidate_sees_the_prefix_and_itself_only(prefixes: list[list[int]], slots: int) -> None:
    packing = shared_prefix(prefixes, slots=slots)
    longest = packing.slot_at
    for row, prefix in enumerate(prefixes):
        prefix_positions = set(range(len(prefix)))
        for slot in range(longest, longest + slots):
            assert seen_from(packing, row, slot) == prefix_positions | {slot}
            assert packing.positions[row, slot] == len(prefix)
        assert packing.read[row].tolist() == list(range(longest, longest + slots))


@given(prefixes=Sequences, slots=st.integers(1, 4))
def test_the_prefix_never_sees_a_candidate(prefixes: list[list[int]], slots: int) -> None:
    packing = shared_prefix(prefixes, slots=slots)
    assert not packing.visible[:, : packing.slot_at, packing.slot_at :].any()
    for row, prefix in enumerate(prefixes):
        for query in range(len(prefix)):
            assert seen_from(packing, row, query) == set(range(query + 1))


@given(sequences=Sequences, slots=st.integers(1, 4))
def test_every_position_sees_itself_and_padding_is_seen_by_none_else(
    sequences: list[list[int]], slots: int
) -> None:
    for packing in (capability_first(sequences), shared_prefix(sequences, slots=slots)):
        itself = torch.eye(packing.length, dtype=torch.bool)
        assert packing.visible.diagonal(dim1=1, dim2=2).all()
        for row, sequence in enumerate(sequences):
            start = len(sequence) if packing.slot_at else len(sequence) + 1
            padding = slice(start, packing.slot_at or packing.length)
            assert not (packing.visible[row] & ~itself)[:, padding].any()


def test_slots_are_placed_where_the_layout_says() -> None:
    tokens, slots = torch.zeros(2, 3, 4), torch.ones(2, 2, 4)
    shared = shared_prefix([[1, 2, 3], [4]], slots=2)
    assert shared.place(tokens, slots)[..., 0].tolist() == [[0, 0, 0, 1, 1]] * 2
    first = capability_first([[1, 2, 3], [4]])
    assert first.place(tokens, slots[:, :1])[..., 0].tolist() == [[1, 0, 0, 0]] * 2
    assert first.last_position == 3
    assert shared.last_position == 3
