"""From a checkpoint to a scorer that runs without torch."""

from pathlib import Path

from modelsat.environment import usable_cores
from modelsat.errors import LayoutError
from modelsat.onnx.encoders import OnnxInstructionEncoder, OnnxStudentEncoder, SentenceEncoder
from modelsat.onnx.engines import Engine, find_engine, find_sentence_encoder
from modelsat.onnx.session import best_precision, has_vnni
from modelsat.onnx.sizes import Precision
from modelsat.progress import Progress, no_progress
from modelsat.scoring.checkpoint import Checkpoint, embedding_projection_of, load_checkpoint
from modelsat.scoring.config import NetworkConfig
from modelsat.scoring.scorer import ExamAttentionScorer, exam_attention_scorer
from modelsat.scoring.weights import EMBEDDED_BACKBONE, EMBEDDED_ENCODER, embedded_folder


def can_run(config: NetworkConfig) -> bool:
    """Whether a network runs without torch: layout exam_attention on the embedded backbone and encoder."""
    return (
        config.layout == "exam_attention"
        and config.backbone in (EMBEDDED_BACKBONE, EMBEDDED_ENCODER)
        and config.text_encoder == EMBEDDED_ENCODER
    )


def load_onnx_scorer(
    checkpoint: Checkpoint | Path | None = None,
    *,
    precision: Precision | None = None,
    tokens: int | None = None,
    progress: Progress = no_progress,
) -> ExamAttentionScorer:
    """Load a tuned router of layout exam_attention on the embedded models; builds its engines on first use.

    Args:
        checkpoint: Already read, or its folder; None takes the one that comes with the package.
        precision: Of linear maps; by default the fastest that the processor computes rightly.
        tokens: Token budget of an instruction; by default that of tuning.
        progress: Called while an engine is built; not at all where it is there.

    Raises:
        CheckpointError: It is damaged, or its adapters belong to other backbone weights.
        LayoutError: It is of another layout or on other models, or the processor cannot compute in that precision.
    """
    if not isinstance(checkpoint, Checkpoint):
        checkpoint = load_checkpoint(checkpoint)
    if precision == "int8" and not has_vnni():
        raise LayoutError("8 bits need a processor with VNNI, which this one lacks; use fp32.")
    precision, threads, config = precision or best_precision(), usable_cores(), checkpoint.config
    engine = _find_engine(checkpoint, precision, progress)
    folder = embedded_folder(EMBEDDED_ENCODER)

    def load_sentences(threads: int = threads, progress: Progress = no_progress) -> SentenceEncoder:
        engine = find_sentence_encoder(precision=precision, progress=progress)
        return SentenceEncoder(engine, folder=folder, threads=threads)

    encoder: OnnxInstructionEncoder | OnnxStudentEncoder
    if config.is_student:
        encoder = OnnxStudentEncoder(
            engine,
            folder=folder,
            load_sentences=load_sentences,
            text_size=len(embedding_projection_of(checkpoint)[1]),
            tokens=tokens or config.tokens,
            precision=precision,
            threads=threads,
        )
    else:
        encoder = OnnxInstructionEncoder(
            engine,
            folder=embedded_folder(EMBEDDED_BACKBONE),
            # A fifth of the work, and done beside the backbone's: half of the cores are enough.
            sentences=load_sentences(max(1, threads // 2), progress),
            tokens=tokens or config.tokens,
            precision=precision,
            threads=threads,
        )
    return exam_attention_scorer(checkpoint, encoder)


def build_engines(
    checkpoint: Checkpoint, *, precision: Precision, progress: Progress = no_progress
) -> tuple[Engine, ...]:
    """Build all that a router may need, where it is not in the cache yet; for any processor.

    Args:
        checkpoint: The router.
        precision: Of linear maps.
        progress: As of `load_onnx_scorer`.

    Raises:
        CheckpointError: Its adapters belong to other backbone weights.
        LayoutError: It is of another layout or on other models.
    """
    return (
        _find_engine(checkpoint, precision, progress),
        find_sentence_encoder(precision=precision, progress=progress),
    )


def _find_engine(checkpoint: Checkpoint, precision: Precision, progress: Progress) -> Engine:
    if not can_run(checkpoint.config):
        raise LayoutError(
            f"{checkpoint.folder}: ONNX Runtime runs layout exam_attention on the embedded models; this checkpoint "
            f"is {checkpoint.config.layout} on {checkpoint.config.backbone}. Use the runtime 'torch'."
        )
    return find_engine(checkpoint, precision=precision, progress=progress)
