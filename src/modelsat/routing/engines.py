"""Which router is run, the tuned one or a student, and what runs it: ONNX Runtime where it can, torch otherwise."""

from importlib.resources import files
from pathlib import Path
from typing import Literal, get_args

from modelsat.errors import DataError
from modelsat.routing.scorer import Scorer
from modelsat.scoring.checkpoint import shipped_folder

Engine = Literal["accurate", "fast", "fastest", "cascade"]
Runtime = Literal["auto", "onnx", "onnx-fp32", "torch"]


def load_tuned(checkpoint: Path | None = None, *, engine: str = "accurate", runtime: str = "auto") -> Scorer:
    """Load a tuned router as a scorer.

    Args:
        checkpoint: Its folder, a student's own included; the shipped one by default.
        engine: "accurate" is the tuned router itself; "fast" and "fastest" are the shipped students of it; "cascade"
            asks `fast`, and the tuned router where the best two candidates are close.
        runtime: "onnx" needs layout exam_attention on the embedded models and the extra `engine`, and computes in
            8 bits where the processor can; "onnx-fp32" is the same in fp32; "torch" runs every checkpoint and needs the
            extra `torch`; "auto" takes the first that can.

    Raises:
        CheckpointError: The checkpoint is damaged or belongs to other weights.
        DataError: There is no such engine or runtime, or a shipped student is wanted of another checkpoint.
        LayoutError: The runtime cannot run this checkpoint.
        MissingExtraError: What the runtime needs is not installed.
    """
    if engine not in get_args(Engine):
        raise DataError(f"engine is {engine!r}; expected one of {', '.join(get_args(Engine))}.")
    if runtime not in get_args(Runtime):
        raise DataError(f"runtime is {runtime!r}; expected one of {', '.join(get_args(Runtime))}.")
    if engine == "accurate":
        return _load(checkpoint, runtime)
    if checkpoint is not None:
        raise DataError(
            f"engine {engine} is a student of the shipped router; leave the checkpoint {checkpoint} out, "
            "or give a student's own checkpoint with the engine accurate."
        )
    if engine == "cascade":
        return load_cascade(shipped_student("fast"), None, runtime=runtime)
    return _load(shipped_student(engine), runtime)


def shipped_student(name: str) -> Path:
    """Folder of a student that comes with the package: "fast" or "fastest"."""
    return Path(str(files("modelsat") / "assets" / "students" / name))


def checkpoint_folder(name: str) -> Path:
    """A checkpoint by its folder, or one that comes with the package by its engine: accurate, fast or fastest."""
    shipped = {
        "accurate": shipped_folder(),
        **{student: shipped_student(student) for student in ("fast", "fastest")},
    }
    return shipped.get(name, Path(name))


def load_cascade(student: Path, teacher: Path | None, *, runtime: str = "auto") -> Scorer:
    """Load a student with its teacher behind it.

    Args:
        student: The student's checkpoint, which holds the margin.
        teacher: The checkpoint that it was distilled from; the shipped one by default.
        runtime: See `load_tuned`.

    Raises:
        DataError: The student's checkpoint is none of a student, or the two do not belong together.
    """
    from modelsat.routing.cascade import CascadeScorer
    from modelsat.scoring.checkpoint import load_checkpoint
    from modelsat.scoring.scorer import ExamAttentionScorer

    margin = load_checkpoint(student).margin
    first, second = _load(student, runtime), _load(teacher, runtime)
    if margin is None or not isinstance(first, ExamAttentionScorer):
        raise DataError(
            f"{student}: not a student's checkpoint; a cascade begins with one (`modelsat distil`)."
        )
    if not isinstance(second, ExamAttentionScorer):
        raise DataError(f"{teacher}: not of layout exam_attention, as a cascade's teacher must be.")
    return CascadeScorer(first, second, margin=margin)


def _load(checkpoint: Path | None, runtime: str) -> Scorer:
    if runtime != "torch":
        from modelsat.onnx.load import can_load, load_onnx_scorer

        if runtime != "auto" or can_load(checkpoint):
            return load_onnx_scorer(checkpoint, precision="fp32" if runtime == "onnx-fp32" else None)
    from modelsat.network.pretrained import require_torch

    require_torch()
    from modelsat.network.load import load_scorer

    return load_scorer(checkpoint)
