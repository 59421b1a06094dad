"""The README's numbers and the page of results, from a released summary."""

import runpy
import shutil
import sys
from pathlib import Path

import pytest

from modelsat.bench.reporting.documents import readme_section, results_page
from modelsat.bench.reporting.report import summarise
from modelsat.errors import DataError
from tests.bench.reporting.synthetic import METHODS, ZOOS, benchmark

SCRIPT = Path(__file__).parents[3] / "scripts" / "results"


def test_documents_are_the_same_from_a_result_and_from_its_summary() -> None:
    whole, summary = benchmark(), summarise(benchmark())
    assert readme_section(whole) == readme_section(summary)
    assert results_page(whole, "r.json") == results_page(summary, "r.json")


def test_the_readme_has_five_rows_and_every_defeat() -> None:
    lines = readme_section(benchmark()).splitlines()
    assert any(line.startswith("- In larger_mixed, kNN 200 beats Model-SAT by") for line in lines)
    table = lines[lines.index("| method | AUC seen | AUC unseen | serves unseen | gain | lead |") + 2 :]
    names = [line.split("|")[1].strip().strip("*") for line in table if line.startswith("| ")]
    assert names == ["Model-SAT", "kNN 200", "k-means", "MLP + card", "best single"]


def test_the_page_has_every_method_every_zoo_and_every_defeat() -> None:
    page = results_page(benchmark(), "r.json")
    for method in METHODS:
        assert f"| {method} |" in page or f"| **{method}** |" in page
    for zoo in ZOOS:
        assert f"\n| {zoo} |" in page
    assert "- In larger_mixed, kNN 200 beats Model-SAT by" in page


def test_the_page_says_what_it_was_computed_from() -> None:
    page = results_page(benchmark(), "results/0.2.0.json")
    assert "`results/0.2.0.json`" in page
    assert "fedcba9876543210" in page
    assert page.endswith("\n")


def test_a_development_result_is_not_published() -> None:
    with pytest.raises(DataError, match="development split"):
        readme_section(benchmark(split="development"))


def test_a_result_without_zoos_is_not_published() -> None:
    with pytest.raises(DataError, match="no table of zoos"):
        results_page(benchmark(only=["leakage"]), "r.json")


@pytest.mark.skipif(not SCRIPT.exists(), reason="the script is not in this copy")
def test_the_script_writes_from_the_newest_version_and_notices_what_is_stale(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("scripts", "results", "docs"):
        (tmp_path / folder).mkdir()
    script = shutil.copy(SCRIPT, tmp_path / "scripts" / "results")
    readme = tmp_path / "README.md"
    readme.write_text("# A\n<!-- results: begin -->\nold\n<!-- results: end -->\nrest\n", encoding="utf-8")
    text = summarise(benchmark()).to_json()
    (tmp_path / "results" / "0.9.0.json").write_text(
        text.replace("kNN 200", "an old rival"), encoding="utf-8"
    )
    (tmp_path / "results" / "0.10.0.json").write_text(text, encoding="utf-8")

    # The script looks for the package beside itself; that must not outlive this test.
    monkeypatch.setattr(sys, "path", list(sys.path))
    main = runpy.run_path(str(script))["main"]
    assert main(["--check"]) == 1
    assert main([]) == 0
    assert main(["--check"]) == 0
    assert "kNN 200" in readme.read_text(encoding="utf-8")
    assert readme.read_text(encoding="utf-8").endswith("rest\n")
    page = tmp_path / "docs" / "results.md"
    page.write_text(page.read_text(encoding="utf-8").replace("0.726", "0.999"), encoding="utf-8")
    capsys.readouterr()
    assert main(["--check"]) == 1
    assert "docs/results.md is stale" in capsys.readouterr().err
    assert main([str(tmp_path / "nowhere.json")]) == 1
    assert "no such file" in capsys.readouterr().err
