"""Errors of the gateway in OpenAI's format."""

import pytest

from modelsat.gateway.errors import GatewayError


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (429, "rate_limit_error"),
        (503, "server_error"),
    ],
)
def test_errors_are_in_openai_format(status: int, kind: str) -> None:
    error = GatewayError("why; mend it", status=status, code="reason", retry_after=0.2)
    assert error.body() == {
        "error": {"message": "why; mend it", "type": kind, "param": None, "code": "reason"}
    }
    assert error.headers()["retry-after"] == "1"
    assert ("www-authenticate" in error.headers()) == (status == 401)
