"""Settings from defaults, a file and options."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.errors import DataError
from modelsat.gateway.errors import GatewayError
from modelsat.gateway.model_names import read_model_name
from modelsat.gateway.serving import is_loopback, require_loopback
from modelsat.gateway.serving_state import make_serving_state
from modelsat.gateway.settings import GatewaySettings, load_settings
from modelsat.routing.policy import RoutingPolicy
from tests.conftest import REPOSITORY
from tests.gateway.parts import candidate, zoo

FILE = """format = "modelsat-gateway/1"
zoo = "my-zoo.toml"
policy = "cheapest-above=0.6"
require_tags = ["eu-only"]
deadline_s = 30
"""


def test_options_go_before_the_file_and_the_file_before_defaults(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(FILE)
    settings = load_settings(path, {"policy": "best", "port": 9000, "host": None})
    assert settings.policy == "best"
    assert settings.port == 9000
    assert settings.host == "127.0.0.1"
    assert settings.require_tags == ("eu-only",)
    # Beside the settings file, wherever the program was started.
    assert settings.zoo == tmp_path / "my-zoo.toml"
    assert load_settings(None, {}) == GatewaySettings()


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("modelsat-gateway/1", "modelsat-gateway/2", "format is 'modelsat-gateway/2'"),
        ("deadline_s", "deadlines", "unknown field 'deadlines'"),
        ("30", "-1", "'deadline_s' is -1"),
        ("cheapest-above=0.6", "finest", "unknown policy 'finest'"),
        ("30", "batch_wait_ms = 4", "not TOML"),
        ("deadline_s = 30", "batch_wait_ms = 4", "'batch_wait_ms' is 4"),
        ("deadline_s = 30", "idle_timeout_s = inf", "'idle_timeout_s'"),
    ],
)
def test_a_bad_setting_is_named_with_its_file(tmp_path: Path, old: str, new: str, fault: str) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(FILE.replace(old, new))
    with pytest.raises(DataError, match=fault) as refused:
        load_settings(path, {})
    assert "gateway.toml" in str(refused.value)


def test_a_bad_option_is_named() -> None:
    with pytest.raises(DataError, match="options: field 'policy'"):
        load_settings(None, {"policy": "finest"})


def test_every_setting_is_documented_with_its_default() -> None:
    text = (REPOSITORY / "docs" / "gateway.md").read_text(encoding="utf-8")
    for name, field in GatewaySettings.model_fields.items():
        if name == "format":
            continue
        assert f"| `{name}` |" in text
        line = next(line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
        assert field.description is not None
        assert field.description in line


def test_the_gateway_imports_no_engine() -> None:
    code = (
        "import sys, modelsat.gateway.app, modelsat.gateway.serving, modelsat.endpoints.client\n"
        "assert not {'torch', 'onnxruntime', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_only_this_machine_is_served_without_keys() -> None:
    for host in ("127.0.0.1", "127.8.9.1", "::1", "[::1]", "localhost"):
        assert is_loopback(host)
        require_loopback(host)
    for host in ("0.0.0.0", "::", "10.0.0.1", "example.org", ""):
        assert not is_loopback(host)
        with pytest.raises(DataError, match="modelsat keys create"):
            require_loopback(host)


def test_a_zoo_must_be_servable() -> None:
    settings = GatewaySettings()
    with pytest.raises(DataError, match="no candidate of the zoo has an endpoint"):
        make_serving_state(zoo(candidate("a", endpoint=None)), settings, {})
    with pytest.raises(DataError, match="names of that form ask the gateway to route"):
        make_serving_state(zoo(candidate("auto:best", endpoint="http://test/v1")), settings, {})
    with pytest.raises(DataError, match="shadow: 'b' is no candidate with an endpoint; choose of a"):
        make_serving_state(
            zoo(candidate("a"), candidate("b", endpoint=None)), GatewaySettings(shadow="b"), {}
        )


def test_a_policy_that_nobody_can_be_chosen_under_is_refused_and_what_it_lacks_is_warned_of() -> None:
    settings = GatewaySettings(policy="cheapest-above=0.6")
    unpriced = candidate("a", input_price=None)
    with pytest.raises(DataError, match=r"needs prices, and no candidate with an endpoint has them"):
        make_serving_state(zoo(unpriced, candidate("b", endpoint=None)), settings, {})
    state = make_serving_state(zoo(unpriced, candidate("b"), candidate("c", endpoint=None)), settings, {})
    (warning,) = state.price_warnings(settings.routing_policy)
    assert "policy cheapest-above=0.6 never chooses a: without prices" in warning
    assert make_serving_state(zoo(unpriced), GatewaySettings(), {}).price_warnings(RoutingPolicy()) == []


def test_a_required_tag_must_be_one_of_the_zoos() -> None:
    members = zoo(candidate("a", tags=("eu-only", "chat")), candidate("b", endpoint=None, tags=("eu",)))
    with pytest.raises(DataError, match=r"the tag 'eu'; they have chat, eu-only\."):
        make_serving_state(members, GatewaySettings(require_tags=("eu",)), {})
    make_serving_state(members, GatewaySettings(require_tags=("eu-only",)), {})


texts = st.text(max_size=12) | st.builds(
    lambda kind, number: f"auto:{kind}={number}",
    st.sampled_from(["best", "cheapest-above", "value", ""]),
    st.floats() | st.text(max_size=3),
)


@given(text=texts | texts.map(lambda text: f"auto:{text}"))
def test_a_model_name_is_a_policy_a_candidate_or_refused(text: str) -> None:
    try:
        target = read_model_name(text, ["a", "b c"])
    except GatewayError as error:
        assert error.status in (400, 404)
        assert error.param == "model"
        return
    if target.policy is not None:
        assert text.startswith("auto:")
        assert RoutingPolicy.parse(str(target.policy)) == target.policy
    else:
        assert text in ("auto", "a", "b c")
        assert target.candidate == (None if text == "auto" else text)


def test_settings_of_0_3_are_read_under_their_new_names(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text('format = "modelsat-gateway/1"\nengine = "fast"\nmemory_mb = 3\n', "utf-8")
    settings = load_settings(path, {})
    assert (settings.router, settings.score_cache_mb) == ("fast", 3.0)
    assert "engine is now router" in caplog.text
    path.write_text('format = "modelsat-gateway/1"\ncheckpoint = "mine"\n', "utf-8")
    assert load_settings(path, {}).router == str(tmp_path / "mine")
