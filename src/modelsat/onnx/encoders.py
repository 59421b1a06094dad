"""Encoding instructions with ONNX Runtime; see `modelsat.scoring.scorer.InstructionEncoder`."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelsat.onnx.engines import Engine
from modelsat.onnx.session import open_session
from modelsat.onnx.sizes import DecoderSizes, Precision
from modelsat.onnx.tokens import DecoderTokens, SentenceTokens, StudentTokens
from modelsat.scoring.weights import TOKENIZER_FILE
from modelsat.types import FloatArray

_BATCH = 32
# Tokens read in one pass: more are not faster a token, but their states take memory.
_PASS = 512
# The longest of a batch may be this much longer than the shortest: on a CPU, padding costs as much as words.
_LONGER = 1.25
# Tokens that the sentence encoder reads, as in tuning.
_SENTENCE_TOKENS = 256
_LOWEST = np.finfo(np.float32).min


class SentenceEncoder:
    """The whole sentence encoder, loaded.

    Args:
        engine: As `modelsat.onnx.engines.find_sentence_encoder` gives it.
        folder: Of the embedded model, for its tokenizer.
        threads: Threads.
    """

    def __init__(self, engine: Engine, *, folder: Path, threads: int) -> None:
        self._session = open_session(engine, threads)
        self._words = SentenceTokens(folder / TOKENIZER_FILE, budget=_SENTENCE_TOKENS)
        self.size = int(self._session.get_outputs()[0].shape[1])

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """[text, text] sentence embeddings, unit vectors."""
        return in_batches(self._words.encode(texts), self._run, self.size)

    def _run(self, ids: NDArray[np.int64], lengths: NDArray[np.int64]) -> FloatArray:
        mean, _ = mean_and_last(lengths, ids.shape[1])
        vectors: FloatArray = self._session.run(None, encoder_inputs(ids, lengths, mean[:, None]))[0]
        return vectors


class OnnxInstructionEncoder:
    """Backbone and sentence encoder, loaded.

    Args:
        engine: As `modelsat.onnx.engines.find_engine` gives it.
        folder: Of the embedded backbone, for its sizes and tokenizer.
        sentences: Runs beside the backbone.
        tokens: Token budget of an instruction.
        precision: That it was built in.
        threads: Threads.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        folder: Path,
        sentences: SentenceEncoder,
        tokens: int,
        precision: Precision,
        threads: int,
    ) -> None:
        self.runtime = f"onnx-{precision}"
        sizes = DecoderSizes.of(folder)
        self._decoder = open_session(engine, threads)
        self._sentences = sentences
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="modelsat-sentence")
        self._tokens = DecoderTokens(folder / TOKENIZER_FILE)
        self._budget = tokens
        self._turns = _rotary_turns(sizes, tokens)
        self._mask = _causal_mask(tokens)
        self.pooled_size = 2 * sizes.hidden
        self.text_size = sentences.size

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """[text, pooled + text]: pooled states, then sentence embeddings."""
        embedded = self._beside.submit(self.embed, texts)
        sequences = [self._tokens.encode(text, budget=self._budget) for text in texts]
        pooled = in_batches(sequences, self.pool, self.pooled_size)
        return np.concatenate([pooled, embedded.result()], axis=1)

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """[text, text] sentence embeddings, unit vectors."""
        return self._sentences.embed(texts)

    def pool(self, ids: NDArray[np.int64], lengths: NDArray[np.int64]) -> FloatArray:
        """The backbone on one batch.

        Args:
            ids: [text, position] tokens, padded at the end.
            lengths: [text].

        Returns:
            [text, 2 hidden]: mean state and last state.
        """
        longest = ids.shape[1]
        cos, sin = self._turns
        inputs = {
            "ids": ids,
            "cos": cos[:longest],
            "sin": sin[:longest],
            # Padding stands at the end, where no causal position sees it.
            "mask": np.ascontiguousarray(self._mask[:longest, :longest]),
            "pick": np.stack(mean_and_last(lengths, longest), axis=1).astype(np.float32),
        }
        pooled: FloatArray = self._decoder.run(None, inputs)[0]
        return pooled


class OnnxStudentEncoder:
    """A student, loaded.

    Args:
        engine: As `modelsat.onnx.engines.find_engine` gives it.
        folder: Of the embedded sentence encoder, for its tokenizer.
        load_sentences: Fetches the whole sentence encoder, which only cards of other exams need.
        text_size: Width of sentence embeddings.
        tokens: Token budget of an instruction.
        precision: That it was built in.
        threads: Threads.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        folder: Path,
        load_sentences: Callable[[], SentenceEncoder],
        text_size: int,
        tokens: int,
        precision: Precision,
        threads: int,
    ) -> None:
        self.runtime = f"onnx-{precision}"
        self._session = open_session(engine, threads)
        self._tokens = StudentTokens(folder / TOKENIZER_FILE, budget=tokens)
        self._sentences = cache(load_sentences)
        self.text_size = text_size
        self.pooled_size = int(self._session.get_outputs()[0].shape[1]) - text_size

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """[text, pooled + text]: pooled states, then projected sentence embeddings."""
        return in_batches(self._tokens.encode(texts), self._run, self.pooled_size + self.text_size)

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """[text, text] sentence embeddings by the whole encoder, unit vectors."""
        return self._sentences().embed(texts)

    def _run(self, ids: NDArray[np.int64], lengths: NDArray[np.int64]) -> FloatArray:
        pick = np.stack(mean_and_last(lengths, ids.shape[1]), axis=1)
        features: FloatArray = self._session.run(None, encoder_inputs(ids, lengths, pick))[0]
        return features


def mean_and_last(lengths: NDArray[np.int64], longest: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Weights [text, position] that pick the mean state and the last state of each text."""
    place = np.arange(longest)[None]
    return (place < lengths[:, None]) / lengths[:, None], place == lengths[:, None] - 1


def encoder_inputs(
    ids: NDArray[np.int64], lengths: NDArray[np.int64], pick: NDArray[Any]
) -> dict[str, NDArray[Any]]:
    """What a graph of the text encoder takes; `pick` [text, pick, position] says which states come out."""
    present = np.arange(ids.shape[1])[None] < lengths[:, None]
    mask = np.where(present, np.float32(0), _LOWEST)[:, None, None]
    return {"ids": ids, "mask": mask, "pick": pick.astype(np.float32)}


def _rotary_turns(sizes: DecoderSizes, length: int) -> tuple[FloatArray, FloatArray]:
    """Cosines and sines of the rotary embedding, [position, half a head] each."""
    half = np.arange(0, sizes.head_width, 2, dtype=np.float32) / np.float32(sizes.head_width)
    frequencies = 1.0 / (np.float32(sizes.rope_base) ** half)
    angles = np.arange(length, dtype=np.float32)[:, None] * frequencies[None].astype(np.float32)
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def _causal_mask(length: int) -> FloatArray:
    """[position, position]: 0 where a position sees another, the lowest number elsewhere."""
    return np.triu(np.full((length, length), np.finfo(np.float32).min, dtype=np.float32), k=1)


def in_batches(sequences: Sequence[Sequence[int]], run: Any, width: int) -> FloatArray:  # noqa: ANN401
    """Run sequences of similar length together; rows come back in their order."""
    results = np.zeros((len(sequences), width), dtype=np.float32)
    for rows in similar_lengths([len(sequence) for sequence in sequences]):
        lengths = np.array([len(sequences[row]) for row in rows])
        ids = np.zeros((len(rows), int(lengths.max())), dtype=np.int64)
        for at, row in enumerate(rows):
            ids[at, : lengths[at]] = sequences[row]
        results[rows] = run(ids, lengths)
    return results


def similar_lengths(lengths: Sequence[int]) -> list[list[int]]:
    """Positions of sequences that are run together, shortest first.

    Args:
        lengths: Of the sequences.
    """
    batches: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda row: lengths[row]):
        batch = batches[-1] if batches else []
        room = min(_BATCH, _PASS // lengths[row])
        if batch and len(batch) < room and lengths[row] <= _LONGER * lengths[batch[0]]:
            batch.append(row)
        else:
            batches.append([row])
    return batches
