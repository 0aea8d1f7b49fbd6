"""Dead letters by generation and attempt: an effect that came late stands beside what became of the step since."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from saga_celery.store.columns import ID, NAME, WORD, UtcTime, long_text, name_of

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_SLOT = ["saga_id", "step", "item", "direction"]
_NEW = ["generation", "attempt"]


def upgrade() -> None:
    """Widen the key of the table."""
    with op.batch_alter_table("saga_dead_letter", copy_from=_before()) as table:
        for column in _new_columns():
            table.add_column(column)
        table.drop_constraint("saga_dead_letter_pkey", type_="primary")
        table.create_primary_key("saga_dead_letter_pkey", [*_SLOT, *_NEW])


def downgrade() -> None:
    """Narrow it again; of several letters for one activity only the oldest can stay."""
    letter = sa.table("saga_dead_letter", *(sa.column(name) for name in [*_SLOT, "place"]))
    other = letter.alias("other")
    same = sa.and_(*(letter.c[name] == other.c[name] for name in _SLOT))
    oldest = sa.select(sa.func.min(other.c.place)).where(same).scalar_subquery()
    op.execute(sa.delete(letter).where(letter.c.place > oldest))
    with op.batch_alter_table("saga_dead_letter", copy_from=_after()) as table:
        table.drop_constraint("saga_dead_letter_pkey", type_="primary")
        table.create_primary_key("saga_dead_letter_pkey", _SLOT)
        for name in _NEW:
            table.drop_column(name)


def _before() -> sa.Table:
    """The table as revision 0001 made it: SQLite builds it anew, and prints that without a database."""
    return sa.Table("saga_dead_letter", sa.MetaData(), *_columns(), _key(_SLOT), _by_time())


def _after() -> sa.Table:
    key = _key([*_SLOT, *_NEW])
    return sa.Table("saga_dead_letter", sa.MetaData(), *_columns(), *_new_columns(), key, _by_time())


def _new_columns() -> list[sa.Column[int]]:
    return [
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False, server_default=sa.text("1")),
        sa.Column("attempt", sa.Integer(), autoincrement=False, nullable=False, server_default=sa.text("0")),
    ]


def _columns() -> list[sa.Column[object]]:
    return [
        sa.Column("saga_id", name_of(ID), nullable=False),
        sa.Column("step", name_of(NAME), nullable=False),
        sa.Column("item", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("direction", name_of(WORD), nullable=False),
        sa.Column("reason", name_of(WORD), nullable=False),
        sa.Column("detail", long_text(), nullable=False),
        sa.Column("result", long_text()),
        sa.Column("since", UtcTime(), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
    ]


def _key(names: list[str]) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*names, name="saga_dead_letter_pkey")


def _by_time() -> sa.Index:
    return sa.Index("ix_saga_dead_letter_since", "since")
