"""How many layers and tokens to read, and which end of a long instruction: quality against cost, by cross-validation.

    python experiments/heads/depth.py DATA

States of the untuned backbone are read once for each token budget and cut, every depth in the same pass, and the shipped
router's head is tuned on them as in `measure.py`. "ms" is one instruction by the engine, the sentence encoder beside the
backbone, mean over 100: in 8 bits, or in fp32 where the processor has no VNNI. Which end is kept does not change it.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from cross_validation import TITLES, CrossValidation, print_row

from modelsat.onnx.load import load_onnx_scorer
from modelsat.network.backbone import Backbone, causal_visibility, load_backbone, pad
from modelsat.scoring.checkpoint import load_checkpoint, shipped_folder
from modelsat.network.exam_network import pool
from modelsat.scoring.tokens import clip_text
from modelsat.scoring.weights import EMBEDDED_BACKBONE
from modelsat.tuning.precision import backbone_precision, bf16_device

LAYERS, TOKENS, HEAD = 18, 192, 0.5
TIMED, BATCH = 100, 32
# Tokens before a text is cut at all: the longest instruction has fewer.
LONGEST = 8192
# Layers, tokens, and the share of the tokens that comes from the beginning; the first is what ships.
SETTINGS = (
    (LAYERS, TOKENS, HEAD),
    *((layers, TOKENS, HEAD) for layers in (10, 14, 16, 20, 22, 30)),
    *((LAYERS, tokens, HEAD) for tokens in (64, 128, 256)),
    *((LAYERS, 64, head) for head in (0.0, 1.0)),
)


def cut(ids: list[int], budget: int, head: float) -> list[int]:
    """First and last tokens of what is over the budget."""
    if len(ids) <= budget:
        return ids
    first = budget - round(budget * (1 - head))
    return ids[:first] + ids[len(ids) - (budget - first) :]


@torch.no_grad()
def states(backbone: Backbone, texts: list[str], tokens: int, head: float, depths: list[int]):
    """{depth: [instruction, 2 hidden]} pooled states after so many layers."""
    sequences = [
        cut(backbone.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True), tokens, head)
        for text in (clip_text(text, LONGEST) for text in texts)
    ]
    pooled = {depth: torch.zeros(len(texts), 2 * backbone.hidden_size) for depth in depths}
    order = sorted(range(len(texts)), key=lambda row: len(sequences[row]))
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        batch = pad([sequences[row] for row in rows])
        positions = torch.arange(batch.ids.shape[1])[None].expand(len(rows), -1)
        visible = causal_visibility(batch.present)
        with backbone_precision():
            hidden, before = backbone.embed(batch.ids), 0
            for depth in depths:
                hidden = backbone.run(hidden, positions=positions, visible=visible, start=before, stop=depth)
                before = depth
                pooled[depth][rows] = pool(backbone.norm(hidden).float(), batch.lengths)
    return pooled


def milliseconds(layers: int, tokens: int, texts: list[str]) -> float:
    """Time of one instruction, by the engine of an untuned router of that depth."""
    shipped = load_checkpoint(shipped_folder())
    checkpoint = replace(
        shipped,
        config=replace(shipped.config, layers=layers),
        backbone_identity=load_backbone(EMBEDDED_BACKBONE, layers=layers).identity(),
        adapters={},
        digest=f"untuned-{layers}",
    )
    reader = load_onnx_scorer(checkpoint, tokens=tokens).encoder
    reader.encode(texts[:5])
    started = time.perf_counter()
    for text in texts:
        reader.encode([text])
    return 1000 * (time.perf_counter() - started) / len(texts)


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("data", type=Path)
trial = CrossValidation(parser.parse_args().data)
texts = [row.text for row in trial.instructions]
timed = [texts[row] for row in np.random.default_rng(0).permutation(len(texts))[:TIMED]]
backbone = load_backbone(EMBEDDED_BACKBONE)
if bf16_device():
    backbone.to(torch.bfloat16)
depths_of: dict[tuple[int, float], list[int]] = {}
for layers, tokens, head in SETTINGS:
    depths_of.setdefault((tokens, head), []).append(layers)

print()
print_row("layers", "tokens", "from the beginning", "ms", *TITLES)
print("|---" * (len(TITLES) + 4) + "|")
for (tokens, head), depths in depths_of.items():
    read = states(backbone, texts, tokens, head, sorted(depths))
    for layers in depths:
        print_row(
            f"{layers}",
            f"{tokens}",
            f"{head:.0%}",
            f"{milliseconds(layers, tokens, timed):.0f}",
            *trial.cells(trial.judge(read[layers])),
        )
