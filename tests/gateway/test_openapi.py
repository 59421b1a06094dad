"""The OpenAPI document: complete, and true under requests that are made up from it."""

from contextlib import suppress
from typing import Any

import pytest

from tests.gateway.live import served
from tests.gateway.parts import running


@pytest.mark.anyio
async def test_the_document_names_every_path_that_is_served() -> None:
    async with running() as client:
        document = (await client.get("/openapi.json")).json()
        served_paths = {route.path.replace(":path", "") for route in client.app.routes}
    assert set(document["paths"]) | {"/metrics", "/openapi.json"} == served_paths
    assert set(document["paths"]["/v1/feedback"]["post"]["responses"]) >= {
        "200",
        "400",
        "401",
        "404",
        "429",
        "503",
    }
    names = set(document["components"]["schemas"])
    references = set(_references(document))
    assert references <= {f"#/components/schemas/{name}" for name in names}
    assert {reference.rpartition("/")[2] for reference in references} == names


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for inner in value.values() for found in _references(inner)]
    return [found for inner in value for found in _references(inner)] if isinstance(value, list) else []


@pytest.mark.slow
@pytest.mark.enable_socket
def test_requests_made_up_from_the_document_never_break_the_gateway() -> None:
    schemathesis = pytest.importorskip("schemathesis")
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis.errors import Unsatisfiable
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

    checks = [not_a_server_error, content_type_conformance, response_schema_conformance]
    with served() as live:
        document = schemathesis.openapi.from_url(live.url.removesuffix("/v1") + "/openapi.json")
        operations = [result.ok() for result in document.get_all_operations()]
        assert len(operations) == 8
        statuses: set[int] = set()
        for operation in operations:
            for mode in schemathesis.GenerationMode:

                @settings(
                    max_examples=10,
                    deadline=None,
                    database=None,
                    phases=[Phase.generate],
                    suppress_health_check=list(HealthCheck),
                )
                @given(case=operation.as_strategy(generation_mode=mode))
                def holds(case: Any) -> None:
                    response = case.call(timeout=10)
                    statuses.add(response.status_code)
                    case.validate_response(response, checks=checks)

                # What takes nothing cannot be sent something wrong.
                with suppress(Unsatisfiable):
                    holds()
    assert {200, 400, 404} <= statuses
    assert max(statuses) < 500
