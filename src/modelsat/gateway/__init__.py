"""The OpenAI-compatible gateway: authenticate, route, relay, record."""
