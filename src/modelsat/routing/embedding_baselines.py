"""Baselines on sentence embeddings of instructions: the field's strong simple routers.

`embed` turns texts into unit vectors, [text, d]; which encoder, and whether it caches, is the caller's
business.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from modelsat.capability.aptitude import AptitudeTest
from modelsat.errors import DataError
from modelsat.records.table import OutcomeTable
from modelsat.routing.baselines import Embed, candidate_means, fitted_columns, from_probabilities, mean_or
from modelsat.types import CapabilityProfile, FloatArray, Instruction, ScoreMatrix

NEIGHBOURS = 200
EXAM_NEIGHBOURS = 100
CLUSTERS = 32


class NearestNeighbours:
    """Mean outcome on the k most similar tuning instructions ("kNN often wins", arXiv 2505.12601).

    Args:
        table: Tuning outcomes of all candidates to be routed to.
        embed: Texts to unit vectors.
        k: How many neighbours; many, because choosing is about not being fooled by noise.
    """

    def __init__(self, table: OutcomeTable, embed: Embed, *, k: int = NEIGHBOURS) -> None:
        self.name = f"kNN {k}"
        self.candidates = table.candidates
        self._embed = embed
        self._neighbours = _Neighbours(embed(_texts(table.instructions)), k=k)
        self._scores = table.scores
        self._means = candidate_means(table)

    def score(
        self, instructions: Sequence[Instruction], profiles: Sequence[CapabilityProfile]
    ) -> ScoreMatrix:
        """Average the neighbours' outcomes."""
        columns = fitted_columns(self.name, self.candidates, profiles)
        nearest = self._neighbours.of(self._embed(_texts(instructions)))
        return from_probabilities(
            instructions, profiles, _mean_over(nearest, self._scores[:, columns], self._means[columns])
        )


class Clusters:
    """Mean outcome within the nearest of k clusters of tuning instructions (k-means: Avengers).

    Args:
        table: Tuning outcomes of all candidates to be routed to.
        embed: Texts to unit vectors.
        k: How many clusters.
        seed: Of k-means.
    """

    def __init__(self, table: OutcomeTable, embed: Embed, *, k: int = CLUSTERS, seed: int = 0) -> None:
        from sklearn.cluster import KMeans

        self.name = f"k-means {k}"
        self.candidates = table.candidates
        self._embed = embed
        vectors = embed(_texts(table.instructions))
        # Copies of one text are one point: there cannot be more clusters than points.
        points = len(np.unique(vectors, axis=0))
        self._model = KMeans(n_clusters=min(k, points), n_init=3, random_state=seed).fit(vectors)
        overall = candidate_means(table)
        labels = self._model.labels_
        means = [mean_or(table.scores[labels == label], overall) for label in range(labels.max() + 1)]
        self._means = np.stack(means)  # [cluster, candidate]

    def score(
        self, instructions: Sequence[Instruction], profiles: Sequence[CapabilityProfile]
    ) -> ScoreMatrix:
        """Look up the cluster's means."""
        columns = fitted_columns(self.name, self.candidates, profiles)
        labels = self._model.predict(self._embed(_texts(instructions)))
        return from_probabilities(instructions, profiles, self._means[labels][:, columns])


class LogisticRegression:
    """One logistic regression per candidate on embeddings.

    Args:
        table: Tuning outcomes of all candidates to be routed to; a score from 0.5 on counts as solved.
        embed: Texts to unit vectors.
        regularisation: scikit-learn's C.
    """

    name = "logistic regression"

    def __init__(self, table: OutcomeTable, embed: Embed, *, regularisation: float = 1.0) -> None:
        from sklearn.linear_model import LogisticRegression as Regression

        self.candidates = table.candidates
        self._embed = embed
        vectors = embed(_texts(table.instructions))
        weights, offsets = [], []
        for column in range(len(table.candidates)):
            known = ~np.isnan(table.scores[:, column])
            solved = table.scores[known, column] >= 0.5
            share = float(solved.mean())
            if 0.0 < share < 1.0:
                model = Regression(C=regularisation, max_iter=1_000).fit(vectors[known], solved)
                weights.append(model.coef_[0])
                offsets.append(float(model.intercept_[0]))
            else:
                # A candidate that solves all, or nothing, has no boundary to learn.
                weights.append(np.zeros(vectors.shape[1]))
                offsets.append(20.0 if share else -20.0)
        self._weights, self._offsets = np.stack(weights), np.array(offsets)

    def score(
        self, instructions: Sequence[Instruction], profiles: Sequence[CapabilityProfile]
    ) -> ScoreMatrix:
        """Apply each candidate's regression."""
        columns = fitted_columns(self.name, self.candidates, profiles)
        logits = self._embed(_texts(instructions)) @ self._weights[columns].T + self._offsets[columns]
        return from_probabilities(instructions, profiles, 1 / (1 + np.exp(-logits)))


class ExamNeighbours:
    """Mean result on the k most similar exam items: needs a card, no tuning, and serves unseen candidates.

    Args:
        exam: The exam that the cards are from.
        items: Instructions among which the exam's items are, by id.
        embed: Texts to unit vectors.
        k: How many items.
    """

    def __init__(
        self, exam: AptitudeTest, items: Sequence[Instruction], embed: Embed, *, k: int = EXAM_NEIGHBOURS
    ) -> None:
        self.name = f"exam-only kNN {k}"
        self.exam = exam
        self._embed = embed
        text_of = {instruction.id: instruction.text for instruction in items}
        missing = [item.id for item in exam.items if item.id not in text_of]
        if missing:
            raise DataError(
                f"exam {exam.name}: {len(missing)} of its items (e.g. {missing[0]!r}) are not among the "
                "instructions; give the dataset that the exam was built from."
            )
        self._neighbours = _Neighbours(embed([text_of[item.id] for item in exam.items]), k=k)

    def score(
        self, instructions: Sequence[Instruction], profiles: Sequence[CapabilityProfile]
    ) -> ScoreMatrix:
        """Average the results on the nearest items; an item not sat counts as the candidate's level."""
        nearest = self._neighbours.of(self._embed(_texts(instructions)))
        answers = np.stack([self._answers(profile) for profile in profiles], axis=1)
        levels = np.array([profile.level for profile in profiles])
        return from_probabilities(instructions, profiles, _mean_over(nearest, answers, levels))

    def _answers(self, profile: CapabilityProfile) -> FloatArray:
        """[item] in the exam's order; a task without single results stands with its mean, else NaN."""
        results = {result.task: result for result in profile.results}
        answers: list[float] = []
        for task in self.exam.tasks:
            result = results.get(task.name)
            if result is not None and len(result.items) == len(task.items):
                answers += [np.nan if score is None else score for score in result.items]
            else:
                answers += [np.nan if result is None else result.accuracy] * len(task.items)
        return np.array(answers, dtype=np.float32)


class _Neighbours:
    """The k nearest of some unit vectors, by cosine."""

    def __init__(self, vectors: FloatArray, *, k: int) -> None:
        self.vectors, self.k = vectors, min(k, len(vectors))

    def of(self, queries: FloatArray, *, rows: int = 512) -> NDArray[np.intp]:
        """Positions of the nearest, in no order, [query, k]; `rows` queries at a time keep memory small."""
        parts = [
            np.argpartition(-(queries[start : start + rows] @ self.vectors.T), self.k - 1, axis=1)[
                :, : self.k
            ]
            for start in range(0, len(queries), rows)
        ]
        return np.concatenate(parts)


def _texts(instructions: Sequence[Instruction]) -> list[str]:
    return [instruction.text for instruction in instructions]


def _mean_over(
    nearest: NDArray[np.intp], scores: FloatArray, fallback: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Mean outcome over each query's neighbours, [query, candidate]."""
    return np.stack([mean_or(scores[rows], fallback) for rows in nearest])
