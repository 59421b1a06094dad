"""Load a tuned router by name or folder, on ONNX Runtime where that can run it, else on torch."""

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from modelsat.errors import DataError
from modelsat.progress import Progress, no_progress
from modelsat.routing.cascade import CascadeScorer
from modelsat.routing.scorer import Scorer
from modelsat.scoring.checkpoint import Checkpoint, load_checkpoint
from modelsat.scoring.scorer import TwoPhaseScorer

if TYPE_CHECKING:
    from modelsat.onnx.sizes import Precision

Runtime = Literal["auto", "onnx", "onnx-fp32", "torch"]
DEFAULT_ROUTER = "accurate"
CASCADE = "cascade"
# The checkpoints that come with the package, below its assets.
SHIPPED = {"accurate": "router", "fast": "students/fast", "fastest": "students/fastest"}
_CASCADED = ("fast", "accurate")


def load_tuned(
    router: str | Path = DEFAULT_ROUTER, *, runtime: str = "auto", progress: Progress = no_progress
) -> Scorer:
    """Load a tuned router as a scorer.

    Args:
        router: "accurate" (the tuned router), "fast" or "fastest" (students of it), "cascade" (`fast`, and `accurate`
            where the best two candidates are close), or the folder of a checkpoint.
        runtime: "onnx" needs layout exam_attention on the embedded models, and computes in 8 bits where the processor
            can; "onnx-fp32" is the same in fp32; "torch" runs every checkpoint and needs the extra `torch`; "auto"
            takes the first that can.
        progress: Called while ONNX graphs are built, which happens once; then not at all.

    Raises:
        CheckpointError: The checkpoint is damaged or belongs to other weights.
        DataError: There is no such router or runtime.
        LayoutError: The runtime cannot run this checkpoint.
        MissingExtraError: What the runtime needs is not installed.
    """
    if runtime not in get_args(Runtime):
        raise DataError(f"runtime is {runtime!r}; expected one of {', '.join(get_args(Runtime))}.")
    if router == CASCADE:
        return load_cascade(*checkpoint_folders(router), runtime=runtime, progress=progress)
    return _load(load_checkpoint(checkpoint_folder(router)), runtime, progress)


def checkpoint_folder(router: str | Path) -> Path:
    """Folder of a checkpoint that comes with the package by its name (see `SHIPPED`), or the folder itself.

    Raises:
        DataError: There is neither.
    """
    shipped = SHIPPED.get(str(router))
    if shipped is not None:
        return Path(str(files("modelsat") / "assets" / shipped))
    if not Path(router).is_dir():
        raise DataError(
            f"there is no router {str(router)!r}; expected {', '.join(SHIPPED)}, {CASCADE}, "
            "or the folder of a checkpoint."
        )
    return Path(router)


def checkpoint_folders(router: str | Path) -> tuple[Path, ...]:
    """Folders of all checkpoints of a router: two where it is the cascade; errors as of `checkpoint_folder`."""
    return tuple(map(checkpoint_folder, _CASCADED if router == CASCADE else (router,)))


def load_cascade(
    student: Path, teacher: Path, *, runtime: str = "auto", progress: Progress = no_progress
) -> CascadeScorer:
    """Load a student with its teacher behind it.

    Args:
        student: Folder of the student's checkpoint, which holds the margin.
        teacher: Folder of the checkpoint that it was distilled from.
        runtime: See `load_tuned`.
        progress: See `load_tuned`.

    Raises:
        DataError: The student's checkpoint is none of a student, or the two do not belong together.
    """
    small = load_checkpoint(student)
    first, second = (_load(part, runtime, progress) for part in (small, load_checkpoint(teacher)))
    if small.margin is None or not isinstance(first, TwoPhaseScorer):
        raise DataError(
            f"{student}: not a student's checkpoint; a cascade begins with one (`modelsat distil`)."
        )
    if not isinstance(second, TwoPhaseScorer):
        raise DataError(f"{teacher}: not of layout exam_attention, as a cascade's teacher must be.")
    return CascadeScorer(first, second, margin=small.margin)


def _load(checkpoint: Checkpoint, runtime: str, progress: Progress) -> Scorer:
    # Either runtime is imported only where it is used: both are large.
    if runtime != "torch":
        from modelsat.onnx.load import can_run, load_onnx_scorer

        if runtime != "auto" or can_run(checkpoint.config):
            precision: Precision | None = "fp32" if runtime == "onnx-fp32" else None
            return load_onnx_scorer(checkpoint, precision=precision, progress=progress)
    from modelsat.network.pretrained import require_torch

    require_torch()
    from modelsat.network.load import load_scorer

    return load_scorer(checkpoint)
