"""The embedded pretrained models: where they are, how their weights are stored, and the identity of weights.

`hatch_build.py` puts the models beside the package when it is installed, each as a folder of the kind that transformers
writes: config.json, tokenizer.json and model.safetensors. In a wheel, matrices are stored in 4 or 8 bits with scales.
"""

import hashlib
import importlib.util
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from modelsat.errors import CheckpointError

EMBEDDED_BACKBONE = "smollm2-135m-instruct"
EMBEDDED_ENCODER = "all-minilm-l6-v2"
WEIGHTS_FILE, TOKENIZER_FILE = "model.safetensors", "tokenizer.json"
# Beside the package, not within it: a checkout that is installed in editable mode has them too.
WEIGHTS_PACKAGE = "modelsat_weights"

_SAMPLED_VALUES = 65_536
_SCALES, _OFFSETS, _BYTES, _NIBBLES = ".scales", ".offsets", ".bytes", ".nibbles"
# In the file's metadata: identities of the weights before they were rounded, by number of layers.
_IDENTITIES = "identities"

Array = NDArray[np.float32]


def embedded_folder(name: str) -> Path:
    """Folder of an embedded model.

    Raises:
        CheckpointError: It is not installed.
    """
    spec = importlib.util.find_spec(WEIGHTS_PACKAGE)
    folder = Path(next(iter(spec.submodule_search_locations or ()), "")) / name if spec else Path()
    if spec is None or not (folder / WEIGHTS_FILE).exists():
        raise CheckpointError(
            f"the embedded model {name} is missing from this installation: install Model-SAT from its wheel, or in "
            "a checkout run  make install  or  pip install -e ."
        )
    return folder


def model_folder(name: str) -> str:
    """Folder of an embedded model; a hub name or path as it is."""
    return str(embedded_folder(name)) if name in (EMBEDDED_BACKBONE, EMBEDDED_ENCODER) else name


class StoredWeights(Mapping[str, Array]):
    """The arrays of a model.safetensors in fp32, each restored when it is read.

    An array `x` is stored as it is, or in blocks along its rows:

        x.scales   [bytes, row, block] floats of 2 or 4 bytes, one plane a byte: similar bytes pack better together
        x.offsets  likewise; left out where blocks are symmetric
        x.bytes    [column, row] signed 8 bits, or
        x.nibbles  [row, block, half a block] two unsigned values of 4 bits: the block's first half, and its second

    and is values * scale + offset.

    Args:
        folder: Of the model.

    Raises:
        CheckpointError: The file is missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        from safetensors import SafetensorError, safe_open

        self.path = folder / WEIGHTS_FILE
        try:
            self._file = cast(Any, safe_open(self.path, framework="numpy"))
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{self.path}: cannot be read: {error}") from None
        self._stored: frozenset[str] = frozenset(self._file.keys())
        suffixes = (_SCALES, _OFFSETS, _BYTES, _NIBBLES)
        plain = {name for name in self._stored if not name.endswith(suffixes)}
        self._names = plain | {name.removesuffix(_SCALES) for name in self._stored if name.endswith(_SCALES)}

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._names))

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, name: str) -> Array:
        if name not in self._names:
            raise KeyError(name)
        if name in self._stored:
            return np.asarray(self._file.get_tensor(name)).astype(np.float32)
        scales = _from_planes(self._file.get_tensor(name + _SCALES))
        if name + _NIBBLES in self._stored:
            packed = self._file.get_tensor(name + _NIBBLES)
            values = np.concatenate([packed & 15, packed >> 4], axis=-1)
        else:
            values = self._file.get_tensor(name + _BYTES).T.reshape(*scales.shape, -1)
        restored = values.astype(np.float32) * scales[..., None]
        if name + _OFFSETS in self._stored:
            restored += _from_planes(self._file.get_tensor(name + _OFFSETS))[..., None]
        return restored.reshape(len(scales), -1)

    def identity(self, layers: int) -> str | None:
        """Identity of the first layers before they were rounded; None where what is stored is exact."""
        identities: dict[str, str] = json.loads((self._file.metadata() or {}).get(_IDENTITIES, "{}"))
        return identities.get(str(layers))

    def digest(self) -> str:
        """Short hash of the file's size and ends: enough to tell releases apart, and cheap."""
        size = self.path.stat().st_size
        with self.path.open("rb") as file:
            head = file.read(1 << 20)
            file.seek(max(0, size - (1 << 20)))
            return hashlib.sha256(str(size).encode() + head + file.read()).hexdigest()[:12]


def weights_identity(named_arrays: Iterable[tuple[str, Array]]) -> str:
    """Hash that tells one set of weights from another; independent of their order.

    Args:
        named_arrays: Weights by name.

    Returns:
        64 hexadecimal digits.
    """
    return joint_identity(array_digest(name, array) for name, array in named_arrays)


def array_digest(name: str, array: Array) -> str:
    """Hash of one array's name, shape and up to 65,536 evenly spaced values."""
    flat = array.reshape(-1)
    step = max(1, flat.size // _SAMPLED_VALUES)
    digest = hashlib.sha256(json.dumps([name, list(array.shape)]).encode())
    digest.update(flat[::step].astype(np.float32).tobytes())
    return digest.hexdigest()


def joint_identity(digests: Iterable[str]) -> str:
    """The identity of weights from the digests of their arrays."""
    return hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()


def _from_planes(planes: NDArray[np.uint8]) -> Array:
    """[bytes, row, block] -> [row, block] floats."""
    kind = {2: np.float16, 4: np.float32}[len(planes)]
    return np.moveaxis(planes, 0, -1).copy().view(kind)[..., 0].astype(np.float32)
