import threading
import time
from pathlib import Path

import pytest

from modelsat.records.lock import locked


def test_one_at_a_time_holds_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "outcomes"
    count = folder / "count"
    inside = 0

    def add_one() -> None:
        nonlocal inside
        with locked(folder):
            inside += 1
            assert inside == 1
            before = int(count.read_text()) if count.exists() else 0
            time.sleep(0.01)
            count.write_text(str(before + 1))
            inside -= 1

    threads = [threading.Thread(target=add_one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count.read_text() == "8"
    assert [path.name for path in folder.iterdir()] == ["count"]


def test_a_failure_leaves_no_empty_folder_behind(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), locked(tmp_path / "new"):
        raise RuntimeError
    assert not (tmp_path / "new").exists()
    (tmp_path / "old").mkdir()
    with locked(tmp_path / "old"):
        pass
    assert (tmp_path / "old").is_dir()
