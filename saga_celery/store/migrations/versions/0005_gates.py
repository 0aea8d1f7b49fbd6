"""Locks, limits and scheduled starts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from saga_celery.store.columns import ID, NAME, UtcTime, name_of

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, and the columns that tell of them; nothing that is stored has to change."""
    op.add_column("saga", sa.Column("priority", sa.Integer()))
    op.add_column("saga", sa.Column("gated", sa.Boolean()))
    op.add_column("saga", sa.Column("lock", name_of(NAME)))
    op.add_column("saga", sa.Column("starts_at", UtcTime()))
    op.create_table(
        "saga_ticket",
        sa.Column("saga_id", name_of(ID), nullable=False),
        sa.Column("name", name_of(NAME), nullable=False),
        sa.Column("lock", name_of(NAME)),
        sa.Column("max_running", sa.Integer()),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("family", name_of(ID), nullable=False),
        sa.Column("refuse", sa.Boolean(), nullable=False),
        sa.Column("since", UtcTime(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("admitted_at", UtcTime()),
        sa.PrimaryKeyConstraint("saga_id"),
    )
    op.create_index("saga_ticket_by_lock", "saga_ticket", ["lock", "admitted_at"])
    op.create_index("saga_ticket_by_name", "saga_ticket", ["name", "admitted_at"])
    op.create_table(
        "saga_gate",
        sa.Column("number", sa.Integer(), nullable=False, autoincrement=False),
        sa.PrimaryKeyConstraint("number"),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("saga_gate")
    op.drop_table("saga_ticket")
    for name in ("starts_at", "lock", "gated", "priority"):
        op.drop_column("saga", name)
