"""Which stuck sagas were told of, and when each worker last swept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from saga_celery.store.columns import ID, NAME, WORD, UtcTime, name_of

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, add the column."""
    op.create_table(
        "saga_stuck",
        sa.Column("saga_id", name_of(ID), nullable=False),
        sa.Column("step", name_of(NAME), nullable=False),
        sa.Column("item", sa.Integer(), nullable=False),
        sa.Column("direction", name_of(WORD), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("reason", name_of(WORD), nullable=False),
        sa.Column("since", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("saga_id"),
    )
    op.add_column("saga_worker", sa.Column("swept_at", UtcTime()))


def downgrade() -> None:
    """Drop both; stuck sagas are told of once more after the next upgrade."""
    op.drop_column("saga_worker", "swept_at")
    op.drop_table("saga_stuck")
