"""Which representation class serves which capability encoder, for layouts 1 and 2."""

from collections.abc import Callable

import numpy as np
from torch import Tensor

from modelsat.network.backbone import Backbone
from modelsat.network.encoder import TextEncoder
from modelsat.network.paper.representation import (
    CapabilityEncoder,
    ItemsRepresentation,
    NumericRepresentation,
    PlainRepresentation,
    TextRepresentation,
)
from modelsat.scoring.config import Encoder
from modelsat.scoring.numeric_encoder import ExamStatistics

# Paper: the order of the tasks is shuffled twice and the two scores are averaged.
_PERTURBATIONS = 2


def capability_encoder(
    name: Encoder,
    *,
    statistics: ExamStatistics,
    task_keys: Tensor,
    encoder: TextEncoder,
    backbone: Backbone,
) -> CapabilityEncoder:
    """Build psi by its name.

    Args:
        name: Which one.
        statistics: Of the exam.
        task_keys: [task, text] embeddings of the tasks' keywords.
        encoder: The sentence encoder.
        backbone: Whose tokens plain text becomes.
    """
    build: dict[Encoder, Callable[[], CapabilityEncoder]] = {
        "text": lambda: TextRepresentation(encoder, perturbations=_PERTURBATIONS),
        "numeric": lambda: NumericRepresentation(
            statistics, keys=np.asarray(task_keys.numpy(), dtype=np.float32), embed=encoder.encode
        ),
        "items": lambda: ItemsRepresentation(statistics),
        "none": lambda: PlainRepresentation(backbone),
    }
    return build[name]()
