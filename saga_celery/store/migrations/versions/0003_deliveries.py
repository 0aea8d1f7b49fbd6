"""Deliveries to hooks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from saga_celery.store.columns import ID, NAME, WORD, UtcTime, long_text, name_of

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "saga_delivery",
        sa.Column("id", name_of(ID), nullable=False),
        sa.Column("saga_id", name_of(ID), nullable=False),
        sa.Column("event", name_of(WORD), nullable=False),
        sa.Column("task", name_of(NAME), nullable=False),
        sa.Column("payload", long_text(), nullable=False),
        sa.Column("headers", long_text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("since", UtcTime(), nullable=False),
        sa.Column("due_at", UtcTime()),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_saga_delivery_due_at", "saga_delivery", ["due_at"])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("saga_delivery")
