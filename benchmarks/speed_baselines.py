"""Common ways to route, timed beside the shipped router: same machine, same texts.

Times only: the classifier has random weights, and the neighbours are random vectors. How well such routers choose is
measured by `modelsat bench --suite`, where they can be fitted.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from benchmarks.litellm_tiers import classify
from benchmarks.measure import Measure
from benchmarks.texts import BATCHES, CANDIDATES, TOKENS, instructions_of, zoo_of
from modelsat.bench.timing import interleaved
from modelsat.onnx.load import load_onnx_scorer
from modelsat.types import Instruction

# Outcomes that a kNN router searches, and how many of them it averages.
NEIGHBOURS = 5_000
NEAREST = 200
# Texts that LiteLLM's heuristic router is timed on: it is too quick to be timed on few.
_TIMED = 200
# Classes of RouteLLM's classifier: the strong model, the weak one, a tie.
_CLASSES = 3

Run = Callable[[list[Instruction]], object]


def measure_baselines(repeats: int, *, litellm: Path | None = None) -> list[Measure]:
    """Time the shipped router beside others at each batch size.

    Args:
        repeats: Of each timing; medians are reported.
        litellm: The interpreter of an environment with LiteLLM, whose heuristic router is timed as well.

    Raises:
        DataError: That interpreter has no LiteLLM.
    """
    scorer, profiles = load_onnx_scorer(), zoo_of(CANDIDATES)
    runs: dict[str, tuple[Run, str]] = {
        "Model-SAT": (
            lambda asked: scorer.score(asked, profiles),
            f"{TOKENS} tokens, {CANDIDATES} candidates",
        ),
        "BERT classifier": (
            _classifier(),
            "XLM-RoBERTa base as RouteLLM's BERT router, torch, fp32, random weights, two candidates",
        ),
        "kNN on sentence embeddings": (
            _neighbours(scorer.encoder.embed, scorer.encoder.text_size),
            f"all-MiniLM-L6-v2 in Model-SAT's engine, on half of the cores; {NEIGHBOURS:,} outcomes",
        ),
    }
    measures = []
    for batch in BATCHES:
        asked = instructions_of(batch, tokens=TOKENS)
        seconds = interleaved(
            [partial(run, asked) for run, _ in runs.values()],
            repeats=repeats if batch == 1 else min(repeats, 3),
        )
        for (name, (_, note)), taken in zip(runs.items(), seconds, strict=True):
            measures.append(
                Measure(name=f"{name}: p50, batch {batch}", value=1000 * taken, unit="ms", note=note)
                if batch == 1
                else Measure(
                    name=f"{name}: decisions, batch {batch}", value=batch / taken, unit="/s", better="higher"
                )
            )
    return [*measures, *([] if litellm is None else _heuristic(litellm))]


def _heuristic(python: Path) -> list[Measure]:
    found = classify(python, [asked.text for asked in instructions_of(_TIMED, tokens=TOKENS)])
    name, seconds = "LiteLLM's heuristic router", median(found.seconds)
    note = (
        f"complexity router of LiteLLM {found.version}, one core; four tiers, independent of the candidates"
    )
    return [
        Measure(name=f"{name}: p50, batch 1", value=1000 * seconds, unit="ms", note=note),
        Measure(name=f"{name}: decisions, one by one", value=1 / seconds, unit="/s", better="higher"),
    ]


def _classifier() -> Run:
    from transformers import XLMRobertaConfig, XLMRobertaForSequenceClassification

    # The sizes of the public checkpoint; transformers' defaults are those of the base model but for these.
    config: Any = XLMRobertaConfig(vocab_size=250_002, max_position_embeddings=514, type_vocab_size=1)
    config.num_labels = _CLASSES
    model: Any = XLMRobertaForSequenceClassification(config)
    model.eval()

    @torch.inference_mode()
    def run(asked: list[Instruction]) -> object:
        # Its tokenizer is not packaged: token ids are made up, and making them costs nothing.
        ids = torch.full((len(asked), TOKENS), 1_000)
        return model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.softmax(-1)

    return run


def _neighbours(embed: Callable[[list[str]], np.ndarray], width: int) -> Run:
    rng = np.random.default_rng(0)
    known = rng.normal(size=(NEIGHBOURS, width)).astype(np.float32)
    scores = rng.random((NEIGHBOURS, CANDIDATES), dtype=np.float32)

    def run(asked: list[Instruction]) -> object:
        near = embed([instruction.text for instruction in asked]) @ known.T
        nearest = np.argpartition(-near, NEAREST, axis=1)[:, :NEAREST]
        return scores[nearest].mean(1)

    return run
