"""psi for layouts 1 and 2: four ways to turn a profile into what stands for the candidate in the prompt.

Constants come from tuning: a candidate's representation never depends on the zoo at hand. This module does
not know instructions, nor how representations enter the backbone.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from modelsat.capability.profile import OPENING, perturbed_orders, represent, task_phrases
from modelsat.errors import DataError, LayoutError
from modelsat.network.backbone import Backbone
from modelsat.network.encoder import TextEncoder
from modelsat.network.paper.prompted import Representations
from modelsat.scoring.numeric_encoder import ExamStatistics, encode_profiles, other_task_keys
from modelsat.types import CapabilityProfile, FloatArray

# Shots at which a task's result counts half, level the other half.
_PRIOR_SHOTS = 10.0


class CapabilityEncoder(Protocol):
    """What a network needs to know candidates by.

    Attributes:
        features: Width of a vector; None where a representation stays plain text.
    """

    @property
    def features(self) -> int | None:
        """Width of a vector; None where a representation stays plain text."""
        ...

    def encode(self, profiles: Sequence[CapabilityProfile]) -> Representations:
        """Represent candidates, one entry per profile."""
        ...


class TextRepresentation:
    """Encoder `text` (paper): the representation in words, through the text encoder.

    An exam of 50 tasks is several times longer than a text encoder reads. The representation is embedded in
    chunks of whole tasks, each opening like the representation itself, and the chunks' vectors are averaged,
    each weighing its tasks: nothing is cut. Expert notes count as one task per chunk.

    Args:
        encoder: The text encoder.
        perturbations: Random orders of the tasks to average scores over (paper: two); 0: the card's order.
        chunk_tokens: Tokens of a chunk, at most what the encoder takes.
        seed: Of the orders. Each profile draws anew, so that its orders do not depend on its company.
    """

    def __init__(
        self, encoder: TextEncoder, *, perturbations: int = 0, chunk_tokens: int = 256, seed: int = 0
    ) -> None:
        self.encoder = encoder
        self.perturbations = perturbations
        self.chunk_tokens = min(chunk_tokens, encoder.longest)
        self.seed = seed

    @property
    def features(self) -> int:
        """Width of a vector."""
        return self.encoder.hidden_size

    def encode(self, profiles: Sequence[CapabilityProfile]) -> Tensor:
        """Embed representations.

        Returns:
            [candidate, order, feature] float32; the features of a vector have a mean square of at most 1.
        """
        chunks = [self._chunks(profile, order) for profile in profiles for order in self._orders(profile)]
        texts = [text for group in chunks for text, _ in group]
        vectors = self.encoder.encode(texts, budget=self.chunk_tokens)
        pooled = np.zeros((len(chunks), self.features), dtype=np.float32)
        start = 0
        for row, group in enumerate(chunks):
            weights = np.array([tasks for _, tasks in group], dtype=np.float32)
            pooled[row] = weights @ vectors[start : start + len(group)] / weights.sum()
            start += len(group)
        orders = max(1, self.perturbations)
        return torch.from_numpy(pooled * self.features**0.5).view(len(profiles), orders, self.features)

    def _orders(self, profile: CapabilityProfile) -> Sequence[Sequence[int]]:
        if not self.perturbations:
            return [range(len(profile.results))]
        orders = perturbed_orders(profile, times=self.perturbations, rng=np.random.default_rng(self.seed))
        return [[int(position) for position in order] for order in orders]

    def _chunks(self, profile: CapabilityProfile, order: Sequence[int]) -> list[tuple[str, int]]:
        """Texts that the encoder reads whole, with the number of tasks in each."""
        chunks: list[tuple[str, int]] = []
        phrases: list[str] = []
        for phrase in task_phrases(profile, order):
            if phrases and not self._fits(_sentence([*phrases, phrase])):
                chunks.extend(self._split(_sentence(phrases), len(phrases)))
                phrases = []
            phrases.append(phrase)
        chunks.extend(self._split(_sentence(phrases), len(phrases)))
        notes = " ".join(profile.notes.split())
        return chunks + (self._split(notes, 1) if notes else [])

    def _fits(self, text: str) -> bool:
        return self.encoder.count_tokens(text) <= self.chunk_tokens

    def _split(self, text: str, tasks: int) -> list[tuple[str, int]]:
        """Halve a text between words until each part fits; only long notes or very many keywords need it."""
        if self._fits(text) or len(text) < 2:
            return [(text, tasks)]
        middle = text.rfind(" ", 1, len(text) // 2 + 1)
        middle = middle if middle > 0 else len(text) // 2
        return self._split(text[:middle].strip(), tasks) + self._split(text[middle:].strip(), tasks)


class NumericRepresentation:
    """Encoder `numeric`: sum over tasks of standardised accuracy x task embedding, level and share of shots.

    Accuracies are standardised against what the candidate's level predicts, and shrunk toward it: the fewer
    shots, the more. A task of another exam has an embedding too, from its keywords.

    Args:
        statistics: What tuning measured on the exam.
        keys: [task, text] embeddings of the exam's tasks, rows of length 1.
        embed: Texts -> [text, text feature], for tasks of other exams.
    """

    def __init__(
        self,
        statistics: ExamStatistics,
        *,
        keys: FloatArray,
        embed: Callable[[Sequence[str]], FloatArray],
    ) -> None:
        if len(keys) != len(statistics.tasks):
            raise LayoutError(
                f"{len(keys)} task embeddings for {len(statistics.tasks)} tasks; expected one each."
            )
        self.statistics = statistics
        self.keys = keys
        self.embed = embed

    @property
    def features(self) -> int:
        """Width of a vector: the text encoder's, level, share of shots."""
        return int(self.keys.shape[1]) + 2

    def encode(self, profiles: Sequence[CapabilityProfile]) -> Tensor:
        """Represent profiles.

        Returns:
            [candidate, feature] float32.

        Raises:
            DataError: A card names tasks that its exam does not have.
        """
        batch = encode_profiles(profiles, self.statistics)
        keys = self.keys
        if batch.other_tasks:
            keys = np.concatenate([keys, other_task_keys(batch.other_tasks, self.embed)])
        units = batch.residuals.shape[1] - len(batch.other_tasks)
        own = self.statistics.task_of_item
        task_of_unit = np.concatenate([own, len(self.statistics.tasks) + np.arange(len(batch.other_tasks))])
        member = np.eye(len(keys), dtype=np.float32)[task_of_unit.astype(np.intp)]  # [unit, task]
        shots = batch.weights @ member
        standing = (batch.residuals * batch.weights) @ member / (shots + _PRIOR_SHOTS)  # [candidate, task]
        tasks_sat = np.maximum((shots > 0).sum(axis=1, keepdims=True), 1)
        # Unit vectors, many of them, added up: sqrt keeps the size whatever the number of tasks.
        sums = standing @ keys * (keys.shape[1] / tasks_sat) ** 0.5
        sat = np.array([sum(result.shots for result in profile.results) for profile in profiles])
        share = np.minimum(1.0, sat / units)
        vectors = np.concatenate([sums, batch.levels[:, None], share[:, None]], axis=1)
        return torch.from_numpy(vectors.astype(np.float32))


class ItemsRepresentation:
    """Encoder `items`: the answer to every single item, for candidates that sat the same form of the exam.

    Args:
        statistics: What tuning measured on the exam.
    """

    def __init__(self, statistics: ExamStatistics) -> None:
        self.statistics = statistics

    @property
    def features(self) -> int:
        """Width of a vector: the exam's items, and level."""
        return len(self.statistics.difficulty) + 1

    def encode(self, profiles: Sequence[CapabilityProfile]) -> Tensor:
        """Represent profiles.

        Returns:
            [candidate, item + 1] float32 standardised residuals, then standardised level.

        Raises:
            DataError: A candidate did not sit this exam, all of it, item by item.
        """
        for profile in profiles:
            self._require_form(profile)
        batch = encode_profiles(profiles, self.statistics)
        return torch.from_numpy(np.concatenate([batch.residuals, batch.levels[:, None]], axis=1))

    def _require_form(self, profile: CapabilityProfile) -> None:
        sat = [result for result in profile.results if result.items and None not in result.items]
        if profile.exam_hash != self.statistics.exam_hash:
            fault = f"sat the exam {profile.exam} ({profile.exam_hash}), not {self.statistics.exam_hash}"
        elif len(sat) < len(self.statistics.tasks):
            fault = f"has all item results on {len(sat)} of {len(self.statistics.tasks)} tasks"
        else:
            return
        raise DataError(
            f"profile of {profile.candidate}: it {fault}; the encoder `items` compares one form item by "
            "item. Use a router with the encoder `numeric` or `text`, or let the candidate sit this exam."
        )


class PlainRepresentation:
    """Encoder `none` (paper's ablation): the representation stays plain text in the prompt.

    Args:
        backbone: Whose tokens the text becomes.
    """

    features: None = None

    def __init__(self, backbone: Backbone) -> None:
        self.backbone = backbone

    def encode(self, profiles: Sequence[CapabilityProfile]) -> list[list[int]]:
        """Tokenise representations, control tokens in notes and keywords as text.

        Raises:
            LayoutError: A representation alone fills the backbone; it is never cut.
        """
        return [self._tokenize(profile) for profile in profiles]

    def _tokenize(self, profile: CapabilityProfile) -> list[int]:
        longest = self.backbone.longest_position
        ids = self.backbone.tokenize(f"{represent(profile)}\n", budget=longest)
        if len(ids) >= longest:
            raise LayoutError(
                f"profile of {profile.candidate}: its representation in words fills all {longest} positions "
                f"of backbone {self.backbone.name}. Use the encoder `text`, or an exam with fewer tasks."
            )
        return ids


def _sentence(phrases: Sequence[str]) -> str:
    return f"{OPENING}{', '.join(phrases)}."
