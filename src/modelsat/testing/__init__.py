"""A scripted OpenAI-compatible endpoint for tests, benchmarks and rehearsals."""

from modelsat.testing.fake_endpoint import (
    FAULTS,
    Answer,
    FakeEndpoint,
    FakeRequest,
    Persona,
    completion,
    random_faults,
)

__all__ = ["FAULTS", "Answer", "FakeEndpoint", "FakeRequest", "Persona", "completion", "random_faults"]
