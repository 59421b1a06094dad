"""What a client of the gateway is told when its request is not answered: OpenAI's error format.

Knows nothing of HTTP servers: an error carries its status and headers, and whoever answers writes them.
"""

from collections.abc import Mapping
from math import ceil
from typing import Any

from modelsat.errors import ModelSatError


class GatewayError(ModelSatError):
    """A request that the gateway refuses, or cannot get answered.

    Args:
        message: Where, what, and the mend; shown to the client, so it never holds a credential.
        status: HTTP status, 400 to 599.
        code: Machine-readable reason, such as "invalid_api_key" or "no_candidate".
        kind: OpenAI's `type`; by default what OpenAI sends with this status.
        param: Which field of the request is at fault, if one is.
        retry_after: Seconds after which another try may succeed; becomes the header `Retry-After`.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str,
        kind: str | None = None,
        param: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.kind = kind or _KINDS.get(status, "server_error" if status >= 500 else "invalid_request_error")
        self.param = param
        self.retry_after = retry_after

    def body(self) -> dict[str, Any]:
        """The answer's body, as OpenAI's clients read it."""
        return {"error": {"message": str(self), "type": self.kind, "param": self.param, "code": self.code}}

    def headers(self) -> Mapping[str, str]:
        """Headers that belong to the answer."""
        headers = {}
        if self.status == 401:
            headers["www-authenticate"] = "Bearer"
        if self.retry_after is not None:
            headers["retry-after"] = str(max(1, ceil(self.retry_after)))
        return headers


_KINDS = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
