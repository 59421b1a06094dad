import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from modelsat.records.store import locked


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
            folder.mkdir(exist_ok=True)
            count.write_text(str(before + 1))
            inside -= 1

    threads = [threading.Thread(target=add_one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count.read_text() == "8"
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == [
        "outcomes",
        "outcomes/count",
    ]


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), locked(tmp_path / "new"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_free_again_when_its_holder_was_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom modelsat.records.store import locked\n"
        "with locked(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "outcomes")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        holder.kill()
    with locked(tmp_path / "outcomes"):
        pass
    assert list(tmp_path.iterdir()) == []
