"""`--source hub` with the hub's own client, against a hub on loopback."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelsat.exam.hub import DATASETS
from modelsat.testing import Answer, FakeEndpoint, FakeRequest
from modelsat.types import Instruction
from tests.exam.conftest import exam_of, instructions

pytestmark = [pytest.mark.slow, pytest.mark.enable_socket]
MMLU_PRO = DATASETS["mmlu_pro"]
(FILE,) = MMLU_PRO.files
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def hub(repository: str, file: str, content: bytes, *, cut: bool = False) -> Iterator[str]:
    """A hub that serves one file of a dataset as the real one does: by a redirect to the bytes.

    Args:
        repository: Its name.
        file: The only file that it has.
        content: The file.
        cut: Break off within it.

    Yields:
        Value of HF_ENDPOINT.
    """
    digest = sha256(content).hexdigest()

    def serve(request: FakeRequest) -> Answer:
        if request.path == "/":
            return Answer(body=b"")
        if request.path == f"/datasets/{repository}/resolve/main/{file}":
            linked = {"X-Linked-ETag": f'"{digest}"', "X-Linked-Size": str(len(content))}
            # Elsewhere, as the real one's bytes are: redirects within the hub mean that a dataset was renamed.
            location = f"{server.url.replace('127.0.0.1', 'localhost')}/bytes"
            headers = {"Location": location, "X-Repo-Commit": COMMIT, **linked}
            return Answer(status=302, body=b"", headers=headers)
        if request.path == "/v1/bytes":
            return Answer(body=content, headers={"ETag": f'"{digest}"'}, pieces=1 if cut else None)
        return Answer(status=404, body=b"", headers={"X-Error-Code": "EntryNotFound"})

    with FakeEndpoint(other=serve) as server:
        yield server.url.removesuffix("/v1")


def as_on_the_hub(texts: list[Instruction], path: Path) -> bytes:
    """The file of the dataset that holds these questions."""
    rows = [
        {
            "question_id": number,
            "question": text.text.split("\nA. ")[0],
            "options": list(text.choices),
            "answer": text.answer,
            "answer_index": "ABCD".index(text.answer or "A"),
            "cot_content": "",
            "category": "math",
            "src": text.task,
        }
        for number, text in enumerate(texts)
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path.read_bytes()


def dry_run(folder: Path, endpoint: str) -> subprocess.CompletedProcess[str]:
    """Ask for the exam's texts from the hub, and nothing of the candidate."""
    command = [
        *(sys.executable, "-m", "modelsat", "exam", "run", "--candidate", "ours", "--dry-run", "--json"),
        *("--base-url", "http://127.0.0.1:9/v1", "--source", "hub", "--blueprint", str(folder / "exam.json")),
    ]
    environment = os.environ | {"HF_ENDPOINT": endpoint, "HF_HOME": str(folder / "hf"), "NO_PROXY": "*"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=120)


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    texts = instructions()
    replace(exam_of(texts), dataset="mmlu_pro").save(tmp_path / "exam.json")
    return as_on_the_hub(texts, tmp_path / "test.parquet")


def test_texts_are_downloaded_checked_and_kept(content: bytes, tmp_path: Path) -> None:
    with hub(MMLU_PRO.repository, FILE, content) as endpoint:
        first = dry_run(tmp_path, endpoint)
    assert first.returncode == 0, first.stderr
    assert '"questions": 20' in first.stdout
    # The hub is gone now; its client has kept what it fetched.
    assert dry_run(tmp_path, endpoint).stdout == first.stdout


@pytest.mark.parametrize("case", ["gone", "cut", "other file", "not there"])
def test_what_goes_wrong_at_the_hub_is_one_sentence(case: str, content: bytes, tmp_path: Path) -> None:
    file, said = FILE, "TIGER-Lab/MMLU-Pro could not be fetched from the hub"
    if case == "other file":
        content, said = b"PAR1 but not for long", "does not have the expected columns"
    if case == "not there":
        file = "data/moved.parquet"
    with hub(MMLU_PRO.repository, file, content, cut=case == "cut") as endpoint:
        if case != "gone":
            told = dry_run(tmp_path, endpoint)
    if case == "gone":
        told = dry_run(tmp_path, endpoint)
    assert told.returncode == 1
    assert said in told.stderr and "--source FILE" in told.stderr
    assert "Traceback" not in told.stderr
    assert told.stderr.strip().count("\n") == 0, told.stderr


def test_another_question_under_a_known_id_is_refused(content: bytes, tmp_path: Path) -> None:
    texts = instructions()
    changed = [replace(texts[0], text=texts[0].text.replace("What is", "How much is")), *texts[1:]]
    with hub(MMLU_PRO.repository, FILE, as_on_the_hub(changed, tmp_path / "other.parquet")) as endpoint:
        told = dry_run(tmp_path, endpoint)
    assert told.returncode == 1
    assert "item 'sums/0/0' of exam 'sums' is not there" in told.stderr
