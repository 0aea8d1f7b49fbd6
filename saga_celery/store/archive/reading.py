"""What people ask of archived sagas. They are found by their id; whoever looks for others looks among those that are
not archived."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import sqlalchemy as sa

from saga_celery.core.states import SagaStatus
from saga_celery.store.archive.document import Document
from saga_celery.store.schema import saga_archive, saga_key

t = saga_archive.c

Read = Callable[[sa.Select[Any]], Sequence[Any]]
"""Runs a query and gives its rows."""


class ArchivedSagas:
    """Reads the archive.

    Args:
        read: runs a query.
    """

    def __init__(self, read: Read) -> None:
        self._read = read

    def document(self, saga_id: str) -> Document | None:
        """A saga; None: it is not in the archive."""
        return next(iter(self._documents(t.id == saga_id)), None)

    def documents(self, saga_ids: Sequence[str]) -> list[Document]:
        """Those of the sagas that are in the archive, in the order that they are asked for."""
        found = {each.saga["id"]: each for each in self._documents(t.id.in_(saga_ids))} if saga_ids else {}
        return [found[saga_id] for saga_id in saga_ids if saga_id in found]

    def owners(self, key: str) -> list[Document]:
        """The archived sagas that have a key, one for each name that uses it."""
        owned = sa.select(saga_key.c.saga_id).where(saga_key.c.key == key)
        return self._documents(t.id.in_(owned))

    def statuses(self, saga_ids: Collection[str]) -> dict[str, SagaStatus]:
        """How those of the sagas ended that are in the archive."""
        rows = self._read(sa.select(t.id, t.state).where(t.id.in_(list(saga_ids))))
        return {saga_id: SagaStatus(state) for saga_id, state in rows}

    def _documents(self, which: sa.ColumnElement[bool]) -> list[Document]:
        return [Document.unpack(packed) for (packed,) in self._read(sa.select(t.document).where(which).order_by(t.id))]
