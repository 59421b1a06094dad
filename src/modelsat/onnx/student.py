"""Reading instructions with a student in ONNX Runtime; see `modelsat.scoring.scorer.InstructionEncoder`."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from modelsat.environment import usable_cores
from modelsat.onnx.instruction_encoder import (
    SentenceEncoder,
    encoder_inputs,
    in_batches,
    mean_and_last,
)
from modelsat.onnx.session import open_session
from modelsat.onnx.sizes import STUDENT_FILE, Precision
from modelsat.onnx.tokens import StudentTokens
from modelsat.types import FloatArray


class OnnxStudentEncoder:
    """A student's engine in the cache, loaded.

    Args:
        folder: As `modelsat.onnx.cache.find_engine` gives it.
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
        self.runtime = f"onnx-{precision}"
        self._folder, self._encoder = folder, encoder
        self._threads = threads or usable_cores()
        self._session = open_session(folder / STUDENT_FILE, self._threads)
        self._tokens = StudentTokens(encoder / "tokenizer.json", budget=tokens)
        self._whole: SentenceEncoder | None = None
        self.text_size = text_size
        self.pooled_size = int(self._session.get_outputs()[0].shape[1]) - text_size

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """[text, pooled + text]: pooled states, then imitated sentence embeddings."""
        return in_batches(self._tokens.encode(texts), self._run, self.pooled_size + self.text_size)

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """[text, text] sentence embeddings by the whole encoder, which only cards of other exams need."""
        if self._whole is None:
            self._whole = SentenceEncoder(self._folder, encoder=self._encoder, threads=self._threads)
        return self._whole.embed(texts)

    def _run(self, ids: NDArray[np.int64], lengths: NDArray[np.int64]) -> FloatArray:
        pick = np.stack(mean_and_last(lengths, ids.shape[1]), axis=1)
        features: FloatArray = self._session.run(None, encoder_inputs(ids, lengths, pick))[0]
        return features
