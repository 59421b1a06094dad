"""A tuned router of layout capability_first or shared_prefix, as a scorer."""

from collections.abc import Sequence

import torch

from modelsat.errors import CheckpointError
from modelsat.network.backbone import Backbone
from modelsat.network.encoder import TextEncoder
from modelsat.network.paper.capability_encoders import capability_encoder
from modelsat.network.paper.prompted import PromptedNetwork
from modelsat.network.paper.representation import CapabilityEncoder
from modelsat.scoring.checkpoint import Calibration, Checkpoint
from modelsat.types import CapabilityProfile, Instruction, ScoreMatrix

TASK_KEYS = "task_keys"


class PromptedScorer:
    """Scores by the backbone's next token.

    Args:
        network: Tuned, adapters merged.
        representation: The capability encoder.
        calibration: Fitted on validation.
        identity: Checkpoint and runtime: scorers of one identity give the same scores.
    """

    def __init__(
        self,
        network: PromptedNetwork,
        representation: CapabilityEncoder,
        calibration: Calibration,
        *,
        identity: str,
    ) -> None:
        self.identity = identity
        self.network = network.eval()
        self.representation = representation
        self.calibration = calibration
        self.name = f"Model-SAT ({network.config.layout}, {network.config.capability_encoder})"

    def score(
        self, instructions: Sequence[Instruction], profiles: Sequence[CapabilityProfile]
    ) -> ScoreMatrix:
        """Score every candidate on every instruction; see `modelsat.routing.scorer.Scorer`."""
        tokens = [self.network.tokenize(instruction.text) for instruction in instructions]
        logits = self.network.score(tokens, self.representation.encode(profiles)).numpy()
        return ScoreMatrix(
            instruction_ids=tuple(instruction.id for instruction in instructions),
            candidates=tuple(profile.candidate for profile in profiles),
            logits=logits,
            probabilities=self.calibration.probabilities(logits),
        )


def prompted_scorer(checkpoint: Checkpoint, backbone: Backbone, encoder: TextEncoder) -> PromptedScorer:
    """Put a checkpoint's connector and head on a backbone whose adapters are merged.

    Raises:
        CheckpointError: A tensor is missing or has another shape; names the file.
    """
    head = {name: torch.from_numpy(value) for name, value in checkpoint.head.items()}
    keys = head.pop(TASK_KEYS, None)
    if keys is None or len(keys) != len(checkpoint.statistics.tasks):
        raise CheckpointError(
            f"{checkpoint.folder}: tensor 'head.{TASK_KEYS}' must have one row per exam task."
        )
    representation = capability_encoder(
        checkpoint.config.capability_encoder,
        statistics=checkpoint.statistics,
        task_keys=keys,
        encoder=encoder,
        backbone=backbone,
    )
    network = PromptedNetwork(backbone, checkpoint.config, features=representation.features)
    try:
        missing, unexpected = network.load_state_dict(head, strict=False)
    except RuntimeError as error:
        raise CheckpointError(
            f"{checkpoint.folder}: connector or head does not fit its configuration: {error}"
        ) from None
    lacking = [name for name in missing if not name.startswith("backbone.")]
    if lacking or unexpected:
        raise CheckpointError(
            f"{checkpoint.folder}: connector and head lack {lacking or 'nothing'} "
            f"and hold unknown {unexpected or 'nothing'}."
        )
    return PromptedScorer(
        network, representation, checkpoint.calibration, identity=f"{checkpoint.digest}/torch"
    )
