"""Model-SAT: route each instruction to the model most likely to get it right.

    from modelsat import Router

    decision = Router.load().route("Which vitamin does sunlight give?")
    print(decision.candidate, decision.probability)

Importing this package is quick: public names are fetched when they are first used, and torch only when a
router is loaded.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelsat.capability.aptitude import AptitudeTest
    from modelsat.capability.zoo import ModelZoo
    from modelsat.errors import ModelSatError
    from modelsat.routing.policy import RoutingPolicy
    from modelsat.routing.router import Router
    from modelsat.routing.scorer import Scorer
    from modelsat.types import (
        Candidate,
        CapabilityProfile,
        Evidence,
        Instruction,
        Outcome,
        RankedCandidate,
        RoutingDecision,
        ScoreMatrix,
        TaskResult,
    )

__version__ = "0.3.0"

__all__ = [
    "AptitudeTest",
    "Candidate",
    "CapabilityProfile",
    "Evidence",
    "Instruction",
    "ModelSatError",
    "ModelZoo",
    "Outcome",
    "RankedCandidate",
    "Router",
    "RoutingDecision",
    "RoutingPolicy",
    "ScoreMatrix",
    "Scorer",
    "TaskResult",
]

_HOMES = {
    "AptitudeTest": "modelsat.capability.aptitude",
    "ModelSatError": "modelsat.errors",
    "ModelZoo": "modelsat.capability.zoo",
    "Router": "modelsat.routing.router",
    "RoutingPolicy": "modelsat.routing.policy",
    "Scorer": "modelsat.routing.scorer",
}


def __getattr__(name: str) -> object:
    """Fetch a public name from where it lives (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module 'modelsat' has no attribute {name!r}")
    value: object = getattr(import_module(_HOMES.get(name, "modelsat.types")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
