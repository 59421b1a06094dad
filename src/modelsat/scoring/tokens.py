"""What is kept of a text that is longer than the token budget, the same for every engine."""


def clip_text(text: str, budget: int) -> str:
    """Cut what cannot be within the budget anyway, and replace what is no character.

    One token covers a handful of characters: cutting first keeps a megabyte from being tokenised whole. Half a
    surrogate pair, as broken JSON may hold, is no character that a tokenizer takes.
    """
    reach = budget * 40
    if len(text) > 2 * reach:
        text = text[:reach] + text[-reach:]
    return text.encode("utf-8", "replace").decode()


def keep_ends(ids: list[int], budget: int) -> list[int]:
    """First and last halves of what is over the budget: a beginning says what is asked about, an end what is asked."""
    if len(ids) <= budget:
        return ids
    head = budget - budget // 2
    return ids[:head] + ids[len(ids) - budget // 2 :]
