"""How long answers are, by kind of task: the defaults of `routing.pricing`, from a folder of outcomes.

    python experiments/answer-length/measure.py DATA
"""

import sys
from pathlib import Path

import pandas as pd

FEWEST = 50
# Protocols that ask for a letter alone, and tasks with images, say nothing of an answer in words.
SHORTEST = 10
LEFT_OUT = ("mathvista",)


def main(folder: Path) -> None:
    """Print, per kind, the median candidate's mean answer on each data set, and the mean over data sets."""
    instructions = pd.read_parquet(folder / "instructions.parquet")[["instruction_id", "dataset", "kind"]]
    outcomes = pd.read_parquet(folder / "outcomes.parquet").dropna(subset="output_tokens")
    joined = outcomes.merge(instructions, on="instruction_id")
    means = joined.groupby(["kind", "dataset", "model"]).output_tokens.agg(["mean", "size"])
    medians = means[means["size"] >= FEWEST]["mean"].groupby(["kind", "dataset"]).agg(["median", "size"])
    told = medians[(medians["median"] >= SHORTEST) & ~medians.index.isin(LEFT_OUT, level="dataset")]
    print(f"{'kind':16}{'data set':16}{'candidates':>10}{'tokens':>8}")
    for (kind, dataset), row in told.iterrows():
        print(f"{kind:16}{dataset:16}{row['size']:>10.0f}{row['median']:>8.0f}")
    print()
    for kind, tokens in told["median"].groupby("kind").mean().items():
        print(f"{kind:16}{'mean':16}{tokens:>18.0f}")


main(Path(sys.argv[1]))
