"""Layouts 1 and 2: the backbone reads instruction, inquiry and candidates together.

The network takes token ids and representations. It does not know profiles, exams or zoos.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from modelsat.errors import LayoutError
from modelsat.network.backbone import Backbone
from modelsat.network.paper.heads import Connector, RegressionHead, YesTokenHead
from modelsat.network.paper.packing import Packing, capability_first, shared_prefix
from modelsat.progress import Progress, no_progress
from modelsat.scoring.config import INQUIRY, NetworkConfig

TokenIds = Sequence[int]
# [candidate, feature], [candidate, order of tasks, feature], or token ids per candidate (encoder `none`).
Representations = Tensor | Sequence[TokenIds]

_EMBEDDINGS_SAMPLED = 4096


class PromptedNetwork(nn.Module):
    """phi with its connector W and head, in the layout capability_first or shared_prefix.

    Args:
        backbone: phi.
        config: Layout, encoder, head and token budget.
        features: Width of a representation vector; None where the encoder is `none`.

    Raises:
        LayoutError: The layout is another one, or the token budget crosses the backbone's longest position.
    """

    def __init__(self, backbone: Backbone, config: NetworkConfig, *, features: int | None) -> None:
        super().__init__()
        if config.layout == "exam_attention":
            raise LayoutError("layout exam_attention has no prompt; use capability_first or shared_prefix.")
        if (features is None) != (config.capability_encoder == "none"):
            raise LayoutError(
                f"encoder {config.capability_encoder} with {features} features; only `none` goes without."
            )
        self.backbone = backbone
        self.config = config
        # Tokenised apart from the instruction, which no one vouches for: ids are joined, never strings.
        self.inquiry: list[int] = backbone.tokenize(f"\n{INQUIRY}", budget=backbone.longest_position)
        self.connector = (
            None
            if features is None
            else Connector(features, backbone.hidden_size, scale=embedding_scale(backbone))
        )
        self.head = RegressionHead(backbone.hidden_size) if config.head == "regression" else YesTokenHead()
        self._check_length(config.tokens + len(self.inquiry) + (0 if features is None else 1))

    def tokenize(self, text: str) -> list[int]:
        """Token ids of an instruction, head and tail kept within the token budget."""
        return self.backbone.tokenize(text, budget=self.config.tokens)

    def tuned_state(self) -> dict[str, Tensor]:
        """Tensors of connector and head, by name: what a checkpoint holds besides the adapters."""
        return {
            name: value.detach().cpu().clone()
            for name, value in self.state_dict().items()
            if not name.startswith("backbone.")
        }

    def forward(self, instructions: Sequence[TokenIds], representations: Representations) -> Tensor:
        """Score candidates on instructions in one pass.

        Args:
            instructions: Token ids of [x], none empty.
            representations: Of the candidates, as the capability encoder gives them. Where there are several
                orders of the tasks, scores are averaged over them (paper: perturbation evaluation).

        Returns:
            [instruction, candidate] fp32 logits, not calibrated.

        Raises:
            LayoutError: A sequence crosses the backbone's longest position (encoder `none`: text too long).
        """
        prefixes = [[*ids, *self.inquiry] for ids in instructions]
        if not isinstance(representations, Tensor):
            return self._score_plain(prefixes, representations)
        if self.connector is None:
            raise LayoutError("encoder none takes token ids of representations; it was given vectors.")
        if representations.ndim == 2:
            representations = representations[:, None]
        candidates, orders, _ = representations.shape
        slots = self.connector(representations.to(self._device).flatten(0, 1))
        logits = self._score_slots(prefixes, slots)
        return logits.view(len(prefixes), candidates, orders).mean(dim=-1)

    @torch.inference_mode()
    def score(
        self,
        instructions: Sequence[TokenIds],
        representations: Representations,
        *,
        sequences: int = 32,
        progress: Progress = no_progress,
    ) -> Tensor:
        """Score many instructions in passes of similar length.

        Args:
            instructions: As in `forward`.
            representations: As in `forward`.
            sequences: Sequences per pass, at most. A shared_prefix sequence holds all candidates; fewer run
                together where the zoo is large.
            progress: Called with (instructions done, instructions in all).

        Returns:
            [instruction, candidate] fp32 logits.
        """
        candidates = len(representations)
        logits = torch.zeros(len(instructions), candidates, device=self._device)
        rows_per_pass, columns_per_pass = self._pass_size(representations, sequences)
        order = sorted(range(len(instructions)), key=lambda row: len(instructions[row]))
        for start in range(0, len(order), rows_per_pass):
            rows = order[start : start + rows_per_pass]
            batch = [instructions[row] for row in rows]
            for first in range(0, candidates, columns_per_pass):
                columns = slice(first, min(first + columns_per_pass, candidates))
                logits[torch.tensor(rows), columns] = self(batch, representations[columns])
            progress("scoring", start + len(rows), len(order))
        return logits

    @property
    def _device(self) -> torch.device:
        return self.backbone.yes_direction.device

    def _pass_size(self, representations: Representations, sequences: int) -> tuple[int, int]:
        """Instructions and candidates that one pass takes."""
        candidates = max(len(representations), 1)
        orders = (
            representations.shape[1]
            if isinstance(representations, Tensor) and representations.ndim == 3
            else 1
        )
        if self.config.layout == "shared_prefix":
            # The mask has [position, position] entries per sequence: 256 candidates count like one more.
            return max(1, sequences // (1 + candidates * orders // 256)), candidates
        columns = max(1, min(candidates, sequences // orders))
        return max(1, sequences // (columns * orders)), columns

    def _score_plain(self, prefixes: list[list[int]], representations: Sequence[TokenIds]) -> Tensor:
        if self.config.capability_encoder != "none":
            raise LayoutError(
                f"encoder {self.config.capability_encoder} takes vectors; it was given token ids."
            )
        sequences = [[*text, *prefix] for prefix in prefixes for text in representations]
        logits = self._read(capability_first(sequences, slots=0), None)
        return logits.view(len(prefixes), len(representations))

    def _score_slots(self, prefixes: list[list[int]], slots: Tensor) -> Tensor:
        """[instruction] prefixes, [slot, hidden] capability embeddings -> [instruction, slot] logits."""
        count, hidden = slots.shape
        if self.config.layout == "shared_prefix":
            packing = shared_prefix(prefixes, slots=count)
            return self._read(packing, slots.expand(len(prefixes), count, hidden))
        packing = capability_first([prefix for prefix in prefixes for _ in range(count)])
        logits = self._read(packing, slots.repeat(len(prefixes), 1)[:, None])
        return logits.view(len(prefixes), count)

    def _read(self, packing: Packing, slots: Tensor | None) -> Tensor:
        """[sequence, reading] logits."""
        self._check_length(packing.last_position + 1)
        packing = packing.to(self._device)
        states = self.backbone.run(
            packing.place(self.backbone.embed(packing.ids), slots),
            positions=packing.positions,
            visible=packing.visible,
        )
        read = packing.read[..., None].expand(-1, -1, states.shape[-1])
        logits: Tensor = self.head(states.gather(1, read), self.backbone.yes_direction)
        return logits

    def _check_length(self, length: int) -> None:
        if length > self.backbone.longest_position:
            raise LayoutError(
                f"backbone {self.backbone.name} takes {self.backbone.longest_position} positions; "
                f"instruction, inquiry and representation need {length}. Lower the token budget "
                f"({self.config.tokens}), or use an encoder that turns the representation into one position."
            )


@torch.no_grad()
def embedding_scale(backbone: Backbone) -> float:
    """Root mean square of a backbone's input embeddings, over words spread evenly through its vocabulary."""
    vocabulary = int(backbone.config.vocab_size)
    ids = torch.arange(0, vocabulary, max(1, vocabulary // _EMBEDDINGS_SAMPLED))
    vectors = backbone.embed(ids.to(backbone.yes_direction.device)).float()
    return float(vectors.square().mean().sqrt())
