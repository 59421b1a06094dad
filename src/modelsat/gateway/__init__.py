"""The OpenAI-compatible gateway: authenticate, route, relay, record."""

from importlib.util import find_spec

from modelsat.errors import MissingExtraError

_NEEDED = ("aiohttp", "alembic", "h11", "prometheus_client", "sqlalchemy", "starlette", "uvicorn")

if any(find_spec(name) is None for name in _NEEDED):
    raise MissingExtraError("serve", "the gateway")
