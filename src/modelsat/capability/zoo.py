"""The model zoo: who can be chosen now, and what each has shown it can do."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path

from modelsat.capability.card import read_sat_card
from modelsat.capability.member import Member
from modelsat.capability.run import ExamRun
from modelsat.capability.zoo_file import read_zoo, write_zoo
from modelsat.errors import DataError
from modelsat.types import Candidate, CapabilityProfile
from modelsat.types.candidates import CURRENCY


@contextmanager
def shipped_zoo_file() -> Iterator[Path]:
    """The zoo file that comes with the package."""
    with as_file(files("modelsat") / "assets") as folder:
        yield folder / "zoo.toml"


class ModelZoo:
    """The candidates that can be chosen now, with their profiles.

    Reads like a mapping from a candidate's name to its `Candidate`. A candidate that is added can be routed
    to at once: a router knows candidates by their profiles only.

        zoo = ModelZoo.shipped()
        zoo.add(Candidate(name="our-model", output_price=0.4), "cards/our-model.json")
    """

    def __init__(self, members: Iterable[tuple[Candidate, CapabilityProfile]] = ()) -> None:
        """Put candidates and their profiles together.

        Args:
            members: Pairs of candidate and profile, in the order of the zoo.

        Raises:
            DataError: A name appears twice, or prices are in several currencies.
        """
        self._members: dict[str, Member] = {}
        # Made once: a scorer keeps what it worked out of a profile for as long as it is given the same one.
        self._profiles: dict[str, CapabilityProfile] = {}
        for candidate, profile in members:
            self.add(candidate, profile)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the candidates, in order."""
        return tuple(self._members)

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The candidates, in order."""
        return tuple(member.candidate for member in self._members.values())

    @property
    def currency(self) -> str:
        """Currency of all prices (ISO 4217)."""
        return next((one.currency for one in self.candidates if _has_price(one)), CURRENCY)

    @property
    def profiles(self) -> tuple[CapabilityProfile, ...]:
        """What a router scores: one profile per candidate, under its name, with its expert notes."""
        return tuple(self._profiles.values())

    def profile(self, name: str) -> CapabilityProfile:
        """The profile of one candidate.

        Raises:
            DataError: There is no such candidate.
        """
        self._member(name)
        return self._profiles[name]

    def runs(self, name: str) -> Mapping[str, ExamRun]:
        """How a candidate sat its exams, by the exam's name, as far as its cards tell.

        Raises:
            DataError: There is no such candidate.
        """
        return self._member(name).runs

    @property
    def identity(self) -> str:
        """Short hash over all that a choice depends on: names, prices, windows, modalities and cards, in any order."""
        rows = sorted(
            repr((one.name, one.input_price, one.output_price, one.context_window, one.modalities, profile))
            for one, profile in zip(self.candidates, self.profiles, strict=True)
        )
        return hashlib.sha256("\n".join(rows).encode("utf-8", "backslashreplace")).hexdigest()[:16]

    def __getitem__(self, name: str) -> Candidate:
        return self._member(name).candidate

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __repr__(self) -> str:
        return f"ModelZoo({', '.join(self._members)})"

    def add(self, candidate: Candidate | str, profile: CapabilityProfile | Path | str) -> None:
        """Make a candidate routable.

        Args:
            candidate: The candidate, or only its name.
            profile: Its profile, or the path of its capability card. A profile measured under another name
                serves too: one model may be offered at two endpoints.

        Raises:
            DataError: The name is taken, or the card is malformed.
        """
        added = Candidate(name=candidate) if isinstance(candidate, str) else candidate
        if isinstance(profile, CapabilityProfile):
            self._add(Member(added, profile))
        else:
            card, run = read_sat_card(profile)
            self._add(Member(added, card, {} if run is None else {card.exam: run}))

    def remove(self, name: str) -> None:
        """Take a candidate out.

        Raises:
            DataError: There is no such candidate.
        """
        self._member(name)
        del self._members[name]
        del self._profiles[name]

    def select(self, names: Sequence[str]) -> "ModelZoo":
        """A zoo of some of the candidates, in the given order.

        Raises:
            DataError: A name is not there, or there twice.
        """
        return self._of(self._member(name) for name in names)

    @classmethod
    def load(cls, path: Path | str) -> "ModelZoo":
        """Read a zoo file and the cards it points to.

        Raises:
            DataError: The file or a card is malformed; names file, line and entry.
        """
        return cls._of(read_zoo(Path(path)))

    @classmethod
    def shipped(cls) -> "ModelZoo":
        """The zoo that comes with the package."""
        with shipped_zoo_file() as path:
            return cls.load(path)

    def save(self, path: Path | str) -> None:
        """Write a new zoo file, with the cards in the folder `cards` beside it.

        To change a file that a person keeps, use `zoo_file.add_entry` and `zoo_file.remove_entry`.
        """
        write_zoo(Path(path), self._members.values(), self.currency)

    @classmethod
    def _of(cls, members: Iterable[Member]) -> "ModelZoo":
        zoo = cls()
        for member in members:
            zoo._add(member)
        return zoo

    def _add(self, member: Member) -> None:
        name = member.candidate.name
        if name in self._members:
            raise DataError(
                f"candidate {name!r} is in the zoo already; remove it first, or use another name."
            )
        currency = member.candidate.currency
        if (
            _has_price(member.candidate)
            and any(map(_has_price, self.candidates))
            and currency != self.currency
        ):
            raise DataError(
                f"candidate {name!r} has prices in {currency}, the zoo in {self.currency}; a zoo has one currency."
            )
        self._members[name] = member
        self._profiles[name] = member.scored_profile()

    def _member(self, name: str) -> Member:
        try:
            return self._members[name]
        except KeyError:
            known = ", ".join(self._members) or "none"
            raise DataError(f"no candidate {name!r} in the zoo; it has {known}.") from None


def _has_price(candidate: Candidate) -> bool:
    return candidate.input_price is not None or candidate.output_price is not None
