"""One candidate of a zoo, with its profile and what is known of how it was measured."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from modelsat.capability.run import ExamRun
from modelsat.types import Candidate, CapabilityProfile


@dataclass(frozen=True, slots=True)
class Member:
    """What a zoo knows of one candidate.

    Attributes:
        candidate: The candidate.
        profile: What its cards say, as they say it.
        runs: How it sat its exams, by the exam's name, as far as its cards tell.
    """

    candidate: Candidate
    profile: CapabilityProfile
    runs: Mapping[str, ExamRun] = field(default_factory=dict)

    def scored_profile(self) -> CapabilityProfile:
        """The profile as a router reads it: under the candidate's name, with the zoo's notes and answer length."""
        name, notes = self.candidate.name, (self.profile.notes, self.candidate.notes)
        joined = " ".join(dict.fromkeys(part.strip() for part in notes if part.strip()))
        length = self.candidate.output_tokens
        if length is None:
            length = self.profile.mean_output_tokens
        made = replace(self.profile, candidate=name, notes=joined, mean_output_tokens=length)
        return self.profile if made == self.profile else made
