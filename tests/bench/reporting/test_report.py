"""What a report's folder holds."""

import json
import re
import sys
import xml.etree.ElementTree as ET
from base64 import b64decode
from html.parser import HTMLParser
from pathlib import Path

import pytest

from modelsat.bench.reporting.report import write_report
from modelsat.bench.results import BenchmarkResult
from modelsat.errors import MissingExtraError
from tests.bench.reporting.synthetic import benchmark

PLOTS = {
    "zoos",
    "methods",
    "choices-smaller_scale",
    "reliability",
    "learning-curve",
    "stream-mmlu_pro",
    "coverage-mmlu_pro",
    "cost-larger_mixed",
    "overhead-time",
    "overhead-work",
}


class Page(HTMLParser):
    """What the tests look at: ids, what a page would load, and that every element is closed."""

    VOID = frozenset({"meta", "br", "img", "link", "hr", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.scripts = 0
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        self._note(tag, attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def _note(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        for name, value in attrs:
            if name == "id":
                self.ids.append(str(value))
            elif name == "src" and str(value).startswith("data:"):
                continue
            elif name in ("src", "data") or (tag == "link" and name == "href"):
                self.loaded.append(str(value))
            elif name in ("href", "xlink:href"):
                self.links.append(str(value))


def test_every_plot_is_there_as_svg_and_png(report: Path) -> None:
    files = {path.name for path in (report / "plots").iterdir()}
    assert files == {f"{name}.{ending}" for name in PLOTS for ending in ("svg", "png")}
    for path in (report / "plots").glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")
    for path in (report / "plots").glob("*.svg"):
        assert ET.parse(path).getroot().tag.endswith("svg")


def test_plots_hold_no_date_and_no_version(report: Path) -> None:
    for path in (report / "plots").iterdir():
        assert b"matplotlib" not in path.read_bytes().lower().replace(b"matplotlib.axis", b""), path.name
        assert b"<dc:date>" not in path.read_bytes()


def test_every_table_is_there_in_words_and_in_numbers(report: Path) -> None:
    for table in benchmark(whole=False).tables:
        numbers = json.loads((report / "tables" / f"{table.name}.json").read_text(encoding="utf-8"))
        assert numbers["rows"] == table.records()
        words = (report / "tables" / f"{table.name}.md").read_text(encoding="utf-8")
        assert words.startswith(f"## {table.title}\n")
        assert words.count("\n| ") >= len(table.rows)


def test_the_result_reads_back_as_it_was(report: Path) -> None:
    assert BenchmarkResult.load(report / "result.json") == benchmark(whole=False)


def test_the_page_needs_no_other_file_and_its_links_lead_somewhere(report: Path) -> None:
    page = Page((report / "index.html").read_text(encoding="utf-8"))
    assert not page.open
    assert not page.loaded
    assert not page.scripts
    assert len(page.ids) == len(set(page.ids))
    assert page.links
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert all(link.startswith("#") for link in page.links)


def test_the_page_says_how_to_compute_it_again(report: Path) -> None:
    page = (report / "index.html").read_text(encoding="utf-8")
    result = benchmark()
    for word in (result.command, result.data_hash, result.checkpoint_hash, "torch 2.9.1", "a processor"):
        assert word in page


def test_the_page_is_light_or_dark_and_shows_every_plot(report: Path) -> None:
    page = (report / "index.html").read_text(encoding="utf-8")
    assert "prefers-color-scheme: dark" in page
    images = re.findall(r'<img alt="([^"]+)" src="data:image/svg\+xml;base64,([^"]+)"', page)
    assert len(images) == len(PLOTS)
    drawn = {b64decode(image) for _, image in images}
    assert drawn == {path.read_bytes() for path in (report / "plots").glob("*.svg")}


def test_the_same_result_gives_the_same_files(tmp_path: Path) -> None:
    result = benchmark(only=["leakage", "coverage"], whole=False)
    for name in ("one", "two"):
        write_report(result, tmp_path / name)
    first, second = ({p.name: p.read_bytes() for p in (tmp_path / n).rglob("*.*")} for n in ("one", "two"))
    assert first == second
    assert any(name.endswith(".svg") for name in first)


def test_what_was_not_run_is_left_out_and_said(tmp_path: Path) -> None:
    write_report(benchmark(only=["zoos", "leakage"]), tmp_path, plots=False)
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert re.search(r"Not run[^<]*: [^<]*Models that arrive", page)
    assert 'id="stream"' not in page
    assert not (tmp_path / "tables" / "stream.md").exists()
    assert not (tmp_path / "plots").exists()


def test_a_development_result_is_marked_as_one(tmp_path: Path) -> None:
    write_report(benchmark(split="development", only=["zoos"]), tmp_path, plots=False)
    assert "Development suite" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_names_are_text_not_markup(tmp_path: Path) -> None:
    result = BenchmarkResult.from_json(
        benchmark(only=["zoos", "coverage"]).to_json().replace("smaller_scale", "<script>a|b")
    )
    write_report(result, tmp_path, plots=False)
    assert not Page((tmp_path / "index.html").read_text(encoding="utf-8")).scripts
    assert r"<script>a\|b" in (tmp_path / "tables" / "zoos.md").read_text(encoding="utf-8")


def test_without_matplotlib_one_error_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelsat.bench.reporting.plots.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="'plots'"):
        write_report(benchmark(), tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_importing_the_report_imports_no_matplotlib() -> None:
    import subprocess

    code = "import sys, modelsat.bench.reporting.report; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
