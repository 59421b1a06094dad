"""The router in numpy: capability cards as numbers, the scoring head, checkpoints and their configuration."""
