"""The model zoo: who can be chosen now, and what each has shown it can do."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path

from modelsat.capability.card import read_card
from modelsat.capability.zoo_file import read_zoo, write_zoo
from modelsat.errors import DataError
from modelsat.types import Candidate, CapabilityProfile

Member = tuple[Candidate, CapabilityProfile]


class ModelZoo:
    """The candidates that can be chosen now, with their profiles.

    Reads like a mapping from a candidate's name to its `Candidate`. A candidate that is added can be routed
    to at once: a router knows candidates by their profiles only.

        zoo = ModelZoo.shipped()
        zoo.add(Candidate(name="our-model", output_price=0.4), "cards/our-model.json")
    """

    def __init__(self, members: Iterable[Member] = ()) -> None:
        """Put candidates and their profiles together.

        Args:
            members: Pairs of candidate and profile, in the order of the zoo.

        Raises:
            DataError: A name appears twice.
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
        return tuple(candidate for candidate, _ in self._members.values())

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

    def __getitem__(self, name: str) -> Candidate:
        return self._member(name)[0]

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
        member = Candidate(name=candidate) if isinstance(candidate, str) else candidate
        if member.name in self._members:
            raise DataError(
                f"candidate {member.name!r} is in the zoo already; remove it first, or use another name."
            )
        card = profile if isinstance(profile, CapabilityProfile) else read_card(profile)
        self._members[member.name] = (member, card)
        self._profiles[member.name] = _joined(member, card)

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
        return ModelZoo(self._member(name) for name in names)

    @classmethod
    def load(cls, path: Path | str) -> "ModelZoo":
        """Read a zoo file and the cards it points to.

        Raises:
            DataError: The file or a card is malformed; names file, line and entry.
        """
        return cls(read_zoo(Path(path)))

    @classmethod
    def shipped(cls) -> "ModelZoo":
        """The zoo that comes with the package."""
        with as_file(files("modelsat") / "assets") as folder:
            return cls.load(folder / "zoo.toml")

    def save(self, path: Path | str) -> None:
        """Write a new zoo file, with the cards in the folder `cards` beside it.

        To change a file that a person keeps, use `zoo_file.add_entry` and `zoo_file.remove_entry`.
        """
        write_zoo(Path(path), self._members.values())

    def _member(self, name: str) -> Member:
        try:
            return self._members[name]
        except KeyError:
            known = ", ".join(self._members) or "none"
            raise DataError(f"no candidate {name!r} in the zoo; it has {known}.") from None


def _joined(candidate: Candidate, profile: CapabilityProfile) -> CapabilityProfile:
    notes = " ".join(dict.fromkeys(part.strip() for part in (profile.notes, candidate.notes) if part.strip()))
    if profile.candidate == candidate.name and profile.notes == notes:
        return profile
    return replace(profile, candidate=candidate.name, notes=notes)
