"""Which split an instruction belongs to, and when two instructions are the same question.

The rule looks at the question's stem alone, so that one question is in one split wherever it was collected.
"""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from modelsat.records.files import read_json

Split = Literal["test", "validation", "tuning"]

_SALT = "modelsat-1/"
_NOT_STEM = re.compile("[^a-z0-9]")
_TEST_BELOW, _VALIDATION_BELOW = 20, 26


def question_of(text: str) -> str:
    """A question without the lettered options below it."""
    return text.split("\nA. ")[0]


def stem(text: str) -> str:
    """What copies of a question share: the text before the first lettered option, a-z and 0-9 only."""
    return _NOT_STEM.sub("", question_of(text).lower())


def split_of(text: str) -> Split:
    """The split of the instruction with this text: 20% test, 6% validation, the rest tuning."""
    digest = hashlib.sha256((_SALT + stem(text)).encode()).hexdigest()
    u = int(digest, 16) % 100
    if u < _TEST_BELOW:
        return "test"
    return "validation" if u < _VALIDATION_BELOW else "tuning"


def _normalise(text: str) -> str:
    """Fold what copies of a text differ in: case, white space, compatibility forms of characters."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def stem_hash(text: str) -> str:
    """Short hash of the stem: equal for two instructions that ask the same question with other options.

    A question without a single Latin letter or digit has no stem; its whole normalised text stands in for it.
    """
    return hashlib.sha256((stem(text) or _normalise(text)).encode()).hexdigest()[:12]


def content_hash(text: str, choices: Sequence[str] = ()) -> str:
    """Short hash of a question and its choices, equal for copies that differ in case or spacing only.

    Args:
        text: The question; lettered options below it are cut off, so the rendered and the bare question
            agree.
        choices: The options, in order.
    """
    parts = [question_of(text), *choices]
    return hashlib.sha256("\x1f".join(map(_normalise, parts)).encode()).hexdigest()[:16]


class _OutOfDomain(BaseModel):
    model_config = ConfigDict(extra="ignore")
    mmlu_pro_categories: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()


class _Candidates(BaseModel):
    model_config = ConfigDict(extra="ignore")
    unseen_test: tuple[str, ...] = ()
    unseen_validation: tuple[str, ...] = ()


class _SplitsFile(BaseModel):
    model_config = ConfigDict(extra="ignore")
    out_of_domain: _OutOfDomain = Field(default_factory=_OutOfDomain)
    candidates: _Candidates = Field(default_factory=_Candidates)
    zoos: dict[str, tuple[str, ...]] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """What tuning must not see.

    Attributes:
        out_of_domain_categories: Categories left out of tuning.
        out_of_domain_datasets: Datasets left out of tuning.
        unseen_test: Candidates that only the final test sees.
        unseen_validation: Candidates that only validation sees.
        zoos: Named groups of candidates to route within.
    """

    out_of_domain_categories: tuple[str, ...] = ()
    out_of_domain_datasets: tuple[str, ...] = ()
    unseen_test: tuple[str, ...] = ()
    unseen_validation: tuple[str, ...] = ()
    zoos: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def unseen(self) -> frozenset[str]:
        """Every candidate that tuning and the choice of exam items must not see."""
        return frozenset(self.unseen_test) | frozenset(self.unseen_validation)


def read_splits(path: Path | str) -> Splits:
    """Read held-out candidates, categories, datasets and zoos from a JSON file.

    Raises:
        DataError: The file is missing or malformed.
    """
    file = read_json(Path(path), _SplitsFile)
    return Splits(
        out_of_domain_categories=file.out_of_domain.mmlu_pro_categories,
        out_of_domain_datasets=file.out_of_domain.datasets,
        unseen_test=file.candidates.unseen_test,
        unseen_validation=file.candidates.unseen_validation,
        zoos=file.zoos,
    )
