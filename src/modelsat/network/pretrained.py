"""Pretrained weights for torch: the embedded backbone, a local folder, or a model from the hub."""

import importlib.util
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modelsat.errors import MissingExtraError
from modelsat.scoring.weights import EMBEDDED_BACKBONE, cache_folder, embedded_backbone_file, file_digest


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
