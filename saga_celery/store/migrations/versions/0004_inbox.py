"""Inboxes, and sagas that belong to others."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from saga_celery.store.columns import ID, NAME, UtcTime, long_text, name_of

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, and the columns of sagas."""
    op.create_table(
        "saga_inbox",
        sa.Column("saga_id", name_of(ID), nullable=False),
        sa.Column("id", name_of(NAME), nullable=False),
        sa.Column("body", long_text(), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("taken", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("saga_id", "id"),
    )
    op.add_column("saga", sa.Column("mail", long_text()))
    op.add_column("saga", sa.Column("parent", long_text()))
    op.add_column("saga", sa.Column("parent_id", name_of(ID)))
    op.create_index("saga_by_parent", "saga", ["parent_id"])


def downgrade() -> None:
    """Drop them."""
    op.drop_index("saga_by_parent", "saga")
    for column in ("parent_id", "parent", "mail"):
        op.drop_column("saga", column)
    op.drop_table("saga_inbox")
