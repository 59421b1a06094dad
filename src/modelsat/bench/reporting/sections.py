"""What a report is made of, in the order in which it is read, with a line on how to read each part."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from modelsat.bench.reporting.findings import Finding, Verdict
from modelsat.bench.results import BenchmarkResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One subject of a report.

    Attributes:
        tables: Names of the tables that it shows; the first one names the section.
        heading: In words.
        reading: How to read it.
    """

    tables: tuple[str, ...]
    heading: str
    reading: str


SECTIONS: tuple[Section, ...] = (
    Section(
        tables=("zoos",),
        heading="Choosing within a zoo",
        reading="Every method routes the same instructions; accuracy is the mean score of the candidates it chose. "
        "Gain compares with the best single candidate, lead compares Model-SAT with the method. An interval"
        " that holds 0 decides nothing.",
    ),
    Section(
        tables=("choices",),
        heading="Who is chosen",
        reading="A router that always sends everything to one candidate shows as one dark column.",
    ),
    Section(
        tables=("ranking", "reliability"),
        heading="Is Pr(Yes) a probability?",
        reading="AUC: how often a solved pair ranks above a failed one; within-candidate AUC: the same for each "
        "candidate on its own, which asks whether the hard instructions are known. ECE: how far predicted "
        "and observed shares are apart.",
    ),
    Section(
        tables=("learning_curve",),
        heading="How much exam a new model needs",
        reading="The same router with cards from shorter exams, for candidates that tuning saw and for those it "
        "never saw.",
    ),
    Section(
        tables=("stream",),
        heading="Models that arrive",
        reading="The router was tuned on models and outcomes from before the first arrival and stays as it is; "
        "every new model only sits the exam. Intervals are of each accuracy, not of the difference between "
        "two.",
    ),
    Section(
        tables=("coverage",),
        heading="What small models can do together",
        reading="A bound, not a result of routing: the share of the strongest model's correct answers that some "
        "small model has too.",
    ),
    Section(
        tables=("cost", "cost_quality"),
        heading="Money",
        reading="AIQ: mean quality over all budgets; APGR: share of the strongest candidate's advantage that is "
        "recovered, on average over call rates; CPT(x%): share of calls that must go to the strongest for "
        "x% of its advantage, less is better; cost saved: at the quality of the strongest candidate. Costs "
        "are per 1,000 instructions.",
    ),
    Section(
        tables=("overhead",),
        heading="What routing itself costs",
        reading="Work to score one instruction. Re-ranking first asks every candidate of the zoo for an answer.",
    ),
    Section(
        tables=("robustness", "gadgets"),
        heading="Disturbed and hostile instructions",
        reading="Accuracy against the undisturbed instruction. A gadget is a string, found on tuning data, that "
        "tries to pull instructions to the dearest candidate.",
    ),
    Section(
        tables=("ablation",),
        heading="What each part is worth",
        reading="The router with one part changed, each variant tuned alike on a sample. Rows compare within a study "
        "only, and with few instructions an interval is wide.",
    ),
    Section(
        tables=("leakage",),
        heading="Leakage",
        reading="Checked before anything else: what is shared between exam, tuning and held-out data must be "
        "nothing.",
    ),
)

VERDICT_HEADINGS: Mapping[Verdict, str] = {
    "won": "What won",
    "lost": "Where a rival wins",
    "undecided": "Too close to call",
    "fact": "Worth knowing",
}
NO_DEFEAT = "Nowhere: no rival's interval lies above Model-SAT, and no table puts one first."


def absent(result: BenchmarkResult, *, never_kept: Collection[str] = ()) -> list[str]:
    """Headings of the sections that were not run.

    Args:
        result: Of a benchmark.
        never_kept: Tables whose absence says nothing, because they are left out of what the result is.
    """
    return [
        section.heading
        for section in SECTIONS
        if not any(result.table(name) or name in never_kept for name in section.tables)
    ]


def by_verdict(found: list[Finding]) -> dict[str, list[str]]:
    """Sentences under their headings; an absence of defeats is said in words.

    Args:
        found: All findings of a result.
    """
    grouped = {
        heading: [finding.text for finding in found if finding.verdict == verdict]
        for verdict, heading in VERDICT_HEADINGS.items()
    }
    compared = any(finding.verdict != "fact" for finding in found)
    if compared and not grouped[VERDICT_HEADINGS["lost"]]:
        grouped[VERDICT_HEADINGS["lost"]] = [NO_DEFEAT]
    return {heading: texts for heading, texts in grouped.items() if texts}


def origin(result: BenchmarkResult) -> list[tuple[str, str]]:
    """What a result was computed from, by which anybody can check it."""
    split = "validation instructions" if result.split == "development" else "held-out test instructions"
    return [
        ("Suite", f"{result.suite}, {result.split} ({split})"),
        ("Date", result.date),
        ("Duration", f"{result.seconds / 60:.1f} minutes"),
        ("Seed", str(result.seed)),
        ("Data", result.data_hash),
        ("Checkpoint", result.checkpoint_hash),
        ("Versions", ", ".join(f"{name} {version}" for name, version in result.versions.items())),
        ("Machine", ", ".join(f"{name}: {value}" for name, value in result.machine.items())),
    ]
