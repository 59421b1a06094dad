"""The whole benchmark on the small world: resumable, reproducible, and stopped by a leak."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from modelsat.bench import sections
from modelsat.bench.cache import CachedScorer
from modelsat.bench.reporting.report import findings, summarise, write_report
from modelsat.bench.results import BenchmarkResult, Cell, Table
from modelsat.bench.run import EFFORTS, BenchmarkRun
from modelsat.bench.sections import all_sections, gadgets, learning_curve, robustness, table_specs
from modelsat.bench.sections.gadgets import Search
from modelsat.bench.suite import run_suite
from modelsat.capability.aptitude import AptitudeTest
from modelsat.capability.grading import exam_table, grade
from modelsat.errors import DataError
from modelsat.records.store import OutcomeDirectory
from modelsat.types import CapabilityProfile
from tests.bench.world import ABROAD, TaskAccuracy, make_directory, make_exam, make_run

# Tables of this run as 0.3.0 computed them. `python -m tests.bench.test_suite` writes them anew.
GOLDEN_FILE = Path(__file__).parent / "golden.json"
GOLDEN = json.loads(GOLDEN_FILE.read_text("utf-8")) if GOLDEN_FILE.exists() else {}
# Those that look for neighbours or learn come out a little differently with another number of threads.
EXACT: tuple[str, ...] = (
    "Model-SAT",
    "random",
    "best single",
    "best single per category",
    "level only",
    "oracle",
)
EXACT += ("Model-SAT, twin", "shuffled cards", "level-preserving shuffle", "static mix", "one candidate")
SMALL = replace(EFFORTS["full"], streams=(ABROAD, "not there"), pairs=500, trees=5, shuffles=2)
# Tuning variants and timing layouts need real weights; they have tests of their own.
LIGHT = tuple(section.name for section in all_sections() if section.name not in ("ablation", "overhead"))


@contextmanager
def quick() -> Iterator[None]:
    """A small effort; how well anything is learned is not tested here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(learning_curve.DRAWS, "full", 1)
        patch.setitem(robustness.SAMPLE, "full", 20)
        patch.setitem(gadgets.SEARCHES, "full", Search(proposals=2, texts=2, measured=10))
        patch.setattr("modelsat.bench.baselines.learners._STEPS", 50)
        patch.setattr("modelsat.tuning.embedding_router._STEPS", 60)
        patch.setattr("modelsat.bench.baselines.DECAYS", (2e-4,))
        yield


@pytest.fixture(scope="module", autouse=True)
def small_effort() -> Iterator[None]:
    with quick():
        yield


MakeRun = Callable[..., BenchmarkRun]


def maker(directory: OutcomeDirectory, exam: AptitudeTest, cards: Sequence[CapabilityProfile]) -> MakeRun:
    twin = {"twin": CachedScorer(TaskAccuracy(), folder=None, identity="y")}
    settings = {"split": "test", "effort": SMALL, "others": twin}
    return lambda **changed: make_run(directory, exam, cards, **{**settings, **changed})


@pytest.fixture(scope="module")
def make(wide_directory: OutcomeDirectory, exam: AptitudeTest, cards: list[CapabilityProfile]) -> MakeRun:
    return maker(wide_directory, exam, cards)


@pytest.fixture(scope="module")
def result(make: MakeRun) -> BenchmarkResult:
    return run_suite(make(), only=LIGHT, command="test")


def test_every_table_is_there_but_those_of_the_network(result: BenchmarkResult) -> None:
    assert {table.name for table in result.tables} == set(table_specs()) - {"overhead", "ablation"}
    assert result.tables[0].name == "leakage"
    assert all(table.rows for table in result.tables)


def test_other_protocols_and_checkpoints_have_their_rows(result: BenchmarkResult) -> None:
    zoos = result.records("zoos")
    assert {row["part"] for row in zoos} == {"test", "ood_subjects", "pooled", "ood_datasets"}
    assert "Model-SAT, twin" in {row["method"] for row in zoos}
    assert {"Model-SAT", "kNN", "oracle", "shuffled cards"} <= set(result.method_notes)


@pytest.mark.parametrize("name", GOLDEN)
def test_a_table_holds_what_it_held(result: BenchmarkResult, name: str) -> None:
    table = result.table(name)
    assert table is not None
    golden = [dict(zip(GOLDEN[name]["columns"], row, strict=True)) for row in GOLDEN[name]["rows"]]
    found = table.records()
    if name == "cost_quality":
        # The other curves have as many points as there are different choices.
        golden, found = ([row for row in rows if row["method"] in EXACT] for rows in (golden, found))
    assert [_words(row) for row in found] == [_words(row) for row in golden]
    for row, before in zip(found, golden, strict=True):
        exact = before.get("method", "Model-SAT") in EXACT and name != "stream"
        tolerance = 2e-6 if exact else 0.05
        assert _numbers(row) == pytest.approx(_numbers(before), abs=tolerance, nan_ok=True), row


def _words(row: Mapping[str, Cell]) -> dict[str, Cell]:
    return {key: cell for key, cell in row.items() if isinstance(cell, str | bool) or key == "n"}


def _numbers(row: Mapping[str, Cell]) -> dict[str, float]:
    return {
        key: float("nan") if cell is None else float(cell)
        for key, cell in row.items()
        if not isinstance(cell, str | bool)
    }


def test_a_result_survives_its_file(result: BenchmarkResult) -> None:
    assert BenchmarkResult.from_json(result.to_json()) == result


def test_the_same_seed_gives_the_same_numbers(make: MakeRun, result: BenchmarkResult) -> None:
    again = run_suite(make(), only=LIGHT, command="test")
    assert again.tables == result.tables
    assert again.method_notes == result.method_notes


def test_finished_sections_are_not_computed_again(
    make: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run_suite(make(folder=tmp_path), only=("coverage",))
    assert [table.name for table in first.tables] == ["leakage", "coverage"]
    computed: list[str] = []

    def noting(name: str) -> Callable[[BenchmarkRun], list[Table]]:
        def compute(run: BenchmarkRun) -> list[Table]:
            computed.append(name)
            return []

        return compute

    noted = tuple(replace(section, compute=noting(section.name)) for section in all_sections())
    monkeypatch.setattr("modelsat.bench.suite.all_sections", lambda: noted)
    whole = run_suite(make(folder=tmp_path))
    assert set(computed) == {section.name for section in noted} - {"leakage", "coverage"}
    assert whole.tables == first.tables


def test_progress_names_sections_and_counts_them(make: MakeRun) -> None:
    steps: list[tuple[str, int, int]] = []
    run_suite(
        make(split="development"),
        only=("stream",),
        progress=lambda step, done, total: steps.append((step, done, total)),
    )
    assert [(done, total) for step, done, total in steps if step == "sections"] == [(0, 2), (1, 2), (2, 2)]
    assert any(step.startswith("Models that arrive: ") for step, _, _ in steps)


def test_a_leak_stops_everything(make: MakeRun) -> None:
    with pytest.raises(DataError, match="leakage: held-out candidates"):
        run_suite(make(tuned_on={"candidates": ["a"]}), only=("coverage",))


def test_a_section_that_does_not_exist_is_named(make: MakeRun) -> None:
    with pytest.raises(DataError, match="no section 'beauty'; the benchmark has zoos, choices"):
        run_suite(make(), only=("beauty",))


TOY = """
from modelsat.bench.reporting.numbers import count
from modelsat.bench.reporting.plots import draw
from modelsat.bench.reporting.words import Finding
from modelsat.bench.section import Column, Section, TableSpec

TABLE = TableSpec(name="toy", title="Letters", columns=(Column("zoo"), Column("letters", count)))


def compute(run):
    yield TABLE.table([(zoo, len("".join(names))) for zoo, names in run.core.zoos.items()], "A toy.")


def findings(result):
    yield from (Finding("fact", f"{row['zoo']} has {row['letters']} letters.") for row in result.records("toy"))


def plots(result):
    bars = [row["letters"] for row in result.records("toy")]
    if bars:
        yield draw(lambda axes: axes.plot(bars), title="Letters", caption="", height=2, name="toy", table="toy")


SECTION = Section(name="toy", order=15, heading="A toy", reading="Read it.", tables=(TABLE,), compute=compute,
                  findings=findings, plots=plots)
"""


def test_adding_a_section_is_adding_one_file(
    make: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sections").mkdir()
    (tmp_path / "sections" / "toy.py").write_text(TOY, encoding="utf-8")
    monkeypatch.setattr(sections, "__path__", [*sections.__path__, str(tmp_path / "sections")])
    all_sections.cache_clear()
    try:
        result = run_suite(make(), only=("toy",))
        page = write_report(result, tmp_path / "report").read_text("utf-8")
        assert result.records("toy") == [{"zoo": "four", "letters": 4}, {"zoo": "two", "letters": 2}]
        assert findings(result)["Worth knowing"][0] == "four has 4 letters."
        assert '<section id="toy">' in page
        assert (tmp_path / "report" / "plots" / "toy.svg").exists()
        assert "| four | 4 |" in (tmp_path / "report" / "tables" / "toy.md").read_text("utf-8")
        assert summarise(result).table("toy") == result.table("toy")
    finally:
        all_sections.cache_clear()


def write_golden() -> None:
    directory = make_directory(abroad=True)
    exam = make_exam(directory)
    cards = grade(exam_table(directory.instructions, directory.outcomes, exam), exam)
    with quick():
        result = run_suite(maker(directory, exam, cards)(), only=LIGHT)
    tables = []
    for table in result.tables:
        rows = [[round(cell, 6) if isinstance(cell, float) else cell for cell in row] for row in table.rows]
        lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        tables.append(f'"{table.name}": {{"columns": {json.dumps(table.columns)}, "rows": [\n{lines}]}}')
    GOLDEN_FILE.write_text("{" + ",\n".join(tables) + "}\n", "utf-8")


if __name__ == "__main__":
    write_golden()
