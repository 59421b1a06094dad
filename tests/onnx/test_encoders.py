"""Which instructions are read together."""

from hypothesis import given
from hypothesis import strategies as st

from modelsat.onnx.encoders import similar_lengths


@given(lengths=st.lists(st.integers(1, 256), max_size=100))
def test_batches_hold_everything_once_and_little_padding(lengths: list[int]) -> None:
    batches = similar_lengths(lengths)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        assert 1 <= len(batch) <= 32
        longest = max(lengths[row] for row in batch)
        assert longest <= 1.25 * min(lengths[row] for row in batch)
        assert len(batch) == 1 or len(batch) * longest <= 512
    # Equals are never apart while there is room.
    assert len(similar_lengths([7] * 32)) == 1
