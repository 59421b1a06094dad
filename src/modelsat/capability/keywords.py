"""Naming a task in a few keywords, from the texts of its instructions."""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files

import numpy as np
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, TfidfVectorizer

from modelsat.errors import DataError

KEYWORDS = 5

# A term must stand in this many texts of its task, lest one text's story name the task; in a third of a small task's.
_MIN_TEXTS = 3
# A term that this share of every task's texts holds is a function word, in whatever language they are.
_EVERYWHERE = 0.2
# A pair of words says more than either; it stands in fewer texts, and would else never be chosen.
_PAIR_BONUS = 1.8

_MARKUP = re.compile(r"\\[a-zA-Z]+|\$[^$\n]{0,200}\$|\[[A-Z]+\]")
_OPTION_LETTER = re.compile(r"^[A-Z]\. ", flags=re.MULTILINE)
_TOKEN = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*|[^\s]")
_NAME_NOISE = frozenset({"school", "college", "high", "elementary", "professional", "other", "conceptual"})
_ALWAYS_UPPER = frozenset({"dna", "rna", "gdp", "hiv", "aids", "atp", "usa", "us", "acf", "cpu"})


def task_keywords(texts: Mapping[str, Sequence[str]], *, count: int = KEYWORDS) -> dict[str, tuple[str, ...]]:
    """Describe each task by the words that set its texts apart from the other tasks'.

    The subject that the task's own name states comes first; the rest are single words and pairs of words by
    TF-IDF over tasks, each counted once per text, without near-duplicates such as singular and plural.

    Args:
        texts: Task name to the texts of its instructions (options included).
        count: Keywords per task.

    Returns:
        Task name to keywords, capitalised; fewer than `count` where the texts hold no more words.

    Raises:
        DataError: There is no task.
    """
    if not texts:
        raise DataError("keywords: no task to describe; give the texts of at least one task.")
    names = list(texts)
    documents = [[_clean(text) for text in texts[name]] for name in names]
    vectorizer = TfidfVectorizer(analyzer=_terms, binary=True, norm=None, use_idf=False)
    try:
        vectorizer.fit([text for document in documents for text in document])
    except ValueError:
        # No word at all in any text, e.g. formulas or another script without word breaks.
        return {name: tuple(_distinct(_from_name(name), count)) or (name,) for name in names}
    terms = vectorizer.get_feature_names_out()
    # Texts of the task that hold the term, so that one long text cannot lend a task its keywords.
    holding = np.stack(
        [np.asarray(vectorizer.transform(document).sum(axis=0)).ravel() for document in documents]
    )
    share = holding / np.array([[max(len(document), 1)] for document in documents])
    elsewhere = (share.sum(axis=0, keepdims=True) - share) / max(len(names) - 1, 1)
    # Frequency in the task x log of how much rarer it is in the others: TF-IDF that is not blind to
    # frequencies.
    weight = share * np.log1p(share / (elsewhere + 0.005))
    if len(names) > 1:
        weight[:, share.min(axis=0) >= _EVERYWHERE] = 0.0
    least = np.array([[min(_MIN_TEXTS, max(1, len(document) // 3))] for document in documents])
    weight[holding < np.minimum(least, holding.max(axis=1, keepdims=True))] = 0.0
    weight *= np.array([_PAIR_BONUS if " " in term else 1.0 for term in terms])
    keywords = {}
    for row, name in enumerate(names):
        ranked = (
            str(terms[at]) for at in np.argsort(-weight[row], kind="stable")[:200] if weight[row, at] > 0
        )
        keywords[name] = tuple(_distinct([*_from_name(name), *ranked], count)) or (name,)
    return keywords


@cache
def _stop_words() -> frozenset[str]:
    """Function words, and what exam questions say whatever their subject."""
    common = (files("modelsat") / "assets" / "exam" / "common_words.txt").read_text(encoding="utf-8")
    return frozenset(ENGLISH_STOP_WORDS) | frozenset(common.split())


def _terms(text: str) -> list[str]:
    """Words and pairs of neighbouring words; a pair does not reach across punctuation or a stop word."""
    terms: list[str] = []
    before = ""
    for token in _TOKEN.findall(text.lower()):
        if len(token) < 3 or not token[0].isalpha() or token in _stop_words():
            before = ""
            continue
        terms.append(token)
        if before and before != token:
            terms.append(f"{before} {token}")
        before = token
    return terms


def _clean(text: str) -> str:
    return _MARKUP.sub(" ", _OPTION_LETTER.sub("", text))


def _from_name(name: str) -> list[str]:
    """The subject as the task's name says it, without category, source and level of schooling."""
    subject = re.sub(r"\s*\([^)]*\)$", "", name).split(": ")[-1]
    kept = " ".join(word for word in subject.split() if word.casefold() not in _NAME_NOISE)
    return [kept] if len(kept) > 2 else []


def _roots(term: str) -> frozenset[str]:
    return frozenset(_root(word) for word in re.split(r"[\s-]+", term.casefold()))


def _root(word: str) -> str:
    """Cut endings roughly: enough to see that two words are one keyword, not to be shown."""
    for ending in (
        "ization",
        "ations",
        "ation",
        "ities",
        "ically",
        "icals",
        "ical",
        "ings",
        "ing",
        "ies",
        "ers",
        "ity",
    ):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word.removesuffix(ending)
    for ending in ("ics", "ic", "es", "er", "ed", "al", "s", "y", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word.removesuffix(ending)
    return word.removesuffix("s")


def _distinct(terms: Iterable[str], count: int) -> list[str]:
    taken: list[str] = []
    seen: set[str] = set()
    for term in terms:
        roots = _roots(term)
        if roots & seen:
            continue
        seen |= roots
        taken.append(_capitalise(term))
        if len(taken) == count:
            break
    return taken


def _capitalise(term: str) -> str:
    return " ".join(
        word.upper()
        if word in _ALWAYS_UPPER or (word.isupper() and len(word) > 1)
        else word[:1].upper() + word[1:]
        for word in term.split()
    )
