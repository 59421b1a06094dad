"""Pretrained models for torch: embedded, from a local folder, or from the hub."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modelsat.errors import CheckpointError, MissingExtraError
from modelsat.scoring.weights import StoredWeights, model_folder


def require_torch() -> None:
    """Check that torch is installed.

    Raises:
        MissingExtraError: The extra `torch` is not installed.
    """
    if any(importlib.util.find_spec(name) is None for name in ("torch", "transformers")):
        raise MissingExtraError("torch", "what runs or tunes networks in torch")


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


def load_pretrained(auto: Any, name: str, *, kind: str, layers: int | None = None) -> tuple[Any, Any]:  # noqa: ANN401
    """Load a model in fp32, and its tokenizer.

    Args:
        auto: The class of transformers that loads such models.
        name: An embedded model, a local folder, or a hub name.
        kind: What errors call it.
        layers: Layers to load; None loads all.

    Raises:
        CheckpointError: It cannot be found or read.
    """
    import torch
    from transformers import AutoConfig, AutoTokenizer

    folder = model_folder(name)
    try:
        config = AutoConfig.from_pretrained(folder)
        if layers is not None and layers < config.num_hidden_layers:
            # Layers that are cut off are not even read.
            config.num_hidden_layers = layers
            if getattr(config, "layer_types", None):
                config.layer_types = config.layer_types[:layers]
        with quiet_loading():
            if folder == name:
                model = auto.from_pretrained(folder, config=config, dtype=torch.float32)
            else:
                model = _with_stored_weights(auto.from_config(config, dtype=torch.float32), Path(folder))
        return model, AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"{kind} {name!r} cannot be loaded: {error}. Give a hub name, a local folder, or leave it out."
        ) from error


def _with_stored_weights(model: Any, folder: Path) -> Any:  # noqa: ANN401
    """Give a model the weights of an embedded one, which may be stored in fewer bits than transformers reads."""
    import torch

    stored = StoredWeights(folder)
    wanted = model.state_dict()
    model.load_state_dict(
        {name: torch.from_numpy(stored[name]) for name in stored if name in wanted}, strict=False
    )
    model.tie_weights()
    return model.eval()
