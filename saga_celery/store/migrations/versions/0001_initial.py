"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from saga_celery.store.columns import HASH, ID, NAME, WORD, WORKER, UtcTime, long_text, name_of

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table."""
    _create_saga()
    _create_saga_step()
    _create_saga_history()
    _create_saga_awaited()
    _create_saga_key()
    _create_saga_plan()
    _create_saga_tag()
    _create_saga_dead_letter()
    _create_saga_worker()


def downgrade() -> None:
    """Drop every table."""
    for table in (
        "saga_worker",
        "saga_dead_letter",
        "saga_tag",
        "saga_plan",
        "saga_key",
        "saga_awaited",
        "saga_history",
        "saga_step",
        "saga",
    ):
        op.drop_table(table)


def _create_saga() -> None:
    op.create_table(
        "saga",
        sa.Column("id", name_of(ID), nullable=False),
        sa.Column("name", name_of(NAME), nullable=False),
        sa.Column("key", name_of(NAME)),
        sa.Column("state", name_of(WORD), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("plan_hash", name_of(HASH), nullable=False),
        sa.Column("input", long_text()),
        sa.Column("result", long_text()),
        sa.Column("turn", long_text()),
        sa.Column("parked_from", name_of(WORD)),
        sa.Column("suspended", sa.Boolean(), nullable=False),
        sa.Column("overdue", sa.Boolean(), nullable=False),
        sa.Column("headers", long_text(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("updated_at", UtcTime(), nullable=False),
        sa.Column("ended_at", UtcTime()),
        sa.Column("deadline_at", UtcTime()),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("saga_by_name", "saga", ["name", "created_at", "id"])
    op.create_index("saga_by_state", "saga", ["state", "created_at", "id"])
    op.create_index("saga_by_time", "saga", ["created_at", "id"])


def _create_saga_step() -> None:
    op.create_table(
        "saga_step",
        sa.Column("saga_id", name_of(ID), nullable=False),
        sa.Column("step", name_of(NAME), nullable=False),
        sa.Column("item", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("status", name_of(WORD), nullable=False),
        sa.Column("start_order", sa.Integer(), nullable=False),
        sa.Column("result", long_text()),
        sa.Column("activities", long_text(), nullable=False),
        sa.PrimaryKeyConstraint("saga_id", "step", "item"),
    )


def _create_saga_history() -> None:
    op.create_table(
        "saga_history",
        sa.Column("saga_id", name_of(ID), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("facts", long_text(), nullable=False),
        sa.Column("actor", name_of(NAME)),
        sa.PrimaryKeyConstraint("saga_id", "version"),
    )


def _create_saga_awaited() -> None:
    op.create_table(
        "saga_awaited",
        sa.Column("saga_id", name_of(ID), nullable=False),
        sa.Column("step", name_of(NAME), nullable=False),
        sa.Column("item", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("direction", name_of(WORD), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("awaited", name_of(WORD), nullable=False),
        sa.Column("due_at", UtcTime(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("worker", name_of(WORKER), nullable=False),
        sa.Column("timeout", sa.Double(), nullable=False),
        sa.Column("resends", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("since", UtcTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("saga_id", "step", "item", "direction"),
    )
    op.create_index("ix_saga_awaited_due_at", "saga_awaited", ["due_at"])


def _create_saga_key() -> None:
    op.create_table(
        "saga_key",
        sa.Column("name", name_of(NAME), nullable=False),
        sa.Column("key", name_of(NAME), nullable=False),
        sa.Column("saga_id", name_of(ID), nullable=False),
        sa.Column("input_hash", name_of(HASH), nullable=False),
        sa.PrimaryKeyConstraint("name", "key"),
    )


def _create_saga_plan() -> None:
    op.create_table(
        "saga_plan",
        sa.Column("hash", name_of(HASH), nullable=False),
        sa.Column("body", long_text(), nullable=False),
        sa.PrimaryKeyConstraint("hash"),
    )


def _create_saga_tag() -> None:
    op.create_table(
        "saga_tag",
        sa.Column("saga_id", name_of(ID), nullable=False),
        sa.Column("name", name_of(NAME), nullable=False),
        sa.Column("value", name_of(NAME), nullable=False),
        sa.PrimaryKeyConstraint("saga_id", "name"),
    )
    op.create_index("saga_tag_by_value", "saga_tag", ["name", "value", "saga_id"])


def _create_saga_dead_letter() -> None:
    op.create_table(
        "saga_dead_letter",
        sa.Column("saga_id", name_of(ID), nullable=False),
        sa.Column("step", name_of(NAME), nullable=False),
        sa.Column("item", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("direction", name_of(WORD), nullable=False),
        sa.Column("reason", name_of(WORD), nullable=False),
        sa.Column("detail", long_text(), nullable=False),
        sa.Column("result", long_text()),
        sa.Column("since", UtcTime(), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("saga_id", "step", "item", "direction"),
    )
    op.create_index("ix_saga_dead_letter_since", "saga_dead_letter", ["since"])


def _create_saga_worker() -> None:
    op.create_table(
        "saga_worker",
        sa.Column("id", name_of(WORKER), nullable=False),
        sa.Column("beat_at", UtcTime(), nullable=False),
        sa.Column("attempts", long_text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
