"""Reading instructions with a student in ONNX Runtime; see `modelsat.network.exam_scorer.Reader`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelsat.engine.cache import SENTENCE_FILE, STUDENT_FILE
from modelsat.engine.cores import usable_cores
from modelsat.engine.reader import in_batches, open_session
from modelsat.engine.sizes import Precision
from modelsat.engine.tokens import SentenceTokens, StudentTokens
from modelsat.types import FloatArray

# Tokens that the sentence encoder reads of another exam's keywords and questions.
_SENTENCE_TOKENS = 256
_LOWEST = np.finfo(np.float32).min


class OnnxStudentReader:
    """A student's engine in the cache, loaded.

    Args:
        folder: As `modelsat.engine.cache.find_engine` gives it.
        text_size: Width of sentence embeddings.
        encoder: Folder of the sentence encoder, for its tokenizer.
        tokens: Token budget of an instruction.
        precision: That it was built in.
        threads: Threads; by default as many as the process may use.
    """

    def __init__(
        self,
        folder: Path,
        *,
        text_size: int,
        encoder: Path,
        tokens: int,
        precision: Precision,
        threads: int | None = None,
    ) -> None:
        self.precision = precision
        self._folder, self._encoder = folder, encoder
        self._threads = threads or usable_cores()
        self._session = open_session(folder / STUDENT_FILE, self._threads)
        self._tokens = StudentTokens(encoder / "tokenizer.json", budget=tokens)
        self._whole: tuple[Any, SentenceTokens] | None = None
        self.text_size = text_size
        self.pooled_size = int(self._session.get_outputs()[0].shape[1]) - text_size

    def read(self, texts: Sequence[str]) -> FloatArray:
        """[text, pooled + text]: pooled states, then imitated sentence embeddings."""
        return in_batches(self._tokens.encode(texts), self._run, self.pooled_size + self.text_size)

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """[text, text] sentence embeddings by the whole encoder, which only cards of other exams need."""
        if self._whole is None:
            words = SentenceTokens(self._encoder / "tokenizer.json", budget=_SENTENCE_TOKENS)
            self._whole = open_session(self._folder / SENTENCE_FILE, self._threads), words
        session, words = self._whole

        def run(ids: NDArray[np.int64], lengths: NDArray[np.int64]) -> FloatArray:
            place = np.arange(ids.shape[1])[None]
            mean = ((place < lengths[:, None]) / lengths[:, None])[:, None]
            vectors: FloatArray = session.run(None, _inputs(ids, lengths, mean))[0]
            return vectors

        return in_batches(words.encode(texts), run, self.text_size)

    def _run(self, ids: NDArray[np.int64], lengths: NDArray[np.int64]) -> FloatArray:
        place = np.arange(ids.shape[1])[None]
        mean, last = (place < lengths[:, None]) / lengths[:, None], place == lengths[:, None] - 1
        readings: FloatArray = self._session.run(None, _inputs(ids, lengths, np.stack([mean, last], axis=1)))[
            0
        ]
        return readings


def _inputs(
    ids: NDArray[np.int64], lengths: NDArray[np.int64], pick: NDArray[Any]
) -> dict[str, NDArray[Any]]:
    present = np.arange(ids.shape[1])[None] < lengths[:, None]
    mask = np.where(present, np.float32(0), _LOWEST)[:, None, None]
    inputs: dict[str, NDArray[Any]] = {"ids": ids, "mask": mask, "pick": pick.astype(np.float32)}
    return inputs
