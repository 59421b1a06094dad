"""A student of layout exam_attention: the first layers of a text encoder alone read an instruction.

No backbone and no whole sentence encoder: a projection of the pooled states, learnt from the sentence encoder, stands
in for its embedding, so that everything that compares instructions with exam items stays as it is.
"""

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from modelsat.errors import LayoutError
from modelsat.network.backbone import pad
from modelsat.network.encoder import TextEncoder
from modelsat.network.exam_network import ExamAttentionNetwork, pool
from modelsat.scoring.config import NetworkConfig
from modelsat.scoring.tokens import clip_text, keep_ends
from modelsat.scoring.weights import EMBEDDED_ENCODER, StoredWeights, embedded_folder, weights_identity
from modelsat.types import FloatArray

_BATCH = 32


class TruncatedEncoder(nn.Module):
    """A BERT-type text encoder up to a chosen depth.

    Args:
        encoder: The whole encoder; its layers are taken over, not copied.
        layers: Layers to keep; 0 leaves the token embeddings alone.

    Raises:
        LayoutError: It is no BERT-type encoder, or has fewer layers.
    """

    def __init__(self, encoder: TextEncoder, *, layers: int) -> None:
        super().__init__()
        model = encoder.model
        stack = getattr(getattr(model, "encoder", None), "layer", None)
        if stack is None or not hasattr(model, "embeddings"):
            raise LayoutError(
                f"encoder {encoder.name} is of type {model.config.model_type!r}; a student needs one of BERT's shape."
            )
        if not 0 <= layers <= len(stack):
            raise LayoutError(f"encoder {encoder.name} has {len(stack)} layers; {layers} were asked for.")
        self.name = encoder.name
        self.config = model.config
        self.embeddings: nn.Module = model.embeddings
        self.layers: nn.ModuleList = stack[:layers]
        self.hidden_size = encoder.hidden_size
        self._tokenizer, self._prefix, self._longest = encoder.tokenizer, encoder.prefix, encoder.longest
        self._ends: tuple[int, int] = (encoder.tokenizer.cls_token_id, encoder.tokenizer.sep_token_id)
        self.requires_grad_(False)

    def identity(self) -> str:
        """Hash of the weights in use (without adapters), before they were rounded for a wheel."""
        if self.name == EMBEDDED_ENCODER:
            known = StoredWeights(embedded_folder(self.name)).identity(len(self.layers))
            if known is not None:
                return known
        return weights_identity(
            (name.replace(".base_layer", ""), tensor.detach().float().cpu().numpy())
            for name, tensor in self.named_parameters()
            if "lora_" not in name
        )

    def tokenize(self, text: str, *, budget: int) -> list[int]:
        """Token ids between the encoder's end markers; a text over the budget keeps its first and last halves.

        Args:
            text: Any text; control tokens in it are plain text.
            budget: Tokens to keep, the two markers included; at least 3.
        """
        budget = min(budget, self._longest)
        ids = cast(
            "list[int]",
            self._tokenizer.encode(
                clip_text(self._prefix + text, budget),
                add_special_tokens=False,
                split_special_tokens=True,
                verbose=False,
            ),
        )
        first, last = self._ends
        return [first, *keep_ends(ids, budget - 2), last]

    def pooled(self, sequences: Sequence[Sequence[int]]) -> Tensor:
        """Mean state and last state of each sequence, [sequence, 2 hidden]."""
        batch = pad(sequences)
        states = self.embeddings(input_ids=batch.ids)
        mask = torch.zeros(batch.ids.shape, dtype=states.dtype)
        mask = mask.masked_fill_(~batch.present, torch.finfo(states.dtype).min)[:, None, None]
        for layer in self.layers:
            output: Any = layer(states, attention_mask=mask)
            states = output[0] if isinstance(output, tuple) else output
        return pool(states.float(), batch.lengths)


class StudentNetwork(ExamAttentionNetwork):
    """Everything that a student tunes besides the adapters: the head and the projection to sentence embeddings.

    Arguments as for `ExamAttentionNetwork`.
    """

    def __init__(self, *, hidden: int, item_embeddings: Tensor, config: NetworkConfig) -> None:
        super().__init__(hidden=hidden, item_embeddings=item_embeddings, config=config)
        self.embedding_projection = nn.Linear(2 * hidden, item_embeddings.shape[1])

    def project_embedding(self, pooled: Tensor) -> Tensor:
        """Projected sentence embeddings, [instruction, text] unit vectors."""
        return nn.functional.normalize(self.embedding_projection(pooled), dim=-1)


class StudentInstructionEncoder:
    """Encodes instructions with torch; see `modelsat.scoring.scorer.InstructionEncoder`.

    Args:
        encoder: With adapters merged.
        embedding_projection: From pooled states to sentence embeddings.
        load_encoder: Fetches the whole sentence encoder; asked only where cards of other exams need it.
        tokens: Token budget of an instruction.
    """

    runtime = "torch"

    def __init__(
        self,
        encoder: TruncatedEncoder,
        embedding_projection: nn.Linear,
        *,
        load_encoder: Callable[[], TextEncoder],
        tokens: int,
    ) -> None:
        self.encoder = encoder.eval()
        self.embedding_projection = embedding_projection
        self.tokens = tokens
        self.pooled_size = 2 * encoder.hidden_size
        self.text_size = embedding_projection.out_features
        self._load_encoder = load_encoder
        self._whole: TextEncoder | None = None

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> FloatArray:
        """[text, pooled + text]: pooled states, then imitated sentence embeddings."""
        sequences = [self.encoder.tokenize(text, budget=self.tokens) for text in texts]
        features = torch.zeros(len(texts), self.pooled_size + self.text_size)
        order = sorted(range(len(texts)), key=lambda row: len(sequences[row]))
        for start in range(0, len(order), _BATCH):
            rows = order[start : start + _BATCH]
            pooled = self.encoder.pooled([sequences[row] for row in rows])
            said = nn.functional.normalize(self.embedding_projection(pooled), dim=-1)
            features[rows] = torch.cat([pooled, said], dim=1)
        return cast("FloatArray", features.numpy())

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """[text, text] sentence embeddings by the whole encoder, unit vectors."""
        if self._whole is None:
            self._whole = self._load_encoder()
        return self._whole.encode(texts)
