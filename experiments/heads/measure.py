"""Which settings of the head choose best: cross-validation on states of the untuned backbone, in a minute a setting.

Four folds over tuning and validation instructions; each setting tunes the head on three of them, on seen candidates,
and judges the fourth for these and for the three validation candidates. Test instructions and candidates are not read.

    python experiments/heads/measure.py DATA

The first run reads all instructions once and keeps what it read in the user's cache.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy.stats import rankdata

from modelsat.bench.metrics import auc, within_candidate_auc
from modelsat.capability.aptitude import AptitudeTest
from modelsat.network.attention import CardTensors
from modelsat.network.backbone import load_backbone
from modelsat.network.cards import encode_profiles, measure_exam
from modelsat.network.config import AttentionConfig, NetworkConfig
from modelsat.network.encoder import load_encoder
from modelsat.network.sat import ExamAttentionNetwork, card_tensors
from modelsat.network.weights import cache_folder
from modelsat.records.splits import read_splits
from modelsat.records.store import OutcomeDirectory
from modelsat.records.table import OutcomeTable
from modelsat.tuning.calibrate import log_loss
from modelsat.tuning.dataset import read_tuning_data
from modelsat.tuning.objectives import combined_loss
from modelsat.tuning.precision import bf16_device
from modelsat.tuning.recipe import Recipe
from modelsat.tuning.samples import draw_candidates
from modelsat.tuning.store import InstructionStore
from modelsat.tuning.trainer import learning_rate_share

FOLDS, BATCH, RATE = 4, 128, 2e-3
# Candidates whose accuracies differ by less are alike, and which of them is right says nothing of difficulty.
ALIKE = 0.12
PSEUDO_ZOOS, POOL, MEMBERS = 40, 8, 5
NEIGHBOURS = 200

BEFORE = {"hidden": 128, "input_dropout": 0.2, "hidden_dropout": 0.3}
WIDE = {"hidden": 256, "input_dropout": 0.4, "hidden_dropout": 0.5}
# Name, seed, epochs, attention, recipe; the first is what the others are compared with.
SETTINGS = (
    ("0.1.0: width 128, dropout .2/.3, 3 epochs", 0, 3, BEFORE, {}),
    ("... seed 1", 1, 3, BEFORE, {}),
    ("... seed 2", 2, 3, BEFORE, {}),
    ("... one head", 0, 3, {**BEFORE, "heads": 1}, {}),
    ("... no ranking term", 0, 3, BEFORE, {"ranking_weight": 0.0}),
    ("... ranking weight 1", 0, 3, BEFORE, {"ranking_weight": 1.0}),
    ("... no virtual candidates", 0, 3, BEFORE, {"virtual": 0.0}),
    ("... width 256", 0, 3, {**BEFORE, "hidden": 256}, {}),
    ("... 8 epochs", 0, 8, BEFORE, {}),
    ("... 8 epochs, dropout .4/.5", 0, 8, {**WIDE, "hidden": 128}, {}),
    ("**0.2.0: width 256, dropout .4/.5, 8 epochs**", 0, 8, WIDE, {}),
    ("... no ranking term", 0, 8, WIDE, {"ranking_weight": 0.0}),
    ("... sharpness 3", 0, 8, {**WIDE, "sharpness": 3.0}, {}),
)

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("data", type=Path)
options = parser.parse_args()

directory, splits = OutcomeDirectory.load(options.data), read_splits(options.data / "splits.json")
exam = AptitudeTest.shipped()
data = read_tuning_data(directory, exam, splits=splits, rng=np.random.default_rng(0))
base = NetworkConfig()
backbone, encoder = load_backbone(base.backbone, layers=base.layers), load_encoder(base.text_encoder)
folder = cache_folder() / "tuning" / f"{backbone.identity()[:16]}-{base.tokens}"
if bf16_device():
    backbone.to(torch.bfloat16)
stores = [
    InstructionStore(
        part.texts(),
        part.stems(),
        backbone=backbone,
        encoder=encoder,
        tokens=base.tokens,
        frozen_layers=0,
        folder=folder,
        progress=lambda *done: None,
    )
    for part in (data.tuning, data.validation)
]
pooled = torch.cat([store.untuned_pooled() for store in stores])
text = torch.cat([store.embeddings(np.arange(len(store.lengths)), stem=False) for store in stores])
items = stores[0].embed(encoder, data.item_texts)

instructions = (*data.tuning.instructions, *data.validation.instructions)
names = [profile.candidate for profile in data.validation.profiles]
table = OutcomeTable.from_records(
    directory.instructions, directory.outcomes, dataset=(exam.dataset,)
).columns(names)
place = {row.id: at for at, row in enumerate(table.instructions)}
scores = table.scores[[place[row.id] for row in instructions]]
known, count, seen = ~np.isnan(scores), len(instructions), len(data.tuning.profiles)
level = np.nanmean(scores, 0)
statistics = measure_exam(exam, data.tuning.profiles)
cards = encode_profiles(data.tuning.profiles, statistics)
every_card = encode_profiles(data.validation.profiles, statistics)
of_task = [task.category or task.name for task in exam.tasks]
categories = {name: at for at, name in enumerate(sorted({*of_task, *(row.category for row in instructions)}))}
item_category = np.array(
    [categories[name] for name, task in zip(of_task, exam.tasks, strict=True) for _ in task.items]
)
category = np.array([categories[row.category] for row in instructions])
fold = np.random.default_rng(7).permutation(count) % FOLDS
zoos = [[names.index(name) for name in members if name in names] for members in splits.zoos.values()]
rng, by_level = np.random.default_rng(3), np.argsort(level)
pseudo = []
for _ in range(PSEUDO_ZOOS):
    start = rng.integers(0, len(names) - POOL + 1)
    pseudo.append(np.sort(rng.choice(by_level[start : start + POOL], MEMBERS, replace=False)).tolist())


def tuned(part, seed, epochs, attention, changes):
    """The logits of one fold, from a head tuned on the others."""
    torch.manual_seed(seed)
    recipe = replace(Recipe(), **changes)
    network = ExamAttentionNetwork(
        hidden=pooled.shape[1] // 2,
        item_embeddings=items,
        config=replace(base, attention=replace(AttentionConfig(), **attention)),
    )
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=recipe.weight_decay)
    learnt = np.flatnonzero(fold != part)
    per_epoch = len(learnt) // BATCH
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: learning_rate_share(step, per_epoch * epochs, warmup=recipe.warmup)
    )
    for epoch in range(epochs):
        order = np.random.default_rng([seed, epoch]).permutation(learnt)
        for at in range(per_epoch):
            rows, rng = order[at * BATCH : (at + 1) * BATCH], np.random.default_rng([seed, epoch, at])
            drawn = draw_candidates(
                cards, statistics, item_category, categories=len(categories), virtual=recipe.virtual, rng=rng
            )
            tensors = CardTensors(
                levels=torch.from_numpy(drawn.cards.levels),
                residuals=torch.from_numpy(drawn.cards.residuals),
                weights=torch.from_numpy(drawn.cards.weights),
                keys=network.keys(),
            )
            happened = drawn.scores(scores[rows, :seen].astype(np.float32), category[rows])
            said, attended, _ = network(pooled[rows], text[rows], tensors)
            loss, _ = combined_loss(said + attended, happened, drawn.cards.levels, recipe, rng)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), recipe.clip)
            optimiser.step()
            schedule.step()
    network.eval()
    judged = np.flatnonzero(fold == part)
    with torch.no_grad():
        said, attended, _ = network(pooled[judged], text[judged], card_tensors(every_card, network))
    return judged, (said + attended).mean(0).numpy()


def neighbours():
    """kNN on sentence embeddings, fitted on the outcomes of all candidates, those held out of tuning too."""
    logits = np.zeros(scores.shape, dtype=np.float32)
    for part in range(FOLDS):
        judged, learnt = np.flatnonzero(fold == part), np.flatnonzero(fold != part)
        near = (text[judged] @ text[learnt].T).numpy()
        share = np.nanmean(scores[learnt][np.argpartition(-near, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]], axis=1)
        share = np.clip(share, 0.01, 0.99)
        logits[judged] = np.log(share / (1 - share))
    return logits


def who(logits, columns):
    """AUC of differences, over pairs of like candidates of which one solved the instruction."""
    found = []
    for at, first in enumerate(columns):
        for second in columns[at + 1 :]:
            if abs(level[first] - level[second]) < ALIKE:
                rows = known[:, first] & known[:, second] & (scores[:, first] != scores[:, second])
                won = scores[rows, first] > scores[rows, second]
                ranks = rankdata(logits[rows, first] - logits[rows, second])
                found.append((ranks[won].mean() - (won.sum() + 1) / 2) / (~won).sum())
    return np.mean(found)


def gains(logits, groups):
    """[instruction] points over the best single candidate, mean over zoos."""
    each = []
    for members in groups:
        chosen = np.array(members)[logits[:, members].argmax(1)]
        best = members[int(np.argmax(level[members]))]
        each.append(np.nan_to_num(scores[np.arange(count), chosen] - scores[:, best]))
    return 100 * np.mean(each, axis=0)


def with_error(values):
    return f"{values.mean():+.2f} ± {values.std() / count**0.5:.2f}"


print(
    "\n| setting | AUC | within | who | log loss | gain, zoos | gain, pseudo-zoos | ahead of the first | seconds |"
)
print("|---|---|---|---|---|---|---|---|---|")
first = None
everyone, own = list(range(len(names))), list(range(seen))
for name, *setting in (*SETTINGS, ("kNN 200, fitted on all candidates",)):
    started = time.monotonic()
    logits = np.zeros(scores.shape, dtype=np.float32)
    if setting:
        for part in range(FOLDS):
            judged, logits_there = tuned(part, *setting)
            logits[judged] = logits_there
    else:
        logits = neighbours()
    pseudo_gain = gains(logits, pseudo)
    first = pseudo_gain if first is None else first
    cells = (
        name,
        f"{auc(scores[:, own], logits[:, own]):.4f} / {auc(scores[:, seen:], logits[:, seen:]):.4f}",
        f"{within_candidate_auc(scores[:, own], logits[:, own]):.4f}",
        f"{who(logits, own):.4f} / {who(logits, everyone):.4f}",
        f"{log_loss(logits[:, own], scores[:, own]):.4f} / {log_loss(logits[:, seen:], scores[:, seen:]):.4f}",
        with_error(gains(logits, zoos)),
        with_error(pseudo_gain),
        with_error(pseudo_gain - first),
        f"{time.monotonic() - started:.0f}",
    )
    print(f"| {' | '.join(cells)} |", flush=True)
