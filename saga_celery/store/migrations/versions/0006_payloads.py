"""Values that are kept apart."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from saga_celery.store.columns import HASH, ID, long_text, name_of

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "saga_payload",
        sa.Column("saga_id", name_of(ID), nullable=False),
        sa.Column("digest", name_of(HASH), nullable=False),
        sa.Column("body", long_text(), nullable=False),
        sa.PrimaryKeyConstraint("saga_id", "digest"),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("saga_payload")
