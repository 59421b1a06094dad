"""Ways to write the same request differently: its answer stays what it was."""

import re
from collections.abc import Callable

import numpy as np

Perturbation = Callable[[str, np.random.Generator], str]

_TYPO_RATE = 0.05
_LETTERS = re.compile(r"[A-Za-z]{4,}")
_OPTIONS = "\nA. "
_SYSTEM = "You are a helpful, respectful and honest assistant. Follow the user's instructions carefully.\n\n"


def with_typos(text: str, rng: np.random.Generator) -> str:
    """Swap two neighbouring letters inside one word in twenty."""

    def swapped(word: re.Match[str]) -> str:
        letters = list(word.group())
        if rng.random() < _TYPO_RATE:
            at = int(rng.integers(1, len(letters) - 2)) if len(letters) > 3 else 1
            letters[at], letters[at + 1] = letters[at + 1], letters[at]
        return "".join(letters)

    return _LETTERS.sub(swapped, text)


def without_options(text: str, rng: np.random.Generator) -> str:
    """The question without its lettered options."""
    return text.split(_OPTIONS)[0]


PERTURBATIONS: dict[str, Perturbation] = {
    "typos": with_typos,
    "prefix 'Please answer:'": lambda text, rng: f"Please answer: {text}",
    "suffix 'Please answer:'": lambda text, rng: f"{text}\nPlease answer:",
    "upper case": lambda text, rng: text.upper(),
    "options removed": without_options,
    "system prompt in front": lambda text, rng: _SYSTEM + text,
}
