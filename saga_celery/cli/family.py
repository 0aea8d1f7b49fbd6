"""The relations of a saga on its page."""

from __future__ import annotations

from collections.abc import Iterator

from saga_celery.app.reading import words
from saga_celery.app.reading.excerpt import excerpt
from saga_celery.app.reading.family import Family
from saga_celery.cli import styles
from saga_celery.cli.screen import Block
from saga_celery.cli.table import Table
from saga_celery.core.states import Slot


def parent_line(family: Family) -> Iterator[Block]:
    """Whose child it is."""
    if family.parent is not None and family.parent_slot is not None:
        row = family.parent
        yield f"parent: {row.name} {row.id} ({row.status.value}), its step {_label(family.parent_slot)}"


def children_table(family: Family) -> Iterator[Block]:
    """Its children, the first one first."""
    if family.children:
        yield ""
        yield Table(
            columns=("child of", "saga", "id", "state"),
            whole=("id",),
            rows=tuple(
                (_label(child.slot), child.saga.name, child.saga.id, styles.saga_state(child.saga.status))
                for child in family.children
            ),
        )


def _label(slot: Slot) -> str:
    return excerpt(words.step_label(slot.step, slot.item))
