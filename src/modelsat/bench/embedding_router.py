"""A router of layout exam_attention on sentence embeddings alone, tuned in seconds.

Tuning the shipped router takes hours; a release stream needs one that saw no candidate after its cutoff. This one has
the same head, the same loss and the same virtual candidates, but no backbone: it says less than the shipped router
could.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelsat.bench.arena import Arena
from modelsat.bench.baselines.by_name import Embed
from modelsat.errors import DataError
from modelsat.network.attention import CardTensors, ExamAttention
from modelsat.routing.scorer import score_matrix
from modelsat.scoring.config import TEXT_SCALE, AttentionConfig
from modelsat.scoring.numeric_encoder import CardBatch, encode_profiles, measure_exam
from modelsat.tuning.objectives import combined_loss
from modelsat.tuning.recipe import Recipe
from modelsat.tuning.samples import draw_candidates
from modelsat.types import CapabilityProfile, Instruction, ScoreMatrix

_STEPS = 250
_BATCH = 128


class EmbeddingRouter:
    """Exam attention whose instructions are sentence embeddings.

    Args:
        arena: Tuned on its learning instructions and the candidates that it calls seen.
        items: Instructions among which the exam's items are.
        embed: Texts to unit vectors.
        seed: Of everything random.

    Raises:
        DataError: A text of the exam is missing, or fewer than three seen candidates have its cards.
    """

    name = "Model-SAT on sentence embeddings"

    def __init__(self, arena: Arena, items: Sequence[Instruction], embed: Embed, *, seed: int) -> None:
        exam = arena.exam
        texts = {row.id: row.text for row in items}
        missing = [item.id for item in exam.items if item.id not in texts]
        if missing:
            raise DataError(f"exam {exam.name}: no text of item {missing[0]!r} among the instructions.")
        self._embed = embed
        self.statistics = measure_exam(exam, arena.seen_profiles)
        embeddings = embed([texts[item.id] for item in exam.items])
        self._center = embeddings.mean(axis=0)
        self._keys = torch.from_numpy(TEXT_SCALE * (embeddings - self._center))
        width = embeddings.shape[1]
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self._attention = ExamAttention(features=width, text=width, config=AttentionConfig())
            self._tune(arena, seed)
        self._attention.eval()

    @torch.inference_mode()
    def score(
        self, instructions: Sequence[Instruction], profiles: Sequence[CapabilityProfile]
    ) -> ScoreMatrix:
        """Score every candidate on every instruction; probabilities are not calibrated."""
        cards = self._tensors(encode_profiles(profiles, self.statistics))
        base, attended, _ = self._attention(self._features(instructions), cards)
        logits = (base + attended).mean(0)
        return score_matrix(
            instructions, profiles, logits=logits.numpy(), probabilities=torch.sigmoid(logits).numpy()
        )

    def _features(self, instructions: Sequence[Instruction]) -> Tensor:
        return torch.from_numpy(TEXT_SCALE * (self._embed([row.text for row in instructions]) - self._center))

    def _tensors(self, cards: CardBatch) -> CardTensors:
        if cards.other_tasks:
            raise DataError("a router on sentence embeddings reads cards of its own exam only.")
        return CardTensors(
            levels=torch.from_numpy(cards.levels),
            residuals=torch.from_numpy(cards.residuals),
            weights=torch.from_numpy(cards.weights),
            keys=self._keys,
        )

    def _tune(self, arena: Arena, seed: int) -> None:
        recipe = Recipe()
        table = arena.learning.columns([card.candidate for card in arena.seen_profiles])
        features = self._features(table.instructions)
        cards = encode_profiles(arena.seen_profiles, self.statistics)
        items, rows, count = _categories(arena, table.instructions)
        optimiser = torch.optim.AdamW(
            self._attention.parameters(), lr=recipe.stage1_rate, weight_decay=recipe.weight_decay
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, max_lr=recipe.stage1_rate, total_steps=_STEPS, pct_start=recipe.warmup
        )
        rng = np.random.default_rng(seed)
        for _ in range(_STEPS):
            batch = rng.choice(len(table), size=min(_BATCH, len(table)), replace=False)
            drawn = draw_candidates(
                cards, self.statistics, items, categories=count, mixup_ratio=recipe.mixup_ratio, rng=rng
            )
            base, attended, _ = self._attention(features[torch.from_numpy(batch)], self._tensors(drawn.cards))
            scores = drawn.scores(table.scores[batch], rows[batch])
            loss, _ = combined_loss(base + attended, scores, drawn.cards.levels, recipe, rng)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self._attention.parameters(), recipe.clip)
            optimiser.step()
            schedule.step()


def _categories(
    arena: Arena, instructions: Sequence[Instruction]
) -> tuple[NDArray[np.intp], NDArray[np.intp], int]:
    """Categories of the exam's items and of instructions, which virtual candidates switch parents by."""
    of_task = [task.category or task.name for task in arena.exam.tasks]
    of_row = [row.category or row.task for row in instructions]
    names = {name: at for at, name in enumerate(sorted({*of_task, *of_row}))}
    items = [names[name] for name, task in zip(of_task, arena.exam.tasks, strict=True) for _ in task.items]
    return (
        np.array(items, dtype=np.intp),
        np.array([names[name] for name in of_row], dtype=np.intp),
        len(names),
    )
