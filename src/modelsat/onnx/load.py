"""From a checkpoint's folder to a scorer that runs without torch."""

import importlib.util
from pathlib import Path

from modelsat.errors import LayoutError
from modelsat.onnx.cache import best_precision, can_run, find_engine, find_student, has_vnni
from modelsat.onnx.instruction_encoder import OnnxInstructionEncoder
from modelsat.onnx.sizes import Precision
from modelsat.onnx.student import OnnxStudentEncoder
from modelsat.scoring.checkpoint import Checkpoint, embedding_projection_of, load_checkpoint
from modelsat.scoring.scorer import ExamAttentionScorer, exam_attention_scorer
from modelsat.scoring.weights import EMBEDDED_ENCODER, encoder_folder

_PACKAGES = ("onnx", "onnxruntime", "gguf", "tokenizers")


def can_load(checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint can run without torch here: its layout and models fit, and all packages are installed."""
    if any(importlib.util.find_spec(name) is None for name in _PACKAGES):
        return False
    return can_run(checkpoint.config)


def load_onnx_scorer(
    checkpoint: Checkpoint | Path | None = None,
    *,
    precision: Precision | None = None,
    tokens: int | None = None,
) -> ExamAttentionScorer:
    """Load a tuned router of layout exam_attention on the embedded models; builds its engine on first use.

    Args:
        checkpoint: Already read, or its folder; None takes the one that comes with the package.
        precision: Of linear maps; by default the fastest that the processor computes rightly.
        tokens: Token budget of an instruction; by default that of tuning.

    Raises:
        CheckpointError: It is damaged, or its adapters belong to other backbone weights.
        LayoutError: It is of another layout or on other models, or the processor cannot compute in that precision.
        MissingExtraError: The engine's packages are not installed.
    """
    if not isinstance(checkpoint, Checkpoint):
        checkpoint = load_checkpoint(checkpoint)
    if not can_run(checkpoint.config):
        raise LayoutError(
            f"{checkpoint.folder}: ONNX Runtime runs layout exam_attention on the embedded models; this checkpoint "
            f"is {checkpoint.config.layout} on {checkpoint.config.backbone}. Use the runtime 'torch'."
        )
    if precision == "int8" and not has_vnni():
        raise LayoutError("8 bits need a processor with VNNI, which this one lacks; use fp32.")
    precision = precision or best_precision()
    if checkpoint.config.is_student:
        return exam_attention_scorer(
            checkpoint,
            _student_encoder(checkpoint, precision=precision, tokens=tokens),
        )
    engine, sizes = find_engine(checkpoint, precision=precision)
    encoder = OnnxInstructionEncoder(
        engine,
        sizes=sizes,
        encoder=Path(encoder_folder(EMBEDDED_ENCODER)),
        tokens=tokens or checkpoint.config.tokens,
        precision=precision,
    )
    return exam_attention_scorer(checkpoint, encoder)


def _student_encoder(
    checkpoint: Checkpoint, *, precision: Precision, tokens: int | None
) -> OnnxStudentEncoder:
    return OnnxStudentEncoder(
        find_student(checkpoint, precision=precision),
        text_size=len(embedding_projection_of(checkpoint)[1]),
        encoder=Path(encoder_folder(EMBEDDED_ENCODER)),
        tokens=tokens or checkpoint.config.tokens,
        precision=precision,
    )
