"""scripts/fetch_outcomes, against a repository on loopback."""

import io
import json
import runpy
import sys
import zipfile
from pathlib import Path

import pytest

from modelsat.records.store import OutcomeDirectory
from modelsat.testing import Answer, FakeEndpoint, FakeRequest
from tests.records.importers.test_mmlu_pro import record

SCRIPT = Path(__file__).parent.parent / "scripts" / "fetch_outcomes"
pytestmark = pytest.mark.enable_socket


def run(*arguments: str) -> str:
    """Run the script; the message that it ends with, or none."""
    command, sys.argv = sys.argv, [str(SCRIPT), *arguments]
    try:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    except SystemExit as ended:
        return str(ended.code)
    finally:
        sys.argv = command
    return ""


def results(numbers: range, **changes: object) -> bytes:
    """A published archive."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("law.json", json.dumps([record(number, **changes) for number in numbers]))
    return content.getvalue()


def test_results_are_fetched_once_and_become_an_outcomes_directory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def serve(request: FakeRequest) -> Answer:
        asked.append(request.path)
        if "gemma" in request.path:
            # Four questions that nobody else was asked.
            return Answer(body=results(range(9), pred="A"))
        return Answer(body=results(range(5)))

    names = ["gemma-7b", "Llama-2-7b", "Yi-6B-Chat", "Meta-Llama-3-8B", "Mistral-7B-v0.2"]
    with FakeEndpoint(other=serve) as server:
        arguments = [str(tmp_path), "--base-url", server.url.removesuffix("/v1") + "/main"]
        for name in names:
            arguments += ["--candidate", name]
        assert run(*arguments) == ""
        assert "5 questions, 25 outcomes of 5 candidates" in capsys.readouterr().err
        assert asked[1] == "/main/eval_results/model_outputs_Llama-2-7b-hf_5shots.zip"
        assert len(asked) == 5
        assert run(*arguments) == ""
    assert len(asked) == 5
    data = OutcomeDirectory.load(tmp_path)
    assert set(data.outcomes.candidates) == set(names)
    assert {row.score for row in data.outcomes if row.candidate == "gemma-7b"} == {0.0}


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (Answer(status=404, body=b""), "could not be fetched (404"),
        (Answer(body=b"version https://git-lfs.github.com/spec/v1"), "is no zip archive"),
        (None, "could not be fetched ("),
    ],
)
def test_what_cannot_be_fetched_is_one_sentence(tmp_path: Path, answer: Answer | None, fault: str) -> None:
    with FakeEndpoint(other=lambda _: answer or Answer()) as server:
        url = server.url.removesuffix("/v1")
        if answer is not None:
            told = run(str(tmp_path), "--candidate", "gemma-7b", "--base-url", url)
    if answer is None:
        told = run(str(tmp_path), "--candidate", "gemma-7b", "--base-url", url)
    assert told.startswith(f"error: {url}/eval_results/model_outputs_gemma-7b_5shots.zip: {fault}")
    assert told.endswith(f"put model_outputs_gemma-7b_5shots.zip into {tmp_path / 'downloads'} by hand.")
    assert "\n" not in told
    assert list((tmp_path / "downloads").iterdir()) == []


def test_an_unknown_model_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    assert run(str(tmp_path), "--candidate", "gpt-9").startswith(
        "error: no results of 'gpt-9'; there are those of DeepSeek"
    )
