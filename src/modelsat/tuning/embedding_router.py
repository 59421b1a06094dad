"""A router of layout exam_attention on sentence embeddings alone, tuned in seconds.

Tuning the shipped router takes hours; a benchmark of arriving candidates needs one that saw no candidate after a
cutoff. This one has the same head, the same loss and the same virtual candidates, but no backbone: the shipped router
is better.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelsat.capability.aptitude import AptitudeTest
from modelsat.errors import DataError
from modelsat.network.attention import CardTensors, ExamAttention
from modelsat.records.table import OutcomeTable
from modelsat.scoring.config import TEXT_SCALE, AttentionConfig
from modelsat.scoring.numeric_encoder import CardBatch, encode_profiles, measure_exam
from modelsat.tuning.objectives import combined_loss
from modelsat.tuning.recipe import Recipe
from modelsat.tuning.samples import draw_candidates
from modelsat.types import CapabilityProfile, FloatArray, Instruction, ScoreMatrix

_STEPS = 250
_BATCH = 128


class EmbeddingRouter:
    """Exam attention whose instructions are sentence embeddings.

    Args:
        exam: The exam of the cards.
        table: Outcomes to tune on; other candidates' are ignored.
        profiles: Cards of the candidates to tune on.
        items: Instructions that include the exam's items.
        embed: Texts to unit vectors.
        seed: Of everything random.

    Raises:
        DataError: A text of the exam is missing, or there are fewer than three cards.
    """

    name = "Model-SAT on sentence embeddings"

    def __init__(
        self,
        exam: AptitudeTest,
        table: OutcomeTable,
        profiles: Sequence[CapabilityProfile],
        *,
        items: Sequence[Instruction],
        embed: Callable[[Sequence[str]], FloatArray],
        seed: int,
    ) -> None:
        texts = {row.id: row.text for row in items}
        missing = [item.id for item in exam.items if item.id not in texts]
        if missing:
            raise DataError(f"exam {exam.name}: no text of item {missing[0]!r} among the instructions.")
        self._embed = embed
        self.statistics = measure_exam(exam, profiles)
        embeddings = embed([texts[item.id] for item in exam.items])
        self._center = embeddings.mean(axis=0)
        self._keys = torch.from_numpy(TEXT_SCALE * (embeddings - self._center))
        width = embeddings.shape[1]
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self._attention = ExamAttention(features=width, text=width, config=AttentionConfig())
            self._tune(exam, table.columns([card.candidate for card in profiles]), profiles, seed)
        self._attention.eval()

    @torch.inference_mode()
    def score(
        self, instructions: Sequence[Instruction], profiles: Sequence[CapabilityProfile]
    ) -> ScoreMatrix:
        """Score every candidate on every instruction; probabilities are not calibrated."""
        cards = self._tensors(encode_profiles(profiles, self.statistics))
        base, attended, _ = self._attention(self._features(instructions), cards)
        logits = (base + attended).mean(0)
        return ScoreMatrix(
            instruction_ids=tuple(row.id for row in instructions),
            candidates=tuple(card.candidate for card in profiles),
            logits=logits.numpy(),
            probabilities=torch.sigmoid(logits).numpy(),
        )

    def _features(self, instructions: Sequence[Instruction]) -> Tensor:
        return torch.from_numpy(TEXT_SCALE * (self._embed([row.text for row in instructions]) - self._center))

    def _tensors(self, cards: CardBatch) -> CardTensors:
        if cards.other_tasks:
            raise DataError("a router on sentence embeddings takes only cards of its own exam.")
        return CardTensors(
            levels=torch.from_numpy(cards.levels),
            residuals=torch.from_numpy(cards.residuals),
            weights=torch.from_numpy(cards.weights),
            keys=self._keys,
        )

    def _tune(
        self, exam: AptitudeTest, table: OutcomeTable, profiles: Sequence[CapabilityProfile], seed: int
    ) -> None:
        recipe = Recipe()
        features = self._features(table.instructions)
        cards = encode_profiles(profiles, self.statistics)
        items, rows, count = _categories(exam, table.instructions)
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
    exam: AptitudeTest, instructions: Sequence[Instruction]
) -> tuple[NDArray[np.intp], NDArray[np.intp], int]:
    """Categories of the exam's items and of instructions, by which virtual candidates switch parents."""
    of_task = [task.category or task.name for task in exam.tasks]
    of_row = [row.category or row.task for row in instructions]
    names = {name: at for at, name in enumerate(sorted({*of_task, *of_row}))}
    items = [names[name] for name, task in zip(of_task, exam.tasks, strict=True) for _ in task.items]
    return (
        np.array(items, dtype=np.intp),
        np.array([names[name] for name in of_row], dtype=np.intp),
        len(names),
    )
