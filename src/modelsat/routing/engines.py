"""Which engine runs a tuned router: ONNX Runtime where it can, torch otherwise."""

from pathlib import Path
from typing import Literal, get_args

from modelsat.errors import DataError
from modelsat.routing.scorer import Scorer

Engine = Literal["auto", "onnx", "onnx-fp32", "torch"]


def load_tuned(checkpoint: Path | None = None, *, engine: str = "auto") -> Scorer:
    """Load a tuned router as a scorer.

    Args:
        checkpoint: Its folder; the shipped one by default.
        engine: "onnx" needs layout exam_attention on the embedded models and the extra `engine`, and computes in 8 bits
            where the processor can; "onnx-fp32" is the same in fp32; "torch" runs every checkpoint and needs the
            extra `torch`; "auto" takes the first that can.

    Raises:
        CheckpointError: The checkpoint is damaged or belongs to other weights.
        DataError: There is no such engine.
        LayoutError: The engine cannot run this checkpoint.
        MissingExtraError: What the engine needs is not installed.
    """
    if engine not in get_args(Engine):
        raise DataError(f"engine is {engine!r}; expected one of {', '.join(get_args(Engine))}.")
    if engine != "torch":
        from modelsat.engine.load import can_load, load_onnx_scorer

        if engine != "auto" or can_load(checkpoint):
            return load_onnx_scorer(checkpoint, precision="fp32" if engine == "onnx-fp32" else None)
    from modelsat.network.weights import require_torch

    require_torch()
    from modelsat.network.load import load_scorer

    return load_scorer(checkpoint)
