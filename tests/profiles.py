"""Small profiles that tests of several layers share."""

from collections.abc import Mapping

from modelsat.types import CapabilityProfile, TaskResult


def profile(name: str, accuracies: Mapping[str, float], *, tokens: float | None = 100.0) -> CapabilityProfile:
    """A profile of 20 shots per task."""
    results = tuple(
        TaskResult(task=task, keywords=(task,), accuracy=accuracy, shots=20)
        for task, accuracy in accuracies.items()
    )
    return CapabilityProfile(
        candidate=name, exam="tiny", exam_hash="0" * 16, results=results, mean_output_tokens=tokens
    )
