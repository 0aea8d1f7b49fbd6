"""Starts sagas of this library, in a process of its own."""

from __future__ import annotations

import os

import sqlalchemy as sa

from benchmarks.app import app
from benchmarks.sagas import SAGAS
from benchmarks.serving import serve
from saga_celery import SagaApp
from saga_celery.store.schema import saga

OPEN = ("PENDING", "RUNNING", "COMPENSATING")


class Sagas:
    """Started, and their ends seen in their rows."""

    def __init__(self, subject: str) -> None:
        self._subject = subject
        self._store = SagaApp.of(app).store

    def start(self, work: str) -> None:
        """Start one."""
        SAGAS[self._subject, work].start(1)

    def all_ended(self) -> bool:
        """Whether none is open; an index makes it cheap."""
        with self._store.connections.autocommit() as connection:
            found = connection.execute(sa.select(saga.c.id).where(saga.c.state.in_(OPEN)).limit(1)).first()
        return found is None

    def check(self) -> None:
        """Look for sagas that ended otherwise than they should."""
        undone = SAGAS["messages", "undo"].name.rpartition(".")[2]
        expected = sa.case((saga.c.name.endswith(undone), "COMPENSATED"), else_="COMPLETED")
        with self._store.connections.autocommit() as connection:
            found = connection.execute(sa.select(saga.c.id, saga.c.state).where(saga.c.state != expected)).first()
        assert found is None, found


if __name__ == "__main__":
    serve(Sagas(os.environ["BENCH_SUBJECT"]))
