"""Baselines that average outcomes of similar instructions, by sentence embedding."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from modelsat.bench.baselines.by_name import ByName, Embed, candidate_means, mean_or, texts_of
from modelsat.capability.aptitude import AptitudeTest
from modelsat.errors import DataError
from modelsat.records.table import OutcomeTable
from modelsat.routing.scorer import from_probabilities
from modelsat.types import CapabilityProfile, FloatArray, Instruction, ScoreMatrix

NEIGHBOURS = 200
EXAM_NEIGHBOURS = 100
CLUSTERS = 32


class NearestNeighbours(ByName):
    """Mean outcome on the k most similar tuning instructions ("kNN often wins", arXiv 2505.12601).

    Args:
        table: Tuning outcomes of all candidates to be routed to.
        embed: Texts to unit vectors.
        k: How many neighbours; many, because choosing is about not being misled by noise.
    """

    def __init__(self, table: OutcomeTable, embed: Embed, *, k: int = NEIGHBOURS) -> None:
        super().__init__(f"kNN {k}", table)
        self._embed, self._k = embed, k
        self._vectors = embed(texts_of(table.instructions))
        self._scores, self._means = table.scores, candidate_means(table)

    def predict(self, instructions: Sequence[Instruction]) -> NDArray[np.floating]:
        """Average the neighbours' outcomes."""
        near = nearest(self._vectors, self._embed(texts_of(instructions)), k=self._k)
        return np.stack([mean_or(self._scores[rows], self._means) for rows in near])


class Clusters(ByName):
    """Mean outcome within the nearest of k clusters of tuning instructions (k-means: Avengers).

    Args:
        table: Tuning outcomes of all candidates to be routed to.
        embed: Texts to unit vectors.
        k: How many clusters.
        seed: Of k-means.
    """

    def __init__(self, table: OutcomeTable, embed: Embed, *, k: int = CLUSTERS, seed: int = 0) -> None:
        super().__init__(f"k-means {k}", table)
        self._embed = embed
        vectors = embed(texts_of(table.instructions))
        # Copies of one text are one point: there cannot be more clusters than points.
        points = len(np.unique(vectors, axis=0))
        self._model = KMeans(n_clusters=min(k, points), n_init=3, random_state=seed).fit(vectors)
        overall, labels = candidate_means(table), self._model.labels_
        means = [mean_or(table.scores[labels == label], overall) for label in range(labels.max() + 1)]
        self._means = np.stack(means)  # [cluster, candidate]

    def predict(self, instructions: Sequence[Instruction]) -> NDArray[np.floating]:
        """Look up the cluster's means."""
        means: NDArray[np.floating] = self._means[self._model.predict(self._embed(texts_of(instructions)))]
        return means


class ExamNeighbours:
    """Mean result on the k most similar exam items: needs a card, no tuning, and serves unseen candidates.

    Args:
        exam: The exam of the cards.
        items: Instructions that include the exam's items, by id.
        embed: Texts to unit vectors.
        k: How many items.

    Raises:
        DataError: An item is missing.
    """

    def __init__(
        self, exam: AptitudeTest, items: Sequence[Instruction], embed: Embed, *, k: int = EXAM_NEIGHBOURS
    ) -> None:
        self.name = f"exam-only kNN {k}"
        self.exam = exam
        self._embed, self._k = embed, k
        self._vectors = embed(exam_texts(exam, items))

    def score(
        self, instructions: Sequence[Instruction], profiles: Sequence[CapabilityProfile]
    ) -> ScoreMatrix:
        """Average the results on the nearest items; an item not sat counts as the candidate's level."""
        near = nearest(self._vectors, self._embed(texts_of(instructions)), k=self._k)
        answers = np.stack([self._answers(profile) for profile in profiles], axis=1)
        levels = np.array([profile.level for profile in profiles])
        means = np.stack([mean_or(answers[rows], levels) for rows in near])
        return from_probabilities(instructions, profiles, means)

    def _answers(self, profile: CapabilityProfile) -> FloatArray:
        """[item] in the exam's order; a task without single results counts as its mean, else NaN."""
        results = {result.task: result for result in profile.results}
        answers: list[float] = []
        for task in self.exam.tasks:
            result = results.get(task.name)
            if result is not None and len(result.items) == len(task.items):
                answers += [np.nan if score is None else score for score in result.items]
            else:
                answers += [np.nan if result is None else result.accuracy] * len(task.items)
        return np.array(answers, dtype=np.float32)


def exam_texts(exam: AptitudeTest, items: Sequence[Instruction]) -> list[str]:
    """Texts of an exam's items, in its order.

    Raises:
        DataError: An item is not among the instructions.
    """
    text_of = {instruction.id: instruction.text for instruction in items}
    missing = [item.id for item in exam.items if item.id not in text_of]
    if missing:
        raise DataError(
            f"exam {exam.name}: {len(missing)} of its items (e.g. {missing[0]!r}) are not among the "
            "instructions; give the dataset that the exam was built from."
        )
    return [text_of[item.id] for item in exam.items]


def nearest(vectors: FloatArray, queries: FloatArray, *, k: int, rows: int = 512) -> NDArray[np.intp]:
    """Positions of the k nearest unit vectors by cosine, in no order, [query, k].

    Args:
        vectors: [vector, d].
        queries: [query, d].
        k: At most the number of vectors.
        rows: Queries at a time, to keep memory small.
    """
    k = min(k, len(vectors))
    parts = [
        np.argpartition(-(queries[start : start + rows] @ vectors.T), k - 1, axis=1)[:, :k]
        for start in range(0, len(queries), rows)
    ]
    return np.concatenate(parts)
