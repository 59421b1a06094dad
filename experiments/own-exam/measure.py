"""Subjects of the shipped exam, taken out of every card and brought back as an exam of one's own: does it speak?

Real candidates did about as well there as their level lets expect. "Niche" candidates did not: each has the card of one
model, and the results and outcomes in the subject of another.

    python experiments/own-exam/measure.py DATA --readings readings.npz
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

import modelsat.scoring.other_exams as module
from modelsat import ModelZoo, Router
from modelsat.capability.aptitude import AptitudeTest
from modelsat.scoring.numeric_encoder import encode_profiles
from modelsat.records.splits import question_of, split_of
from modelsat.records.store import OutcomeDirectory
from modelsat.records.table import OutcomeTable
from modelsat.types import CapabilityProfile

PER_SUBJECT, STEP, NICHES, LONGEST = 24, 3, 25, 700

parser = argparse.ArgumentParser()
parser.add_argument("data", type=Path)
parser.add_argument("--readings", type=Path, required=True, help="kept between runs; reading is all of the cost")
options = parser.parse_args()

scorer, exam, zoo = Router.load().scorer, AptitudeTest.shipped(), ModelZoo.shipped()
statistics, head, width = scorer.statistics, scorer.head, scorer.encoder.pooled_size
directory = OutcomeDirectory.load(options.data)
table = OutcomeTable.from_records(directory.instructions, directory.outcomes, dataset="mmlu_pro")
usable = ~exam.overlaps(table.instructions) & np.array(
    [split_of(row.text) == "validation" and len(row.text) < LONGEST for row in table.instructions]
)
subjects = sorted({row.category for row in table.instructions})
rng = np.random.default_rng(0)
drawn = [
    rng.permutation([at for at, row in enumerate(table.instructions) if usable[at] and row.category == name])
    for name in subjects
]
# A few of every subject at a time: whatever is read is balanced.
rows = np.concatenate([part[at : at + STEP] for at in range(0, PER_SUBJECT, STEP) for part in drawn]).astype(int)
readings = np.load(options.readings)["readings"] if options.readings.exists() else None
if readings is None:
    readings = scorer.encode([table.instructions[at] for at in rows])
    np.savez(options.readings, readings=readings)
table = table.select(rows[: len(readings)])
text = readings[:, width:]
category = np.array([row.category for row in table.instructions])
names = [name for name in table.candidates if name in zoo]
solved = table.columns(names).scores
profiles = [zoo.profile(name) for name in names]
questions = {row.id: question_of(row.text) for row in directory.instructions}
rng = np.random.default_rng(1)
niches = [tuple(rng.choice(len(names), 2, replace=False)) for _ in range(NICHES)]
embedded: dict[str, np.ndarray] = {}


def embed(texts):
    for one in texts:
        if one not in embedded:
            embedded[one] = scorer.encoder.embed([one])[0]
    return np.stack([embedded[one] for one in texts])


def parted(profile, subject, with_examples):
    """A card without a subject, and the subject as an exam of its own."""
    inside = {task.name: task for task in exam.tasks if task.category == subject}
    own = tuple(
        replace(
            result,
            items=(),
            examples=tuple(questions[item.id] for item in inside[result.task].items[:5]) if with_examples else (),
        )
        for result in profile.results
        if result.task in inside
    )
    rest = tuple(result for result in profile.results if result.task not in inside)
    return replace(profile, results=rest), CapabilityProfile(
        candidate=profile.candidate, exam="own", exam_hash="own", results=own
    )


def auc(logits, scores):
    known = ~np.isnan(scores)
    return roc_auc_score(scores[known] > 0.5, logits[known])


def prepare(subject, with_examples):
    parts = [parted(profile, subject, with_examples) for profile in profiles]
    cards = [replace(rest, other_exams=(own,)) for rest, own in parts]
    cards += [replace(parts[one][0], other_exams=(parts[other][1],)) for one, other in niches]
    encoded = encode_profiles(cards, statistics)
    base, attended = head(readings, encoded.of_own_exam())
    left = np.array([exam.tasks[task].category != subject for task in statistics.task_of_item])
    scores = np.concatenate([solved, solved[:, [other for _, other in niches]]], axis=1)
    nearest = (text @ head.item_embeddings[left].T).max(1)
    return category == subject, scores, cards, encoded, base.mean(0), attended.mean(0), nearest


def show(title, prepared, *, heard=True, **constants):
    for name, value in constants.items():
        setattr(module, name, value)
    figures = []
    for inside, scores, cards, encoded, base, attended, nearest in prepared:
        near, says, share = nearest[:, None], attended, np.zeros_like(base)
        if heard:
            others = module.OtherExams.of(cards, encoded, statistics, embed).score(text, nearest)
            near, share = np.maximum(near, others.nearest), others.share
            says = (1 - share) * attended + share * others.gains
        logits, real = base + says * (near >= scorer.in_domain_threshold), len(names)
        figures.append(
            (
                auc(logits[inside, :real], scores[inside, :real]),
                auc(logits[inside, real:], scores[inside, real:]),
                auc(logits[inside], scores[inside]),
                auc(logits[~inside, :real], scores[~inside, :real]),
                share[inside].mean(),
                share[~inside].mean(),
            )
        )
    print(f"| {title} | " + " | ".join(f"{value:.3f}" for value in np.mean(figures, axis=0)) + " |", flush=True)


plain = [prepare(name, False) for name in subjects if (category == name).sum() >= 5 and any(task.category == name for task in exam.tasks)]
told = [prepare(name, True) for name in subjects if (category == name).sum() >= 5 and any(task.category == name for task in exam.tasks)]
print(f"{len(text)} instructions, {len(names)} candidates, {len(niches)} niche candidates, {len(told)} subjects")
print("| | AUC real | AUC niche | AUC both | AUC elsewhere | share | share elsewhere |\n|---|---|---|---|---|---|---|")
chosen = {"_SHARPNESS": 15.0, "_MARGIN": 0.1, "_PRIOR_SHOTS": 20.0}
show("subject taken out", told, heard=False)
show("keywords only", plain, **chosen)
show("**keywords and five examples**", told, **chosen)
for name, values in {"_SHARPNESS": (5.0, 8.0, 30.0), "_MARGIN": (0.0, 0.05, 0.15, 0.2), "_PRIOR_SHOTS": (0.0, 10.0, 40.0, 80.0)}.items():
    for value in values:
        show(f"{name.strip('_').lower().replace('_', ' ')} {value:g}", told, **{**chosen, name: value})
