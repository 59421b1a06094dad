"""Inputs for timing: everyday requests, texts of a given length, and zoos of a given size."""

from dataclasses import replace

from modelsat.capability.zoo import ModelZoo
from modelsat.types import CapabilityProfile, Instruction

TOKENS = 128
CANDIDATES = 30
BATCHES = (1, 32)

TEXTS = (
    "Which vitamin does human skin make when the sun shines on it?",
    "Find all real x with x^3 - 6x^2 + 11x - 6 = 0, and say how you can be sure that there are no others.",
    "Draft a short, friendly mail to my neighbours: the water is off on Tuesday from nine to noon, because the "
    "pipe in front of the house is mended; whoever needs some for the baby or the dog may fetch it at our place.",
    "A firm sells a product at a price of 20 a piece. Its fixed costs are 4,000 a month, its variable costs are 12 "
    "a piece. Last month it sold 700 pieces.\nBy how many pieces must sales rise for a monthly profit of 3,000?\n"
    "A. 75\nB. 125\nC. 175\nD. 225\nE. 275\nF. 300\nG. 325\nH. 375\nI. 425\nJ. 475",
)

# Each is one token for the embedded models, wherever it stands.
_WORDS = (
    *(
        "time",
        "people",
        "water",
        "music",
        "school",
        "house",
        "world",
        "river",
        "money",
        "paper",
        "light",
        "stone",
    ),
    *("bread", "table", "garden", "window", "letter", "winter", "summer", "morning", "evening", "number"),
    *("question", "answer", "story", "city", "country", "market", "doctor", "teacher"),
)


def text_of(tokens: int, *, number: int = 0) -> str:
    """A text of about so many tokens for the embedded models.

    Args:
        tokens: At least 1.
        number: Position among many such texts, which differ in their words.
    """
    return " ".join(_WORDS[(number + 7 * at * at) % len(_WORDS)] for at in range(tokens))


def instructions_of(count: int, *, tokens: int) -> list[Instruction]:
    """Different texts of one length."""
    return [Instruction(id=str(number), text=text_of(tokens, number=number)) for number in range(count)]


def zoo_of(count: int) -> tuple[CapabilityProfile, ...]:
    """So many candidates, with the shipped cards in turn."""
    shipped = ModelZoo.shipped().profiles
    return tuple(
        replace(shipped[number % len(shipped)], candidate=f"candidate {number}") for number in range(count)
    )
