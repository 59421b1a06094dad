"""The tables. A change here needs a migration beside it; a test holds the two together.

Times are seconds since 1970 (UTC), money is in the unit of the zoo's prices. No table refers to another by a
foreign key: a row whose decision was dropped, or pruned, is still worth keeping.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    false,
)

metadata = MetaData()

keys = Table(
    "keys",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("name", Text, nullable=False),
    # SHA-256 of the secret in hex; the secret itself is nowhere.
    Column("secret_hash", String(64), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("revoked_at", Double),
    Column("requests_per_minute", Integer),
    Column("monthly_budget", Double),
    # Names of candidates; null allows all.
    Column("candidates", JSON(none_as_null=True)),
    Column("metrics", Boolean, nullable=False, server_default=false()),
)

# Random values that all processes of one store share, such as the key of the hashes of conversations.
secrets = Table(
    "secrets",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", String(64), nullable=False),
)

# One row per process that charges: each writes its own running total, so that a write that is repeated
# after a lost connection charges nobody twice.
spending = Table(
    "spending",
    metadata,
    Column("key_id", String(16), primary_key=True),
    Column("month", String(7), primary_key=True),
    Column("writer", String(32), primary_key=True),
    Column("amount", Double, nullable=False),
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("at", Double, nullable=False),
    Column("key_id", String(16)),
    Column("origin", Text, nullable=False),
    Column("policy", Text, nullable=False),
    Column("candidate", Text, nullable=False),
    Column("score", Double),
    # [[candidate, probability, expected cost or null], ...], most preferred first.
    Column("ranking", JSON, nullable=False),
    Column("route_ms", Double, nullable=False),
    Column("request_tokens", BigInteger),
    Column("conversation", Text),
    Column("shadow", Boolean, nullable=False),
    # Only where prompts are logged.
    Column("prompt", Text),
)
Index("decisions_at", decisions.c.at)
Index("decisions_conversation", decisions.c.conversation, decisions.c.at)

usage = Table(
    "usage",
    metadata,
    Column("decision_id", String(64), primary_key=True),
    Column("at", Double, nullable=False),
    Column("candidate", Text, nullable=False),
    # HTTP status that the client was answered with.
    Column("status", Integer, nullable=False),
    Column("input_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    Column("cost", Double),
    Column("upstream_ms", Double, nullable=False),
    Column("first_byte_ms", Double),
    Column("fallbacks", Integer, nullable=False),
)
Index("usage_at", usage.c.at)

# The latest word on a decision counts.
feedback = Table(
    "feedback",
    metadata,
    Column("decision_id", String(64), primary_key=True),
    Column("at", Double, nullable=False),
    Column("score", Double, nullable=False),
)
