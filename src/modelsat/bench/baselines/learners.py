"""General learners on sentence embeddings, alone and with the capability card (paper: Table 2).

Alone, a learner has one output per candidate and knows candidates by name. With the card, one learner answers for
all candidates: it reads [embedding, card] and serves any candidate that has a card.
"""

import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from modelsat.bench.baselines.by_name import ByName, Embed, candidate_means, fitted_columns, texts_of
from modelsat.records.table import OutcomeTable
from modelsat.routing.scorer import from_probabilities
from modelsat.types import CapabilityProfile, FloatArray, Instruction, ScoreMatrix

Learner = Literal["logistic regression", "MLP", "random forest"]
LEARNERS: tuple[Learner, ...] = ("logistic regression", "MLP", "random forest")
PAIRS = 20_000
# Shots at which a task's result counts half, the candidate's level the other half.
_PRIOR_SHOTS = 10.0
_SOLVED = 0.5
# Of a network with one output per candidate: the same number whatever the number of rows.
_STEPS = 1_100


class CandidateRegressions(ByName):
    """One logistic regression per candidate on embeddings.

    Args:
        table: Tuning outcomes of all candidates to be routed to; a score of 0.5 or more counts as solved.
        embed: Texts to unit vectors.
        regularisation: scikit-learn's C.
    """

    def __init__(self, table: OutcomeTable, embed: Embed, *, regularisation: float = 1.0) -> None:
        super().__init__("logistic regression", table)
        self._embed = embed
        vectors = embed(texts_of(table.instructions))
        weights, offsets = [], []
        for column in range(len(table.candidates)):
            known = ~np.isnan(table.scores[:, column])
            solved = table.scores[known, column] >= _SOLVED
            share = float(solved.mean())
            if 0.0 < share < 1.0:
                model = LogisticRegression(C=regularisation, max_iter=1_000).fit(vectors[known], solved)
                weights.append(model.coef_[0])
                offsets.append(float(model.intercept_[0]))
            else:
                # A candidate that solves all, or nothing, has no boundary to learn.
                weights.append(np.zeros(vectors.shape[1]))
                offsets.append(20.0 if share else -20.0)
        self._weights, self._offsets = np.stack(weights), np.array(offsets)

    def predict(self, instructions: Sequence[Instruction]) -> NDArray[np.floating]:
        """Apply each candidate's regression."""
        logits = self._embed(texts_of(instructions)) @ self._weights.T + self._offsets
        return np.asarray(1 / (1 + np.exp(-logits)), dtype=np.float64)


class CandidateLearner(ByName):
    """A learner with one output per candidate on the embedding alone.

    Args:
        learner: Which one; for logistic regression see `CandidateRegressions`.
        table: Tuning outcomes of all candidates to be routed to. Where one has none, its mean stands in.
        embed: Texts to unit vectors.
        seed: Of the fit.
        trees: Of a random forest.
    """

    def __init__(
        self,
        learner: Literal["MLP", "random forest"],
        table: OutcomeTable,
        embed: Embed,
        *,
        seed: int = 0,
        trees: int = 100,
    ) -> None:
        super().__init__(learner, table)
        self._embed = embed
        vectors = embed(texts_of(table.instructions))
        scores = np.where(np.isnan(table.scores), candidate_means(table), table.scores)
        self._model: Any
        if learner == "MLP":
            self._model = _quiet_fit(
                _candidate_mlp(len(vectors), seed=seed), vectors, (scores >= _SOLVED).astype(np.int64)
            )
        else:
            self._model = RandomForestRegressor(
                n_estimators=trees, min_samples_leaf=20, max_features="sqrt", random_state=seed
            ).fit(vectors, scores)

    def predict(self, instructions: Sequence[Instruction]) -> NDArray[np.floating]:
        """Apply the learner."""
        predict = self._model.predict_proba if self.name == "MLP" else self._model.predict
        return np.asarray(predict(self._embed(texts_of(instructions))))


class CardLearner:
    """One learner on instruction and card together.

    Args:
        learner: Which one.
        table: Tuning outcomes of the candidates to learn from.
        profiles: Their cards.
        embed: Texts to unit vectors.
        pairs: Learn from so many pairs of instruction and candidate, drawn at random.
        seed: Of the draw and the fit.
        trees: Of a random forest.
    """

    def __init__(
        self,
        learner: Learner,
        table: OutcomeTable,
        profiles: Sequence[CapabilityProfile],
        embed: Embed,
        *,
        pairs: int = PAIRS,
        seed: int = 0,
        trees: int = 100,
    ) -> None:
        self.name = f"{learner} + card"
        self._embed = embed
        self._tasks = tuple(dict.fromkeys(result.task for card in profiles for result in card.results))
        columns = fitted_columns(self.name, table.candidates, profiles)
        rows, members = np.nonzero(~np.isnan(table.scores[:, columns]))
        kept = np.sort(np.random.default_rng(seed).permutation(len(rows))[:pairs])
        rows, members = rows[kept], members[kept]
        vectors, cards = embed(texts_of(table.instructions)), self._cards(profiles)
        features = np.concatenate([vectors[rows], cards[members]], axis=1)
        solved = (table.scores[rows, columns[members]] >= _SOLVED).astype(np.int64)
        self._model = _quiet_fit(_pair_model(learner, seed=seed, trees=trees), features, solved)

    def score(
        self, instructions: Sequence[Instruction], profiles: Sequence[CapabilityProfile]
    ) -> ScoreMatrix:
        """Apply the learner to each pair."""
        vectors, cards = self._embed(texts_of(instructions)), self._cards(profiles)
        at_solved = list(self._model.classes_).index(1) if 1 in self._model.classes_ else None
        probabilities = np.zeros((len(vectors), len(cards)))
        for column, card in enumerate(cards):
            if at_solved is not None:
                pairs = np.concatenate([vectors, np.tile(card, (len(vectors), 1))], axis=1)
                probabilities[:, column] = self._model.predict_proba(pairs)[:, at_solved]
        return from_probabilities(instructions, profiles, probabilities)

    def _cards(self, profiles: Sequence[CapabilityProfile]) -> FloatArray:
        """[candidate, task + 1]: accuracies, shrunk toward the level where shots are few, then the level."""
        cards = np.zeros((len(profiles), len(self._tasks) + 1), dtype=np.float32)
        position = {task: at for at, task in enumerate(self._tasks)}
        for row, profile in enumerate(profiles):
            level = profile.level
            cards[row] = level
            for result in profile.results:
                if result.task in position:
                    weight = result.shots / (result.shots + _PRIOR_SHOTS)
                    cards[row, position[result.task]] = weight * result.accuracy + (1 - weight) * level
        return cards


def _candidate_mlp(rows: int, *, seed: int) -> Any:  # noqa: ANN401 - scikit-learn has no types
    batch = min(200, rows)
    return MLPClassifier(
        hidden_layer_sizes=(64,),
        alpha=1.0,
        learning_rate_init=2e-3,
        batch_size=batch,
        max_iter=max(1, _STEPS * batch // rows),
        random_state=seed,
    )


def _pair_mlp(seed: int) -> Any:  # noqa: ANN401
    return MLPClassifier(
        hidden_layer_sizes=(64,),
        # There are few cards: unless held back, a network memorises them.
        alpha=3.0,
        early_stopping=True,
        learning_rate_init=5e-4,
        max_iter=60,
        n_iter_no_change=5,
        random_state=seed,
    )


def _pair_model(learner: Learner, *, seed: int, trees: int) -> Any:  # noqa: ANN401
    if learner == "random forest":
        return RandomForestClassifier(
            n_estimators=trees, min_samples_leaf=20, max_features="sqrt", random_state=seed
        )
    linear = LogisticRegression(C=1e-2, max_iter=1_000)
    return make_pipeline(StandardScaler(), linear if learner == "logistic regression" else _pair_mlp(seed))


def _quiet_fit(model: Any, features: FloatArray, targets: NDArray[np.int64]) -> Any:  # noqa: ANN401
    with warnings.catch_warnings():
        # The number of passes is part of the method: one that was still improving is not an error.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(features, targets)
