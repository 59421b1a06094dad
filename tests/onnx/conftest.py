"""Tiny models in the place of the embedded ones."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from modelsat.network.backbone import Backbone, load_backbone
from modelsat.scoring.weights import EMBEDDED_BACKBONE, EMBEDDED_ENCODER, WEIGHTS_PACKAGE

from ..network.conftest import save_backbone, save_encoder


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """Folders of two tiny models.

    Attributes:
        backbone: Of a Llama-type decoder.
        encoder: Of a BERT-type encoder.
    """

    backbone: Path
    encoder: Path

    def in_torch(self, layers: int | None = None) -> Backbone:
        """The backbone in torch."""
        return load_backbone(str(self.backbone), layers=layers).eval()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages that holds the tiny models."""
    folder = tmp_path_factory.mktemp("site")
    save_backbone(folder / WEIGHTS_PACKAGE / EMBEDDED_BACKBONE, "llama")
    save_encoder(folder / WEIGHTS_PACKAGE / EMBEDDED_ENCODER)
    return folder


@pytest.fixture
def embedded(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Embedded]:
    """The tiny models are the embedded ones, and the cache is empty."""
    monkeypatch.setenv("MODELSAT_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(site)
    folder = site / WEIGHTS_PACKAGE
    yield Embedded(backbone=folder / EMBEDDED_BACKBONE, encoder=folder / EMBEDDED_ENCODER)
