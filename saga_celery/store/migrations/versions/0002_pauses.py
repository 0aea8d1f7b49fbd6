"""What is paused."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from saga_celery.store.columns import NAME, WORD, UtcTime, long_text, name_of

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table of pauses."""
    op.create_table(
        "saga_pause",
        sa.Column("kind", name_of(WORD), nullable=False),
        sa.Column("name", name_of(NAME), nullable=False),
        sa.Column("since", UtcTime(), nullable=False),
        sa.Column("actor", name_of(NAME), nullable=False),
        sa.Column("reason", long_text(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name"),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("saga_pause")
