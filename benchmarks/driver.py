"""Starts sagas and plain chains, in a process of its own: `python -m benchmarks.driver`."""

from __future__ import annotations

import os
from pathlib import Path

import sqlalchemy as sa
from celery import chain

from benchmarks.app import app, finish, noop
from benchmarks.sagas import SAGAS, STEPS
from benchmarks.serving import serve
from saga_celery import SagaApp
from saga_celery.store.schema import saga

OPEN = ("PENDING", "RUNNING", "COMPENSATING")


class Chains:
    """Plain Celery chains of five tasks."""

    def __init__(self) -> None:
        self._ended = Path(os.environ["BENCH_ENDED"])
        self._started = 0

    def start(self) -> None:
        """Start one."""
        self._started += 1
        chain(*[noop.si(number) for number in range(STEPS - 1)], finish.si()).apply_async()

    def all_ended(self) -> bool:
        """Whether the last tasks of all have run."""
        return self._ended.exists() and self._ended.stat().st_size >= self._started


class Sagas:
    """Sagas of this library."""

    def __init__(self, kind: str) -> None:
        self._saga = SAGAS[kind]
        self._store = SagaApp.of(app).store

    def start(self) -> None:
        """Start one."""
        self._saga.start(1)

    def all_ended(self) -> bool:
        """Whether none is open; an index makes it cheap."""
        with self._store.connections.autocommit() as connection:
            found = connection.execute(sa.select(saga.c.id).where(saga.c.state.in_(OPEN)).limit(1)).first()
        return found is None


if __name__ == "__main__":
    kind = os.environ["BENCH_SUBJECT"]
    serve(Chains() if kind == "chain" else Sagas(kind))
