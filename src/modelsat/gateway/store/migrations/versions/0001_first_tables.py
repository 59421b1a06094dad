"""The first tables: keys, spending, decisions, usage, feedback.

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision."""
    op.create_table(
        "keys",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("secret_hash", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("revoked_at", sa.Double),
        sa.Column("requests_per_minute", sa.Integer),
        sa.Column("monthly_budget", sa.Double),
        sa.Column("candidates", sa.JSON),
    )
    op.create_table(
        "spending",
        sa.Column("key_id", sa.String(16), primary_key=True),
        sa.Column("month", sa.String(7), primary_key=True),
        sa.Column("writer", sa.String(32), primary_key=True),
        sa.Column("amount", sa.Double, nullable=False),
    )
    op.create_table(
        "decisions",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("key_id", sa.String(16)),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("candidate", sa.Text, nullable=False),
        sa.Column("score", sa.Double),
        sa.Column("ranking", sa.JSON, nullable=False),
        sa.Column("route_ms", sa.Double, nullable=False),
        sa.Column("request_tokens", sa.BigInteger),
        sa.Column("conversation", sa.Text),
        sa.Column("shadow", sa.Boolean, nullable=False),
        sa.Column("prompt", sa.Text),
    )
    op.create_index("decisions_at", "decisions", ["at"])
    op.create_index("decisions_conversation", "decisions", ["conversation", "at"])
    op.create_table(
        "usage",
        sa.Column("decision_id", sa.String(64), primary_key=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("candidate", sa.Text, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("input_tokens", sa.BigInteger),
        sa.Column("output_tokens", sa.BigInteger),
        sa.Column("cost", sa.Double),
        sa.Column("upstream_ms", sa.Double, nullable=False),
        sa.Column("first_byte_ms", sa.Double),
        sa.Column("fallbacks", sa.Integer, nullable=False),
    )
    op.create_index("usage_at", "usage", ["at"])
    op.create_table(
        "feedback",
        sa.Column("decision_id", sa.String(64), primary_key=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("score", sa.Double, nullable=False),
    )


def downgrade() -> None:
    """Take this revision back."""
    for table in ("feedback", "usage", "decisions", "spending", "keys"):
        op.drop_table(table)
