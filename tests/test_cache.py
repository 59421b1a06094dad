"""The cache is shown, moved and cleared, and nothing else is touched."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modelsat.cache import PARTS, cache_folder, cache_parts
from modelsat.cli.main import app


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own with a cache of two parts, and a file that is none of ours."""
    monkeypatch.delenv("MODELSAT_CACHE", raising=False)
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(tmp_path / "home" / name))
    folder = tmp_path / "home" / "modelsat"
    for name, size in (("engines", 2_500_000), ("bench/deep", 500_000)):
        (folder / name).mkdir(parents=True)
        (folder / name / "file").write_bytes(bytes(size))
    return folder


def run(*arguments: str, stdin: str | None = None) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["cache", *arguments], input=stdin)
    return result.exit_code, result.stdout, result.stderr


def test_it_says_where_it_is_and_how_large(cache: Path) -> None:
    for arguments in ((), ("show",)):
        code, out, _ = run(*arguments)
        assert code == 0
        assert str(cache) in out
        assert [line.split()[:3] for line in out.splitlines() if line.startswith("engines")] == [
            ["engines", "2", "1"]
        ]
        assert ["in", "all", "3"] in [line.split() for line in out.splitlines()]
    code, out, _ = run("--json")
    shown = json.loads(out)
    assert shown["folder"] == str(cache)
    assert {part["name"]: (part["files"], part["size"]) for part in shown["parts"]} == {
        "engines": (1, 2_500_000),
        "bench": (1, 500_000),
    }
    assert shown["size"] == 3_000_000


def test_parts_are_cleared_and_nothing_else(cache: Path) -> None:
    (cache / "mine.txt").write_text("not ours")
    code, out, _ = run("clear", "engines", "--yes", "--json")
    assert code == 0
    assert [part["name"] for part in json.loads(out)["deleted"]] == ["engines"]
    assert [part.name for part in cache_parts()] == ["bench"]
    code, _, err = run("clear", "--yes")
    assert (code, cache_parts()) == (0, ())
    assert "deleted bench" in err
    assert (cache / "mine.txt").read_text() == "not ours"


def test_clearing_asks_and_knows_its_parts(cache: Path) -> None:
    code, _, err = run("clear")
    assert code == 1
    assert "Pass --yes if that is meant" in err
    code, _, err = run("clear", "..", "--yes")
    assert code == 1
    assert "no part '..'; expected engines, " in err
    assert len(cache_parts()) == 2


def test_a_moved_cache_is_found_by_a_link(cache: Path, tmp_path: Path) -> None:
    target = tmp_path / "disk" / "cache"
    code, _, err = run("move", str(target))
    assert code == 0, err
    assert cache_folder() == cache
    assert cache.resolve() == target
    assert [part.name for part in cache_parts()] == ["engines", "bench"]
    again = tmp_path / "other"
    assert run("move", str(again))[0] == 0
    assert cache.resolve() == again
    assert sorted(path.name for path in again.iterdir()) == ["bench", "engines"]


def test_where_no_link_can_stand_the_variable_is_named(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cache / "mine.txt").write_text("not ours")
    code, _, err = run("move", str(tmp_path / "first"))
    assert code == 0
    assert f"Set MODELSAT_CACHE={tmp_path / 'first'} from now on." in err
    assert (cache / "mine.txt").exists()
    monkeypatch.setenv("MODELSAT_CACHE", str(tmp_path / "first"))
    code, out, _ = run("move", str(tmp_path / "second"), "--json")
    assert code == 0
    assert json.loads(out)["linked"] is False
    assert not (tmp_path / "first").is_symlink()


@pytest.mark.parametrize("where", ["home/modelsat/inside", "full"])
def test_a_place_that_will_not_do_is_refused(cache: Path, tmp_path: Path, where: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    code, _, err = run("move", str(tmp_path / where))
    assert code == 1
    assert "folder" in err
    assert len(cache_parts()) == 2


def test_every_part_that_is_written_is_known() -> None:
    source = Path(__file__).parent.parent / "src"
    written = {
        name
        for path in source.rglob("*.py")
        for name in re.findall(r'cache_folder\(\) / f?"([a-z]+)', path.read_text("utf-8"))
    }
    assert {"engines", "tuning", "bench"} <= written <= set(PARTS)
