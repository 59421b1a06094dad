"""Engines in the user's cache: one graph each, found by what it is made of and built on first use."""

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

from modelsat.cache import VARIABLE, cache_folder
from modelsat.onnx.sizes import Precision
from modelsat.progress import Progress, no_progress
from modelsat.scoring.checkpoint import Checkpoint
from modelsat.scoring.weights import EMBEDDED_BACKBONE, EMBEDDED_ENCODER, StoredWeights, embedded_folder

# A graph as a file, or in memory where no file can be written.
Engine = Path | bytes
# Raised with every change of what is built, so that engines of older versions are built anew.
_VERSION = 3

_log = logging.getLogger(__name__)


def find_engine(checkpoint: Checkpoint, *, precision: Precision, progress: Progress = no_progress) -> Engine:
    """A router's backbone with its adapters, or a student.

    Args:
        checkpoint: The router.
        precision: Of linear maps.
        progress: Called while the engine is built; not at all where it is there.

    Raises:
        CheckpointError: The adapters belong to other weights, or do not fit them.
    """
    student = checkpoint.config.is_student

    def build(weights: StoredWeights) -> bytes:
        # Only building needs the package that writes graphs: it would double the cold start.
        from modelsat.onnx.build import build_backbone, build_student

        write = build_student if student else build_backbone
        return write(checkpoint, weights, precision=precision, progress=progress)

    kind, model = ("student", EMBEDDED_ENCODER) if student else ("backbone", EMBEDDED_BACKBONE)
    return _find(kind, model, {"checkpoint": checkpoint.digest, "precision": precision}, build)


def find_sentence_encoder(*, precision: Precision, progress: Progress = no_progress) -> Engine:
    """The whole sentence encoder, the same for all routers; arguments as for `find_engine`."""

    def build(weights: StoredWeights) -> bytes:
        from modelsat.onnx.build import build_sentence_encoder

        return build_sentence_encoder(weights, precision=precision, progress=progress)

    return _find("sentence", EMBEDDED_ENCODER, {"precision": precision}, build)


def _find(
    kind: str, model: str, made_of: Mapping[str, object], build: Callable[[StoredWeights], bytes]
) -> Engine:
    weights = StoredWeights(embedded_folder(model))
    made_of = {"version": _VERSION, "weights": weights.digest(), **made_of}
    key = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:16]
    path = cache_folder() / "engines" / f"{kind}-{made_of['precision']}-{key}.onnx"
    if path.exists():
        return path
    graph = build(weights)
    try:
        _write(path, graph)
    except OSError as error:
        _warn_unkept(path.parent, error.strerror or str(error))
        return graph
    return path


@cache
def _warn_unkept(folder: Path, reason: str) -> None:
    """Say once what keeps engines from being kept."""
    _log.warning(
        "engines are built anew at every start, since they cannot be kept in %s (%s); make room or name another folder "
        "in %s, for a read-only system one that `modelsat cache build --to FOLDER` filled.",
        folder,
        reason,
        VARIABLE,
    )


def _write(path: Path, content: bytes) -> None:
    """Write a file as a whole or not at all, whoever else writes it meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(temporary).replace(path)
    except OSError:
        with suppress(OSError):
            Path(temporary).unlink()
        raise
