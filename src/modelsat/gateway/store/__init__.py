"""What the gateway remembers: decisions, usage, feedback, keys and spending, in SQLite or PostgreSQL."""
