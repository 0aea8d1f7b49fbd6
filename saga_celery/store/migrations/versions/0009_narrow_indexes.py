"""The indexes of sagas without the ids at their ends: those of one moment are few, and sorted when they are asked for.

The row of a saga is written anew with each change of its state, into all indexes; what they hold is what that costs.
"""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

INDEXES = {
    "saga_by_state": ["state", "created_at"],
    "saga_by_name": ["name", "created_at"],
    "saga_by_time": ["created_at"],
}


def upgrade() -> None:
    """Make them anew; while that takes, no saga moves."""
    for name, columns in INDEXES.items():
        op.drop_index(name, "saga")
        op.create_index(name, "saga", columns)


def downgrade() -> None:
    """With the ids."""
    for name, columns in INDEXES.items():
        op.drop_index(name, "saga")
        op.create_index(name, "saga", [*columns, "id"])
