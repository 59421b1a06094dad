"""Reading instructions with ONNX Runtime; see `modelsat.scoring.scorer.InstructionEncoder`."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelsat.environment import usable_cores
from modelsat.onnx.session import open_session
from modelsat.onnx.sizes import DECODER_FILE, SENTENCE_FILE, TOKENIZER_FILE, DecoderSizes, Precision
from modelsat.onnx.tokens import DecoderTokens, SentenceTokens
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
    """The whole sentence encoder of an engine, loaded.

    Args:
        folder: Of the engine.
        encoder: Folder of the sentence encoder, for its tokenizer.
        threads: Threads.
    """

    def __init__(self, folder: Path, *, encoder: Path, threads: int) -> None:
        self._session = open_session(folder / SENTENCE_FILE, threads)
        self._words = SentenceTokens(encoder / "tokenizer.json", budget=_SENTENCE_TOKENS)
        self.size = int(self._session.get_outputs()[0].shape[1])

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """[text, text] sentence embeddings, unit vectors."""
        return in_batches(self._words.encode(texts), self._run, self.size)

    def _run(self, ids: NDArray[np.int64], lengths: NDArray[np.int64]) -> FloatArray:
        mean, _ = mean_and_last(lengths, ids.shape[1])
        vectors: FloatArray = self._session.run(None, encoder_inputs(ids, lengths, mean[:, None]))[0]
        return vectors


class OnnxInstructionEncoder:
    """An engine in the cache, loaded.

    Args:
        folder: As `modelsat.onnx.cache.find_engine` gives it.
        sizes: Of the backbone.
        encoder: Folder of the sentence encoder, for its tokenizer.
        tokens: Token budget of an instruction.
        precision: That it was built in.
        threads: Threads; by default as many as the process may use.
    """

    def __init__(
        self,
        folder: Path,
        *,
        sizes: DecoderSizes,
        encoder: Path,
        tokens: int,
        precision: Precision,
        threads: int | None = None,
    ) -> None:
        threads = threads or usable_cores()
        self.runtime = f"onnx-{precision}"
        self._decoder = open_session(folder / DECODER_FILE, threads)
        # A fifth of the work, and done beside the backbone's: half of the cores are enough.
        self._sentence = SentenceEncoder(folder, encoder=encoder, threads=max(1, threads // 2))
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="modelsat-sentence")
        self._tokens = DecoderTokens.load(folder / TOKENIZER_FILE)
        self._budget = tokens
        self._turns = _rotary_turns(sizes, tokens)
        self._mask = _causal_mask(tokens)
        self.pooled_size = 2 * sizes.hidden
        self.text_size = self._sentence.size

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """[text, pooled + text]: pooled states, then sentence embeddings."""
        embedded = self._beside.submit(self.embed, texts)
        sequences = [self._tokens.encode(text, budget=self._budget) for text in texts]
        pooled = in_batches(sequences, self.pool, self.pooled_size)
        return np.concatenate([pooled, embedded.result()], axis=1)

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """[text, text] sentence embeddings, unit vectors."""
        return self._sentence.embed(texts)

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
