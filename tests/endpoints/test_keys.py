from pathlib import Path
from typing import Any

import pytest

from modelsat.endpoints.keys import ApiKeys
from modelsat.errors import DataError
from modelsat.types import Candidate

KEY, FILE_KEY = "sk-endpoint-7f3a91", "sk-file-55d0c2"


def candidate(name: str, **fields: Any) -> Candidate:
    return Candidate(name=name, **{"endpoint": "http://llm.example/v1", **fields})


def test_keys_come_from_variables_and_files_that_may_change(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"  {FILE_KEY}\n")
    members = [candidate("a", api_key_env="A_KEY"), candidate("b", api_key_file=str(file)), candidate("c")]
    keys = ApiKeys(members, {"A_KEY": KEY})
    assert [keys.key(name) for name in "abc"] == [KEY, FILE_KEY, None]
    file.write_text("sk-file-replaced")
    assert keys.key("b") == "sk-file-replaced"
    # In the middle of being replaced, the old one is kept.
    file.write_text("")
    assert keys.key("b") == "sk-file-replaced"
    file.unlink()
    assert keys.key("b") == "sk-file-replaced"
    assert KEY not in repr(keys)


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"api_key_env": "ABSENT"}, "environment variable ABSENT is not set"),
        ({"api_key_env": "BROKEN"}, "variable BROKEN holds no key"),
        ({"api_key_file": "/absent/key"}, "api_key_file /absent/key cannot be read"),
    ],
)
def test_a_missing_key_is_named_by_its_place(fields: dict[str, str], fault: str) -> None:
    with pytest.raises(DataError, match=fault) as refused:
        ApiKeys([candidate("a", **fields)], {"BROKEN": f"{KEY}\r\nx-evil: 1"})
    assert KEY not in str(refused.value)
    # A candidate that is never called needs none.
    ApiKeys([candidate("a", endpoint=None, **fields)], {})


def test_a_file_that_holds_no_key_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"two words", b"\xff\xfe"):
        (tmp_path / "key").write_bytes(content)
        with pytest.raises(DataError, match="holds no key"):
            ApiKeys([candidate("a", api_key_file=str(tmp_path / "key"))], {})
