import pytest

from modelsat.exam.lines import proxy_for


@pytest.mark.parametrize(
    ("environment", "proxy"),
    [
        ({}, None),
        ({"https": "http://proxy:3128"}, "http://proxy:3128"),
        ({"all": "proxy:3128"}, "http://proxy:3128"),
        ({"http": "http://proxy:3128"}, None),
    ],
)
def test_a_proxy_is_used_where_the_environment_names_one(
    environment: dict[str, str], proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert proxy_for("https://llm.example/v1", environment) == proxy


def test_a_host_that_needs_no_proxy_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "llm.example")
    assert proxy_for("https://llm.example/v1", {"https": "http://proxy:3128"}) is None
