"""Engines in the user's cache: found by what they are made of, built on first use."""

import hashlib
import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from modelsat.onnx.sizes import ENCODER_WEIGHTS, DecoderSizes, Precision
from modelsat.scoring.checkpoint import WEIGHTS_FILE, Checkpoint
from modelsat.scoring.config import NetworkConfig
from modelsat.scoring.weights import (
    EMBEDDED_BACKBONE,
    EMBEDDED_ENCODER,
    cache_folder,
    embedded_backbone_file,
    encoder_folder,
    file_digest,
)

_MARKER = "engine.json"
# Raised with every change of what is built, so that engines of older versions are built anew.
_VERSION = 2
_VNNI = ("avx512_vnni", "avx_vnni")


def can_run(config: NetworkConfig) -> bool:
    """Whether a network runs without torch: layout exam_attention on the embedded backbone and encoder."""
    return (
        config.layout == "exam_attention"
        and config.backbone in (EMBEDDED_BACKBONE, EMBEDDED_ENCODER)
        and config.text_encoder == EMBEDDED_ENCODER
    )


def find_engine(checkpoint: Checkpoint, *, precision: Precision) -> tuple[Path, DecoderSizes]:
    """The engine of a checkpoint, built on first use.

    Args:
        checkpoint: The router.
        precision: Of linear maps.

    Returns:
        A folder with two graphs and the backbone's tokenizer, and the backbone's sizes.

    Raises:
        CheckpointError: The adapters belong to other backbone weights, or do not fit them.
        MissingExtraError: What builds engines is not installed.
    """
    source = embedded_backbone_file()

    def build(built: Path) -> dict[str, object]:
        # Only building needs the packages that read and write weights: they would double the cold start.
        from modelsat.onnx.build import build_engine

        return asdict(build_engine(checkpoint, source, built, precision=precision))

    target, sizes = _find(checkpoint, source, build, precision=precision)
    return target, DecoderSizes(**sizes)


def find_student(checkpoint: Checkpoint, *, precision: Precision) -> Path:
    """The engine of a student, built on first use; arguments and errors as for `find_engine`.

    Returns:
        A folder with the student's graph and that of the whole sentence encoder.
    """

    def build(built: Path) -> dict[str, object]:
        from modelsat.onnx.build import build_student_engine

        build_student_engine(checkpoint, built, precision=precision)
        return {}

    source = Path(encoder_folder(EMBEDDED_ENCODER)) / ENCODER_WEIGHTS
    return _find(checkpoint, source, build, precision=precision)[0]


def _find(
    checkpoint: Checkpoint,
    source: Path,
    build: Callable[..., dict[str, object]],
    *,
    precision: Precision,
) -> tuple[Path, dict[str, Any]]:
    """An engine's folder and what `build` said of it when it wrote it."""
    made_of = {
        "version": _VERSION,
        "backbone": file_digest(source),
        "weights": hashlib.sha256((checkpoint.folder / WEIGHTS_FILE).read_bytes()).hexdigest(),
        "layers": checkpoint.config.layers,
        "precision": precision,
    }
    key = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:16]
    target = cache_folder() / "engines" / key
    if not (target / _MARKER).exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
            built = Path(temporary) / "engine"
            built.mkdir()
            marker = {"made_of": made_of, "sizes": build(built)}
            (built / _MARKER).write_text(json.dumps(marker, indent=2) + "\n", "utf-8")
            try:
                built.rename(target)
            except OSError:
                # Another process finished the same engine first.
                if not (target / _MARKER).exists():
                    raise
    return target, json.loads((target / _MARKER).read_text("utf-8"))["sizes"]


def best_precision() -> Precision:
    """What linear maps are computed in here: 8 bits where the processor can, else fp32."""
    return "int8" if has_vnni() else "fp32"


def has_vnni() -> bool:
    """Whether the processor adds up products of 8-bit numbers without overflow."""
    try:
        flags = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return False
    return any(flag in flags for flag in _VNNI)
