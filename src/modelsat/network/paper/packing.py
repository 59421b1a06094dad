"""Layouts 1 and 2 as positions and visibility: where candidates stand, what they see, where 'Yes' is read.

This module is arithmetic on lengths. It does not know the backbone, the candidates, or how they are embedded.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from modelsat.network.backbone import causal_visibility, pad


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """Sequences of tokens with slots for capability embeddings among them.

    A sequence is its first `slot_at` tokens, then its slots, then its other tokens; padding is at the end of
    the tokens.

    Attributes:
        ids: [sequence, token] int64; padding holds 0.
        slots: Capability embeddings that each sequence takes.
        slot_at: Tokens, padding included, that stand before the slots.
        positions: [sequence, token + slot] int64, for the rotary embedding and sliding windows.
        visible: [sequence, query, key] bool over tokens and slots.
        read: [sequence, reading] int64; where the next token would be 'Yes'.
    """

    ids: Tensor
    slots: int
    slot_at: int
    positions: Tensor
    visible: Tensor
    read: Tensor

    @property
    def length(self) -> int:
        """Tokens and slots of each sequence, padding included."""
        return int(self.ids.shape[1]) + self.slots

    @property
    def last_position(self) -> int:
        """The highest position in use."""
        return int(self.positions.max())

    def place(self, tokens: Tensor, slots: Tensor | None) -> Tensor:
        """Put embeddings where they belong.

        Args:
            tokens: [sequence, token, hidden] embeddings of `ids`.
            slots: [sequence, slot, hidden] capability embeddings; None where there are no slots.

        Returns:
            [sequence, token + slot, hidden].
        """
        if slots is None:
            return tokens
        return torch.cat(
            [tokens[:, : self.slot_at], slots.to(tokens.dtype), tokens[:, self.slot_at :]], dim=1
        )

    def to(self, device: torch.device) -> "Packing":
        """The same packing on another device."""
        return Packing(
            ids=self.ids.to(device),
            slots=self.slots,
            slot_at=self.slot_at,
            positions=self.positions.to(device),
            visible=self.visible.to(device),
            read=self.read.to(device),
        )


def capability_first(sequences: Sequence[Sequence[int]], *, slots: int = 1) -> Packing:
    """Layout 1, the paper's: [c][x][p], one sequence per candidate, 'Yes' read at its end.

    Args:
        sequences: Token ids of [x][p], none empty; of [c][x][p] where the representation stays plain text.
        slots: 1 where e_c stands before the tokens, 0 where the representation stays plain text.

    Returns:
        Plain causal sequences, each padded at its end; one reading per sequence.
    """
    tokens = pad(sequences)
    lengths = tokens.lengths + slots
    present = torch.arange(tokens.ids.shape[1] + slots)[None] < lengths[:, None]
    return Packing(
        ids=tokens.ids,
        slots=slots,
        slot_at=0,
        positions=torch.arange(present.shape[1]).expand(present.shape),
        visible=causal_visibility(present),
        read=lengths[:, None] - 1,
    )


def shared_prefix(prefixes: Sequence[Sequence[int]], *, slots: int) -> Packing:
    """Layout 2: [x][p] once, then one position per candidate, 'Yes' read at each.

    A candidate's position sees the prefix and itself only, and the prefix sees no candidate: the result is
    that of one sequence [x][p][c] per candidate. All candidates sit at the same position: their order must
    not matter.

    Args:
        prefixes: Token ids of [x][p] per instruction, none empty.
        slots: Candidates (times orders of their tasks, where scores are averaged over several).

    Returns:
        One sequence per instruction; one reading per slot.
    """
    tokens = pad(prefixes)
    batch, longest = tokens.ids.shape
    visible = torch.zeros(batch, longest + slots, longest + slots, dtype=torch.bool)
    visible[:, :longest, :longest] = causal_visibility(tokens.present)
    visible[:, longest:, :longest] = tokens.present[:, None]
    visible[:, longest:, longest:] = torch.eye(slots, dtype=torch.bool)
    positions = torch.cat(
        [torch.arange(longest).expand(batch, longest), tokens.lengths[:, None].expand(batch, slots)], dim=1
    )
    return Packing(
        ids=tokens.ids,
        slots=slots,
        slot_at=longest,
        positions=positions,
        visible=visible,
        read=torch.arange(longest, longest + slots).expand(batch, slots),
    )
