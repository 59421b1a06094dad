"""Naming a task in a few keywords, from the texts of its instructions."""

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, TfidfVectorizer

from modelsat.errors import DataError

KEYWORDS = 5

# What exam questions say whatever their subject.
_EXAM_WORDS = frozenset(
    """
    according approximately answer assume assuming best calculate case choose chosen compute consider contains correct
    data day days described describe determine diagram does ed et evaluate exactly example express expression false
    figure find following follows given gives good greater group high higher identify incorrect initial just known large
    largest later less level like long low lower make makes maximum mean means minimum most need needed new non number
    obtain option options order passage people person place possible question questions ratio refers required respectively
    result results round say second sentence set shown small smallest solve statement statements suppose table term terms
    text thing things time total true type unit units use used using usually value values way would year years year old
    amount based certain change changes common different form general important include includes increase increases
    decrease likely line main occur occurs particular point points process rate related short similar single single size
    state states statement structure th theory therefore various von work works author author's quot mathrm frac left right
    text cdot times circ sqrt mathbf begin end rm hat quad align circ pi alpha beta gamma delta theta lambda mu sigma omega
    cm mm km kg ft lb sec hr min mol atm psi btu kj cal deg hour hours minute minutes inch inches feet foot pound pounds
    man woman men women mr mrs boy girl child store ii iii iv vi because also one two three four five six seven eight nine
    ten first third half zero into onto every each both many much more per equal equals let show exist exists explain
    john mary tom jane smith dont doesnt isnt doing did done got going want able know think thought said says
    """.split()
)
_STOP_WORDS = sorted(ENGLISH_STOP_WORDS | _EXAM_WORDS)
_WORD = r"(?u)\b[^\W\d_]{3,}(?:-[^\W\d_]{3,})?\b"
_MARKUP = re.compile(r"\\[a-zA-Z]+|\$[^$\n]{0,200}\$|\[[A-Z]+\]")
_OPTION_LETTER = re.compile(r"^[A-Z]\. ", flags=re.MULTILINE)
_NAME_NOISE = frozenset({"school", "college", "high", "elementary", "professional", "other", "conceptual"})
_ALWAYS_UPPER = frozenset({"dna", "rna", "gdp", "hiv", "aids", "atp", "usa"})


def task_keywords(texts: Mapping[str, Sequence[str]], *, count: int = KEYWORDS) -> dict[str, tuple[str, ...]]:
    """Describe each task by the words that set its texts apart from the other tasks'.

    The subject that the task's own name states comes first; the rest are single words and pairs of words by TF-IDF over
    tasks, each counted once per text, without near-duplicates such as singular and plural.

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
    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2), stop_words=_STOP_WORDS, token_pattern=_WORD, binary=True, norm=None, use_idf=False
    )
    try:
        vectorizer.fit([text for document in documents for text in document])
    except ValueError:
        # No word at all in any text, e.g. formulas or another script without word breaks.
        return {name: tuple(_from_name(name)[:count]) or (name,) for name in names}
    terms = vectorizer.get_feature_names_out()
    # Texts of the task that hold the term, so that one long text cannot lend a task its keywords.
    holding = np.stack(
        [np.asarray(vectorizer.transform(document).sum(axis=0)).ravel() for document in documents]
    )
    share = holding / np.array([[max(len(document), 1)] for document in documents])
    spread = share.sum(axis=0, keepdims=True)
    weight = share * np.log1p(share / np.maximum(spread - share, 1e-9).clip(1e-3) * (len(names) - 1 or 1))
    weight *= np.where(holding >= np.minimum(3, holding.max(axis=1, keepdims=True)), 1.0, 0.0)
    # A pair of words says more than either; it stands for fewer texts, and would else never be chosen.
    weight *= np.array([1.6 if " " in term else 1.0 for term in terms])
    keywords = {}
    for row, name in enumerate(names):
        ranked = (
            str(terms[at]) for at in np.argsort(-weight[row], kind="stable")[:200] if weight[row, at] > 0
        )
        keywords[name] = tuple(_distinct([*_from_name(name), *ranked], count)) or (name,)
    return keywords


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
