"""An app whose sagas are moved by the test's hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from celery import Celery
from celery.canvas import Signature

from saga_celery import Saga, SagaApp, SagaHandle, step
from saga_celery.core import events as e
from saga_celery.core.states import Slot
from saga_celery.definition import desk, registry
from saga_celery.store.migrate import migrate


@dataclass
class Errands:
    """Sagas of one step, which nobody runs."""

    sagas: SagaApp
    saga: type[Saga[int, int]]

    def running(self, count: int = 1, **options: object) -> list[SagaHandle[int]]:
        """Sagas whose step is out."""
        handles = self.saga.start_many(list(range(count)), **options)  # type: ignore[arg-type]
        for handle in handles:
            self.news(handle, e.Nudged())
        return handles

    def complete(self, handle: SagaHandle[int], result: int = 7) -> None:
        self.news(handle, e.AttemptSucceeded(slot=Slot("only"), attempt=1, result=result))

    def lose(self, handle: SagaHandle[int]) -> None:
        """Its step ends without an outcome, so that it waits for a person."""
        self.news(handle, e.AttemptLost(slot=Slot("only"), attempt=1, reason="worker w1 died"))

    def news(self, handle: SagaHandle[int], news: e.News) -> None:
        assert self.sagas.coordinator(parks_render_failures=True).handle(handle.id, news) is not None


@pytest.fixture
def errands(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Errands]:
    """On every database that this run covers."""
    monkeypatch.setattr(registry, "_sagas", {})
    monkeypatch.setattr(desk, "_bound", [])
    app = Celery("errands", broker="memory://", set_as_current=False)
    app.conf.saga_database_url = database_url
    sagas = SagaApp(app)
    migrate(sagas.store.connections)

    class Errand(Saga[int, int]):
        name = "town.errand"

        @step(no_compensation="nothing happens")
        def only(self, number: int) -> Signature[int]:
            return self.task("town.run", number)

        def result(self, number: int, only: int) -> int:
            return only

    yield Errands(sagas, Errand)
    sagas.dispose()
