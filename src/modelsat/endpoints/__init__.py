"""Calling candidates' OpenAI-compatible endpoints: connections, keys, and what their answers mean."""
