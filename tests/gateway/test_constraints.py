"""Who may answer at all, and what a client is told where nobody may."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.capability.zoo import ModelZoo
from modelsat.gateway.constraints import Demand, removed_by_constraints
from modelsat.gateway.decide import find_eligible, routed_choice
from modelsat.gateway.errors import GatewayError
from modelsat.gateway.serving_state import make_serving_state
from modelsat.gateway.settings import GatewaySettings
from modelsat.routing.policy import RoutingPolicy
from modelsat.types import Candidate
from tests.gateway.parts import candidate, chat, running, zoo
from tests.profiles import profile

IMAGE = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "data:x"}}]
TOOLS = [{"type": "function", "function": {"name": "f"}}]


@pytest.mark.parametrize(
    ("fields", "demand", "reason"),
    [
        ({"context_window": 100}, Demand(tokens=90, output_tokens=10), None),
        ({"context_window": 100}, Demand(tokens=90, output_tokens=11), "context window below the 101 tokens"),
        ({}, Demand(tokens=10**9), None),
        (
            {"modalities": ("text",)},
            Demand(tokens=1, modalities=frozenset({"image"})),
            "does not accept image",
        ),
        ({"modalities": ("text", "image")}, Demand(tokens=1, modalities=frozenset({"image"})), None),
        ({"tools": False}, Demand(tokens=1, tools=True), "does not call tools"),
        ({"tools": None}, Demand(tokens=1, tools=True), None),
        ({"tags": ("eu-only",)}, Demand(tokens=1, tags=("eu-only", "fast")), "without tag fast"),
        ({}, Demand(tokens=1, candidates=("b",)), "not among metadata.modelsat.candidates"),
        ({}, Demand(tokens=1, allowed=frozenset({"b"})), "not allowed for this API key"),
        ({"endpoint": None}, Demand(tokens=1), "no endpoint in the zoo"),
        ({"endpoint": None}, Demand(tokens=1, relayed=False), None),
    ],
)
def test_a_constraint_says_whom_it_removes(
    fields: dict[str, Any], demand: Demand, reason: str | None
) -> None:
    removed = removed_by_constraints([candidate("a", **fields)], demand)
    if reason is None:
        assert removed == {}
    else:
        assert reason in removed["a"]


optional_tokens = st.none() | st.integers(1, 1000)
members = st.builds(
    lambda window, tools, image, tag, endpoint, price: {
        "context_window": window,
        "tools": tools,
        "modalities": ("text", "image") if image else ("text",),
        "tags": ("eu",) if tag else (),
        "endpoint": "http://a.example/v1" if endpoint else None,
        "input_price": price,
    },
    optional_tokens,
    st.none() | st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.none() | st.floats(0, 10),
)
demands = st.builds(
    Demand,
    tokens=st.integers(1, 1000),
    output_tokens=optional_tokens,
    modalities=st.sampled_from([frozenset(), frozenset({"image"})]),
    tools=st.booleans(),
    tags=st.sampled_from([(), ("eu",)]),
    candidates=st.none() | st.sampled_from([("c0",), ("c1", "c2")]),
    allowed=st.none() | st.sampled_from([frozenset({"c0", "c1"}), frozenset({"c3"})]),
)
policies = st.sampled_from(["best", "cheapest-above=0.6", "value=0.01"]).map(RoutingPolicy.parse)


@given(
    fields=st.lists(members, min_size=1, max_size=4),
    demand=demands,
    policy=policies,
    earlier=st.integers(0, 3),
)
def test_nobody_who_was_removed_is_ever_tried(
    fields: list[dict[str, Any]], demand: Demand, policy: RoutingPolicy, earlier: int
) -> None:
    callable_one = Candidate(name="callable", endpoint="http://x.example/v1", context_window=1, tools=False)
    candidates = [candidate(f"c{number}", **given) for number, given in enumerate(fields)]
    state = make_serving_state(
        zoo(callable_one, *candidates, levels=[0.9, 0.8, 0.7, 0.6, 0.5]), GatewaySettings(), {}
    )
    removed = removed_by_constraints(state.zoo.candidates, demand)
    try:
        eligible = find_eligible(state, demand, policy)
    except GatewayError as error:
        # Every one of them is accounted for.
        assert error.status == 400
        allowed = set(state.zoo.names) if demand.allowed is None else demand.allowed
        assert all((name in str(error)) == (name in allowed) for name in state.zoo.names)
        return
    choice = routed_choice(state, eligible, policy, state.levels, earlier=f"c{earlier}", margin=1.0)
    assert choice.order
    assert not set(choice.order) & set(removed)
    assert set(choice.order) | set(choice.removed) == set(state.zoo.names)
    assert policy.needs_prices <= all(ranked.expected_cost is not None for ranked in choice.ranking)


@pytest.mark.anyio
async def test_a_request_that_nobody_can_take_is_told_who_was_removed_by_what() -> None:
    members = zoo(
        candidate("blind", tags=("eu-only",)),
        candidate("small", modalities=("text", "image"), context_window=500, tags=("eu-only",)),
        candidate("abroad", modalities=("text", "image")),
    )
    async with running(members, require_tags=("eu-only",)) as client:
        body = chat() | {"messages": [{"role": "user", "content": IMAGE}], "max_tokens": 50}
        reply = await client.post("/v1/chat/completions", body)
        fine = await client.chat()
    assert (reply.status, reply.error["code"]) == (400, "no_candidate")
    for part in (
        "does not accept image: blind",
        "to read, 50 to write): small",
        "without tag eu-only: abroad",
    ):
        assert part in reply.error["message"]
    assert fine.status == 200
    assert client.endpoints.asked == ["blind"]
    assert len(client.decisions) == 1


@pytest.mark.anyio
@pytest.mark.parametrize("as_text", [False, True])
async def test_metadata_overrides_candidates_policy_and_tags(as_text: bool) -> None:
    members = zoo(candidate("a", tags=("x",)), candidate("b", tags=("x",)), candidate("c"))
    wanted: Any = {"candidates": ["b", "c"], "policy": "value=0", "tags": ["x"]}
    async with running(members) as client:
        reply = await client.chat(metadata={"modelsat": json.dumps(wanted) if as_text else wanted})
    assert reply.headers["x-modelsat-candidate"] == "b"
    assert reply.headers["x-modelsat-policy"] == "value=0.0"


@pytest.mark.anyio
async def test_a_tag_that_nobody_has_is_refused_with_the_tags_that_the_key_may_use() -> None:
    members = zoo(candidate("a", tags=("eu-only",)), candidate("b", tags=("fast", "eu-only")))
    async with running(members) as client:
        replies = [
            await client.chat(metadata={"modelsat": {"tags": ["eu"]}}),
            await client.post("/v1/route", {"text": "Is this lawful?", "tags": ["eu"]}),
        ]
    for reply in replies:
        assert reply.status == 400
        assert "no candidate has the tag 'eu'; they have eu-only, fast" in reply.error["message"]
    assert client.endpoints.asked == []


@pytest.mark.anyio
@pytest.mark.parametrize("policy", ["cheapest-above=0.6", "value=0.01"])
async def test_without_measured_lengths_a_default_prices_the_answers(policy: str) -> None:
    members = ModelZoo(
        (candidate(name, output_price=price), profile(name, {"law": level}, tokens=None))
        for name, price, level in (("dear", 10_000.0, 0.9), ("cheap", 10.0, 0.8))
    )
    async with running(members, policy=policy) as client:
        replies = [
            await client.chat("Is this lawful?"),
            await client.chat("Is this lawful?\nA. Yes\nB. No"),
            await client.chat("Is this lawful?", max_tokens=10),
        ]
    assert [reply.headers["x-modelsat-candidate"] for reply in replies] == ["cheap"] * 3
    prices = [record.ranking[0].expected_cost for record in client.decisions]
    # The input costs next to nothing here: open, multiple choice, and no more than max_tokens.
    assert prices == pytest.approx([260e-5, 90e-5, 10e-5], abs=2e-5)


@pytest.mark.anyio
async def test_headers_say_the_same_and_stay_with_the_gateway() -> None:
    members = zoo(candidate("a", tags=("x",)), candidate("b", tags=("x",)), candidate("c"))
    headers = {"x-modelsat-candidates": "b, c", "x-modelsat-policy": "value=0", "x-modelsat-tags": "x"}
    async with running(members) as client:
        reply = await client.chat(headers=headers, metadata={"modelsat": {"candidates": ["a"]}})
        bad = await client.chat(headers={"x-modelsat-policy": "finest"})
    assert reply.headers["x-modelsat-candidate"] == "b"
    assert reply.headers["x-modelsat-policy"] == "value=0.0"
    assert not [name for name in client.endpoints.requests[0].headers if name.startswith("x-modelsat")]
    assert bad.status == 400


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("fields", "status", "fault"),
    [
        ({"model": "gpt-9"}, 404, "There is no model 'gpt-9'"),
        ({"model": "auto:finest"}, 400, "unknown policy 'finest'"),
        ({"model": "auto:cheapest-above=7"}, 400, "expected a probability from 0 to 1"),
        ({"model": ""}, 400, "'model' is missing"),
        ({"messages": []}, 400, "'messages' must be a list"),
        ({"messages": ["hi"]}, 400, "messages[0] must be an object"),
        ({"metadata": {"modelsat": {"candidate": "a"}}}, 400, "unknown field 'candidate'"),
        ({"metadata": {"modelsat": {"candidates": ["nobody"]}}}, 400, "there is no candidate 'nobody'"),
        ({"metadata": {"modelsat": {"policy": "finest"}}}, 400, "unknown policy 'finest'"),
        ({"metadata": {"modelsat": "{"}}, 400, "text that is not JSON"),
        ({"metadata": {"modelsat": 1}}, 400, "metadata.modelsat"),
    ],
)
async def test_what_a_client_must_mend_is_one_sentence(
    fields: dict[str, Any], status: int, fault: str
) -> None:
    async with running() as client:
        reply = await client.post("/v1/chat/completions", chat() | fields)
    assert reply.status == status
    assert fault in reply.error["message"]
    assert set(reply.error) == {"message", "type", "param", "code"}
    assert not client.endpoints.requests
    assert not client.journal.records


@pytest.mark.anyio
async def test_tools_go_to_who_calls_them_and_images_to_who_sees() -> None:
    members = zoo(candidate("mute", tools=False), candidate("seeing", modalities=("text", "image")))
    async with running(members) as client:
        tools = await client.chat(tools=TOOLS)
        image = await client.post(
            "/v1/chat/completions", chat() | {"messages": [{"role": "user", "content": IMAGE}]}
        )
        plain = await client.chat()
    names = [reply.headers["x-modelsat-candidate"] for reply in (tools, image, plain)]
    assert names == ["seeing", "seeing", "mute"]
