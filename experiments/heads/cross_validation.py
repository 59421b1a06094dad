"""Cross-validation of exam attention on frozen states: what the scripts beside this file share.

Four folds over tuning and validation instructions; a head is tuned on three of them, on seen candidates, and judges the
fourth for these and for the three validation candidates. Test instructions and candidates are not read.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy.stats import rankdata

from modelsat.bench.metrics import auc, within_candidate_auc
from modelsat.capability.aptitude import AptitudeTest
from modelsat.network.attention import CardTensors
from modelsat.network.backbone import load_backbone
from modelsat.scoring.numeric_encoder import encode_profiles, measure_exam
from modelsat.scoring.config import AttentionConfig, NetworkConfig
from modelsat.network.encoder import load_encoder
from modelsat.network.exam_network import ExamAttentionNetwork, card_tensors
from modelsat.cache import cache_folder
from modelsat.records.splits import read_splits
from modelsat.records.store import OutcomeDirectory
from modelsat.records.table import OutcomeTable
from modelsat.tuning.calibrate import log_loss
from modelsat.tuning.dataset import read_tuning_data
from modelsat.tuning.objectives import combined_loss
from modelsat.tuning.precision import bf16_device
from modelsat.tuning.recipe import Recipe
from modelsat.tuning.samples import draw_candidates
from modelsat.tuning.store import InstructionStore, SentenceEmbeddings
from modelsat.tuning.trainer import learning_rate_share

FOLDS, BATCH, RATE = 4, 128, 2e-3
# Candidates whose accuracies differ by less are alike, and which of them is right says nothing of difficulty.
ALIKE = 0.12
PSEUDO_ZOOS, POOL, MEMBERS = 40, 8, 5
NEIGHBOURS = 200

TITLES = ("AUC", "within", "who", "log loss", "gain, zoos", "gain, pseudo-zoos", "ahead of the first")


class CrossValidation:
    """Instructions, outcomes and folds of a data folder; the first row that is judged is what others are compared with."""

    def __init__(self, folder: Path) -> None:
        directory, splits = OutcomeDirectory.load(folder), read_splits(folder / "splits.json")
        exam = AptitudeTest.shipped()
        data = read_tuning_data(directory, exam, splits=splits, rng=np.random.default_rng(0))
        self.base = NetworkConfig()
        self.data = data
        self.instructions = (*data.tuning.instructions, *data.validation.instructions)
        encoder = load_encoder(self.base.text_encoder)
        sentences = SentenceEmbeddings(encoder, cache_folder() / "tuning")
        self.text = sentences.get([row.text for row in self.instructions])
        self.items = sentences.get(data.item_texts)
        names = [profile.candidate for profile in data.validation.profiles]
        table = OutcomeTable.from_records(
            directory.instructions, directory.outcomes, dataset=(exam.dataset,)
        ).columns(names)
        place = {row.id: at for at, row in enumerate(table.instructions)}
        self.scores = table.scores[[place[row.id] for row in self.instructions]]
        self.known = ~np.isnan(self.scores)
        self.count, self.seen = len(self.instructions), len(data.tuning.profiles)
        self.level = np.nanmean(self.scores, 0)
        self.statistics = measure_exam(exam, data.tuning.profiles)
        self.cards = encode_profiles(data.tuning.profiles, self.statistics)
        self.every_card = encode_profiles(data.validation.profiles, self.statistics)
        of_task = [task.category or task.name for task in exam.tasks]
        categories = {
            name: at for at, name in enumerate(sorted({*of_task, *(row.category for row in self.instructions)}))
        }
        self.categories = len(categories)
        self.item_category = np.array(
            [categories[name] for name, task in zip(of_task, exam.tasks, strict=True) for _ in task.items]
        )
        self.category = np.array([categories[row.category] for row in self.instructions])
        self.fold = np.random.default_rng(7).permutation(self.count) % FOLDS
        self.zoos = [
            [names.index(name) for name in members if name in names] for members in splits.zoos.values()
        ]
        rng, by_level = np.random.default_rng(3), np.argsort(self.level)
        self.pseudo_zoos = []
        for _ in range(PSEUDO_ZOOS):
            start = rng.integers(0, len(names) - POOL + 1)
            self.pseudo_zoos.append(
                np.sort(rng.choice(by_level[start : start + POOL], MEMBERS, replace=False)).tolist()
            )
        self._first = None

    def untuned_states(self) -> torch.Tensor:
        """[instruction, 2 hidden] as stage 1 of tuning reads them, kept in the user's cache."""
        backbone, encoder = (
            load_backbone(self.base.backbone, layers=self.base.layers),
            load_encoder(self.base.text_encoder),
        )
        folder = cache_folder() / "tuning" / f"{backbone.identity()[:16]}-{self.base.tokens}"
        if bf16_device():
            backbone.to(torch.bfloat16)
        return torch.cat(
            [
                InstructionStore(
                    part.texts(),
                    part.stems(),
                    backbone=backbone,
                    encoder=encoder,
                    tokens=self.base.tokens,
                    frozen_layers=0,
                    folder=folder,
                    progress=lambda *done: None,
                ).untuned_pooled()
                for part in (self.data.tuning, self.data.validation)
            ]
        )

    def judge(self, pooled: torch.Tensor, *, seed: int = 0, epochs: int = 8, attention=(), recipe=()):
        """[instruction, candidate] logits, each from a head tuned on the other folds."""
        logits = np.zeros(self.scores.shape, dtype=np.float32)
        for part in range(FOLDS):
            learnt, judged = np.flatnonzero(self.fold != part), np.flatnonzero(self.fold == part)
            network = self._tune(
                pooled, learnt, seed=seed, epochs=epochs, attention=dict(attention), changes=dict(recipe)
            )
            with torch.no_grad():
                said, attended, _ = network(
                    pooled[judged], self.text[judged], card_tensors(self.every_card, network)
                )
            logits[judged] = (said + attended).mean(0).numpy()
        return logits

    def neighbours(self):
        """kNN on sentence embeddings, fitted on the outcomes of all candidates, those held out of tuning too."""
        logits = np.zeros(self.scores.shape, dtype=np.float32)
        for part in range(FOLDS):
            judged, learnt = np.flatnonzero(self.fold == part), np.flatnonzero(self.fold != part)
            near = (self.text[judged] @ self.text[learnt].T).numpy()
            share = np.nanmean(
                self.scores[learnt][np.argpartition(-near, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]], axis=1
            )
            share = np.clip(share, 0.01, 0.99)
            logits[judged] = np.log(share / (1 - share))
        return logits

    def cells(self, logits) -> list[str]:
        """One row of the table, under `TITLES`; seen / held-out candidates."""
        scores, seen = self.scores, self.seen
        own, everyone = list(range(seen)), list(range(scores.shape[1]))
        pseudo = self._gains(logits, self.pseudo_zoos)
        self._first = pseudo if self._first is None else self._first
        return [
            f"{auc(scores[:, own], logits[:, own]):.4f} / {auc(scores[:, seen:], logits[:, seen:]):.4f}",
            f"{within_candidate_auc(scores[:, own], logits[:, own]):.4f}",
            f"{self._who(logits, own):.4f} / {self._who(logits, everyone):.4f}",
            f"{log_loss(logits[:, own], scores[:, own]):.4f} / {log_loss(logits[:, seen:], scores[:, seen:]):.4f}",
            self._with_error(self._gains(logits, self.zoos)),
            self._with_error(pseudo),
            self._with_error(pseudo - self._first),
        ]

    def _tune(self, pooled, learnt, *, seed, epochs, attention, changes) -> ExamAttentionNetwork:
        torch.manual_seed(seed)
        recipe = replace(Recipe(), **changes)
        network = ExamAttentionNetwork(
            hidden=pooled.shape[1] // 2,
            item_embeddings=self.items,
            config=replace(self.base, attention=replace(AttentionConfig(), **attention)),
        )
        optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=recipe.weight_decay)
        per_epoch = len(learnt) // BATCH
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: learning_rate_share(step, per_epoch * epochs, warmup=recipe.warmup)
        )
        for epoch in range(epochs):
            order = np.random.default_rng([seed, epoch]).permutation(learnt)
            for at in range(per_epoch):
                rows, rng = order[at * BATCH : (at + 1) * BATCH], np.random.default_rng([seed, epoch, at])
                drawn = draw_candidates(
                    self.cards,
                    self.statistics,
                    self.item_category,
                    categories=self.categories,
                    mixup_ratio=recipe.mixup_ratio,
                    rng=rng,
                )
                tensors = CardTensors(
                    levels=torch.from_numpy(drawn.cards.levels),
                    residuals=torch.from_numpy(drawn.cards.residuals),
                    weights=torch.from_numpy(drawn.cards.weights),
                    keys=network.keys(),
                )
                happened = drawn.scores(
                    self.scores[rows, : self.seen].astype(np.float32), self.category[rows]
                )
                said, attended, _ = network(pooled[rows], self.text[rows], tensors)
                loss, _ = combined_loss(said + attended, happened, drawn.cards.levels, recipe, rng)
                optimiser.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(network.parameters(), recipe.clip)
                optimiser.step()
                schedule.step()
        return network.eval()

    def _who(self, logits, columns):
        """AUC of differences, over pairs of like candidates of which one solved the instruction."""
        scores, known, found = self.scores, self.known, []
        for at, first in enumerate(columns):
            for second in columns[at + 1 :]:
                if abs(self.level[first] - self.level[second]) < ALIKE:
                    rows = known[:, first] & known[:, second] & (scores[:, first] != scores[:, second])
                    won = scores[rows, first] > scores[rows, second]
                    ranks = rankdata(logits[rows, first] - logits[rows, second])
                    found.append((ranks[won].mean() - (won.sum() + 1) / 2) / (~won).sum())
        return np.mean(found)

    def _gains(self, logits, groups):
        """[instruction] points over the best single candidate, mean over zoos."""
        each = []
        for members in groups:
            chosen = np.array(members)[logits[:, members].argmax(1)]
            best = members[int(np.argmax(self.level[members]))]
            each.append(np.nan_to_num(self.scores[np.arange(self.count), chosen] - self.scores[:, best]))
        return 100 * np.mean(each, axis=0)

    def _with_error(self, values):
        return f"{values.mean():+.2f} ± {values.std() / self.count**0.5:.2f}"


def print_row(*cells: str) -> None:
    """One line of a Markdown table."""
    print(f"| {' | '.join(cells)} |", flush=True)
