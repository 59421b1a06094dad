"""Tokenizers of the embedded models, without transformers."""

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from modelsat.scoring.tokens import clip_text, keep_ends


class DecoderTokens:
    """Instructions as the backbone reads them.

    Args:
        path: Its tokenizer.json.
    """

    def __init__(self, path: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(path))
        # Control tokens in an instruction are text like any other.
        self._tokenizer.encode_special_tokens = True

    def encode(self, text: str, *, budget: int) -> list[int]:
        """Token ids within a budget; as `modelsat.network.backbone.Backbone.tokenize`."""
        ids: list[int] = self._tokenizer.encode(clip_text(text, budget) or " ", add_special_tokens=False).ids
        return keep_ends(ids or [0], budget)


class SentenceTokens:
    """Texts as the sentence encoder reads them, end markers included.

    Args:
        path: Its tokenizer.json.
        budget: Tokens to read of each text.
    """

    def __init__(self, path: Path, *, budget: int) -> None:
        self._budget = budget
        self._tokenizer = Tokenizer.from_file(str(path))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(budget)
        # "[SEP]" in a text is five characters.
        self._tokenizer.encode_special_tokens = True

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text."""
        clipped = [text[: self._budget * 40].encode("utf-8", "replace").decode() for text in texts]
        return [encoding.ids for encoding in self._tokenizer.encode_batch(clipped)]


class StudentTokens:
    """Texts as a student reads them; as `modelsat.network.student.TruncatedEncoder.tokenize`.

    Args:
        path: The sentence encoder's tokenizer.json.
        budget: Tokens to keep of each text, end markers included.
    """

    def __init__(self, path: Path, *, budget: int) -> None:
        self._budget = budget
        self._tokenizer = Tokenizer.from_file(str(path))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._ends: list[int] = self._tokenizer.encode("").ids
        self._tokenizer.encode_special_tokens = True

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text."""
        first, last = self._ends
        clipped = [clip_text(text, self._budget) for text in texts]
        read = self._tokenizer.encode_batch(clipped, add_special_tokens=False)
        return [[first, *keep_ends(encoding.ids, self._budget - 2), last] for encoding in read]
