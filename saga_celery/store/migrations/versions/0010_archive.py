"""Sagas that have ended are found by their end, and may be archived."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from saga_celery.store.columns import ID, NAME, WORD, UtcTime, long_bytes, name_of

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table and the indexes."""
    op.create_table(
        "saga_archive",
        sa.Column("id", name_of(ID), nullable=False),
        sa.Column("name", name_of(NAME), nullable=False),
        sa.Column("state", name_of(WORD), nullable=False),
        sa.Column("ended_at", UtcTime(), nullable=False),
        sa.Column("root_id", name_of(ID)),
        sa.Column("document", long_bytes(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("saga_archive_by_end", "saga_archive", ["name", "ended_at"])
    _index("saga_archive_by_root", "saga_archive", ["root_id"], "root_id IS NOT NULL")
    _index("saga_by_end", "saga", ["name", "ended_at"], "ended_at IS NOT NULL")
    op.create_index("saga_delivery_by_saga", "saga_delivery", ["saga_id"])


def downgrade() -> None:
    """Drop them; what was archived is lost."""
    op.drop_index("saga_delivery_by_saga", "saga_delivery")
    op.drop_index("saga_by_end", "saga")
    op.drop_table("saga_archive")


def _index(name: str, table: str, columns: list[str], where: str) -> None:
    """MariaDB has no index of some rows only."""
    op.create_index(name, table, columns, postgresql_where=sa.text(where), sqlite_where=sa.text(where))
