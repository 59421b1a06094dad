"""One directory per tuned router: config.json and weights.safetensors, nothing pickled.

Everything read is checked: format version, backbone identity, shapes and ranges; an error names the file and the field.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, save_file

from modelsat.errors import CheckpointError, LayoutError
from modelsat.scoring.config import NetworkConfig
from modelsat.scoring.numeric_encoder import ExamStatistics
from modelsat.types import FloatArray
from modelsat.types.validation import describe_faults, validated

FORMAT = "modelsat-checkpoint/2"
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "weights.safetensors"


@validated(lambda values: "calibration")
class Calibration:
    """From a logit to a probability: sigmoid((logit + offset) / temperature). Fitted after tuning.

    Raises:
        DataError: The temperature is not above 0.
    """

    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    offset: Annotated[float, Field(allow_inf_nan=False)] = 0.0

    def probabilities(self, logits: FloatArray) -> FloatArray:
        """Calibrated Pr("Yes"), of the logits' shape."""
        scaled = np.clip((logits + self.offset) / self.temperature, -60.0, 60.0)
        return np.asarray(1.0 / (1.0 + np.exp(-scaled)), dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checkpoint:
    """A tuned router as data.

    Attributes:
        config: The network's parts.
        backbone_identity: Hash of the weights that the adapters belong to.
        statistics: Of the exam it was tuned with.
        calibration: Fitted on validation instructions and candidates.
        in_domain_threshold: Least cosine to the nearest exam item at which an instruction counts as in domain.
        head: Arrays of head or connector by name.
        adapters: Adapter arrays by name.
        embedding_projection: A student's map from pooled states to sentence embeddings ("weight", "bias"); else empty.
        margin: A student's: logits between its best two below which a cascade asks the teacher; else None.
        tuning: How it was tuned: command, seed, data; for people.
        folder: Where it was read from, for errors; a new one has none.
        digest: Short hash of its files, calibration included: equal for checkpoints that score alike.
    """

    config: NetworkConfig
    backbone_identity: str
    statistics: ExamStatistics
    calibration: Calibration
    in_domain_threshold: float
    head: Mapping[str, FloatArray]
    adapters: Mapping[str, FloatArray]
    embedding_projection: Mapping[str, FloatArray] = field(default_factory=dict)
    margin: float | None = None
    tuning: Mapping[str, Any] = field(default_factory=dict)
    folder: Path = Path()
    digest: str = ""


_FORMAT_1 = "modelsat-checkpoint/1"
_RENAMED = {"encoder": "capability_encoder", "familiarity": "in_domain_threshold"}
# A student's tensors of format 1 begin with the second.
_PROJECTION = ("embedding_projection.", "imitation.")

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)


class _ExamForm(BaseModel):
    model_config = _STRICT
    hash: str
    tasks: tuple[str, ...]
    shots: tuple[int, ...]
    level_mean: float
    level_deviation: float


class _ConfigFile(BaseModel):
    model_config = _STRICT
    format: str
    network: NetworkConfig
    backbone_identity: str
    exam: _ExamForm
    calibration: Calibration
    in_domain_threshold: float
    margin: float | None = None
    tuning: dict[str, Any] = {}


def shipped_folder() -> Path:
    """Folder of the checkpoint that comes with the package."""
    return Path(str(files("modelsat") / "assets" / "router"))


def save_checkpoint(checkpoint: Checkpoint, folder: Path) -> None:
    """Write a checkpoint, weights in half precision; these first, so that a folder with a config is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"head.{name}": halved(value) for name, value in checkpoint.head.items()}
    tensors |= {f"adapter.{name}": halved(value) for name, value in checkpoint.adapters.items()}
    tensors |= {
        f"embedding_projection.{name}": halved(value)
        for name, value in checkpoint.embedding_projection.items()
    }
    tensors["exam.difficulty"] = checkpoint.statistics.difficulty
    tensors["exam.bias"] = checkpoint.statistics.bias
    # safetensors stores memory as it lies: a transposed view must be laid out first.
    save_file({name: value.copy(order="C") for name, value in tensors.items()}, folder / WEIGHTS_FILE)
    statistics = checkpoint.statistics
    config = {
        "format": FORMAT,
        "network": asdict(checkpoint.config),
        "backbone_identity": checkpoint.backbone_identity,
        "exam": {
            "hash": statistics.exam_hash,
            "tasks": statistics.tasks,
            "shots": statistics.shots,
            "level_mean": statistics.level_mean,
            "level_deviation": statistics.level_deviation,
        },
        "calibration": asdict(checkpoint.calibration),
        "in_domain_threshold": checkpoint.in_domain_threshold,
        "margin": checkpoint.margin,
        "tuning": dict(checkpoint.tuning),
    }
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", "utf-8")


def halved(value: FloatArray) -> NDArray[np.floating]:
    """An array in half precision, where that keeps every entry to a thousandth; else as it is."""
    with np.errstate(over="ignore"):
        half = value.astype(np.float16)
    return half if np.allclose(half, value, rtol=1e-3, atol=1e-6) else value


def load_checkpoint(folder: Path | None = None) -> Checkpoint:
    """Read and check a checkpoint; by default the one that comes with the package.

    Raises:
        CheckpointError: A file is missing, damaged or of another format, or a field is out of range.
    """
    folder = folder or shipped_folder()
    path = folder / CONFIG_FILE
    content = _read(path, missing="not found; a checkpoint is a folder that `modelsat tune` wrote.")
    form = _parse_config(path, content)
    weights = _read(folder / WEIGHTS_FILE, missing="not found; the checkpoint is incomplete.")
    tensors = _parse_weights(folder / WEIGHTS_FILE, weights)
    items = sum(form.exam.shots)
    for name in ("exam.difficulty", "exam.bias"):
        if name not in tensors or tuple(tensors[name].shape) != (items,):
            found = list(tensors[name].shape) if name in tensors else "missing"
            raise CheckpointError(f"{folder / WEIGHTS_FILE}: tensor '{name}' is {found}; expected [{items}].")
    return Checkpoint(
        config=form.network,
        backbone_identity=form.backbone_identity,
        statistics=ExamStatistics(
            exam_hash=form.exam.hash,
            tasks=form.exam.tasks,
            shots=form.exam.shots,
            difficulty=tensors.pop("exam.difficulty").astype(np.float32),
            bias=tensors.pop("exam.bias").astype(np.float32),
            level_mean=form.exam.level_mean,
            level_deviation=form.exam.level_deviation,
        ),
        calibration=form.calibration,
        in_domain_threshold=form.in_domain_threshold,
        head=_with_prefix(tensors, "head."),
        adapters=_with_prefix(tensors, "adapter."),
        embedding_projection={
            k: v for prefix in _PROJECTION for k, v in _with_prefix(tensors, prefix).items()
        },
        margin=form.margin,
        tuning=form.tuning,
        folder=folder,
        digest=hashlib.sha256(content + weights).hexdigest()[:16],
    )


def embedding_projection_of(checkpoint: Checkpoint) -> tuple[FloatArray, FloatArray]:
    """Weight [text, pooled] and bias [text] of a student's projection to sentence embeddings.

    Raises:
        CheckpointError: One is missing, or their shapes do not fit each other.
    """
    weight, bias = checkpoint.embedding_projection.get("weight"), checkpoint.embedding_projection.get("bias")
    if weight is None or bias is None or weight.ndim != 2 or bias.shape != weight.shape[:1]:
        raise CheckpointError(
            f"{checkpoint.folder / WEIGHTS_FILE}: a student needs tensors 'embedding_projection.weight' "
            "[text, pooled] and 'embedding_projection.bias' [text]."
        )
    return weight, bias


def _read(path: Path, *, missing: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise CheckpointError(f"{path}: {missing}") from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from None


def _parse_config(path: Path, content: bytes) -> _ConfigFile:
    try:
        raw = json.loads(content.decode("utf-8-sig"))
    except ValueError as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from None
    version = raw.get("format") if isinstance(raw, dict) else None
    if version == _FORMAT_1:
        raw = _from_format_1(raw)
    elif version != FORMAT:
        raise CheckpointError(f"{path}: field 'format' is {version!r}; this version reads {FORMAT!r}.")
    try:
        form = _ConfigFile.model_validate(raw)
    except ValidationError as error:
        raise CheckpointError(f"{path}: {describe_faults(error, raw)}") from None
    except LayoutError as error:
        raise CheckpointError(f"{path}: field 'network': {error}") from None
    if len(form.exam.shots) != len(form.exam.tasks) or min(form.exam.shots, default=0) < 1:
        raise CheckpointError(f"{path}: field 'exam.shots': expected one positive number per task.")
    if not form.exam.level_deviation > 0:
        raise CheckpointError(
            f"{path}: field 'exam.level_deviation' is {form.exam.level_deviation}; expected a positive number."
        )
    return form


def _from_format_1(raw: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a checkpoint of 0.3, under today's names; faults are left for the schema to name."""
    network = raw.get("network")
    if isinstance(network, dict):
        network = {_RENAMED.get(name, name): value for name, value in network.items()}
    top = {_RENAMED.get(name, name): value for name, value in raw.items()}
    return {**top, "network": network}


def _parse_weights(path: Path, content: bytes) -> dict[str, FloatArray]:
    try:
        tensors: dict[str, FloatArray] = load(content)
    except SafetensorError as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from None
    for name, value in tensors.items():
        if not np.isfinite(value).all():
            raise CheckpointError(f"{path}: tensor '{name}' holds values that are not finite.")
    return tensors


def _with_prefix(tensors: Mapping[str, FloatArray], prefix: str) -> dict[str, FloatArray]:
    return {
        name.removeprefix(prefix): value.astype(np.float32)
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
