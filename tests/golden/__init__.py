"""Behaviour pinned in files: what a release answered, and still must."""
