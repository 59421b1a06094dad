"""From a checkpoint's folder to a scorer that runs without torch."""

import importlib.util
from pathlib import Path

from modelsat.errors import LayoutError
from modelsat.onnx.cache import best_precision, can_run, find_engine, find_student, has_vnni
from modelsat.onnx.reader import OnnxReader
from modelsat.onnx.sizes import Precision
from modelsat.onnx.student import OnnxStudentReader
from modelsat.scoring.checkpoint import Checkpoint, imitation_of, load_checkpoint, shipped_folder
from modelsat.scoring.scorer import ExamAttentionScorer, exam_attention_scorer
from modelsat.scoring.weights import EMBEDDED_ENCODER, encoder_folder

_PACKAGES = ("onnx", "onnxruntime", "gguf", "tokenizers")


def can_load(folder: Path | None = None) -> bool:
    """Whether a checkpoint can run without torch here: its layout and models fit, and all packages are installed."""
    if any(importlib.util.find_spec(name) is None for name in _PACKAGES):
        return False
    return can_run(load_checkpoint(folder or shipped_folder()).config)


def load_onnx_scorer(
    folder: Path | None = None, *, precision: Precision | None = None, tokens: int | None = None
) -> ExamAttentionScorer:
    """Load a tuned router of layout exam_attention on the embedded models; builds its engine on first use.

    Args:
        folder: A checkpoint; None takes the one that comes with the package.
        precision: Of linear maps; by default the fastest that the processor computes rightly.
        tokens: Token budget of an instruction; by default that of tuning.

    Raises:
        CheckpointError: It is damaged, or its adapters belong to other backbone weights.
        LayoutError: It is of another layout or on other models, or the processor cannot compute in that precision.
        MissingExtraError: The engine's packages are not installed.
    """
    folder = folder or shipped_folder()
    checkpoint = load_checkpoint(folder)
    if not can_run(checkpoint.config):
        raise LayoutError(
            f"{folder}: the engine without torch runs layout exam_attention on the embedded models; this checkpoint is "
            f"{checkpoint.config.layout} on {checkpoint.config.backbone}. Use the runtime 'torch'."
        )
    if precision == "int8" and not has_vnni():
        raise LayoutError("8 bits need a processor with VNNI, which this one lacks; use fp32.")
    precision = precision or best_precision()
    if checkpoint.config.is_student:
        return exam_attention_scorer(
            checkpoint, _student_reader(checkpoint, folder, precision=precision, tokens=tokens), folder=folder
        )
    engine, sizes = find_engine(checkpoint, folder, precision=precision)
    reader = OnnxReader(
        engine,
        sizes=sizes,
        encoder=Path(encoder_folder(EMBEDDED_ENCODER)),
        tokens=tokens or checkpoint.config.tokens,
        precision=precision,
    )
    return exam_attention_scorer(checkpoint, reader, folder=folder)


def _student_reader(
    checkpoint: Checkpoint, folder: Path, *, precision: Precision, tokens: int | None
) -> OnnxStudentReader:
    return OnnxStudentReader(
        find_student(checkpoint, folder, precision=precision),
        text_size=len(imitation_of(checkpoint, folder)[1]),
        encoder=Path(encoder_folder(EMBEDDED_ENCODER)),
        tokens=tokens or checkpoint.config.tokens,
        precision=precision,
    )
