"""Sagas whose every message is run in this process, by the hand of the test."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from queue import Empty
from typing import Any

from celery import Celery
from celery.canvas import Signature
from celery.exceptions import Retry as RetryTask
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from saga_celery import Retry, Saga, SagaApp, parallel, step, wait_for
from saga_celery.contrib.opentelemetry import SagaInstrumentor
from saga_celery.store import SQLStore
from saga_celery.store.clock import FakeClock
from saga_celery.store.migrate import migrate

NOON = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)


class Refused(Exception):
    pass


class LoanSaga(Saga[str]):
    """What its input says decides how it ends."""

    name = "bank.loan"

    @step
    def reserve(self, word: str) -> Signature[str]:
        return self.task("bank.do", "reserve", word, key=self.key())

    @reserve.compensate
    def release(self, word: str) -> Signature[str]:
        return self.task("bank.do", "release", word, key=self.key())

    @wait_for(str, timeout=timedelta(days=9))
    def approve(self, word: str) -> None: ...

    with parallel():

        @step(retry=Retry(attempts=2, delay=1, jitter=False), fatal=[Refused], no_compensation="nothing happens")
        def pay(self, word: str, approve: str) -> Signature[str]:
            return self.task("bank.do", "pay", word, key=self.key())

        @step(no_compensation="nothing happens")
        def tell(self, word: str) -> Signature[str]:
            return self.task("bank.do", "tell", "well", key=self.key())

    @step(no_compensation="nothing happens")
    def close(self, word: str) -> Signature[str]:
        return self.task("bank.do", "close", word, key=self.key())


class Office:
    """An app on a broker in memory, its workers, and the spans of them all."""

    def __init__(self, url: str) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.provider.get_tracer("the user's")
        self.queues = [f"{name}-{uuid.uuid5(uuid.NAMESPACE_OID, url)}" for name in ("saga", "steps")]
        self.app = Celery("bank", broker="memory://", set_as_current=False)
        self.app.conf.update(
            saga_database_url=url, saga_queue=self.queues[0], task_default_queue=self.queues[1], task_ignore_result=True
        )
        self.sagas = SagaApp(self.app)
        self.clock = FakeClock(NOON)
        self.sagas._store = SQLStore(url, chance=lambda: 0.5, clock=self.clock)
        migrate(self.sagas.store.connections)
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.within = lambda: None

        @self.app.task(name="bank.do", shared=False)
        def do(what: str, word: str, key: str) -> str:
            return self.do(what, word)

    def do(self, what: str, word: str) -> str:
        task: Any = self.app.current_task
        self.seen.append((what, dict(task.request.headers)))
        if (what, word) == ("pay", "refuse"):
            raise Refused("no")
        if (what, word) == ("pay", "stumble") and task.request.headers["saga_attempt"] == 1:
            raise ValueError("once")
        if (what, word) == ("pay", "again"):
            raise RetryTask("later", when=1)
        if what == "close":
            self.within()
        return what

    def instrument(self, long_wait: float = 300.0) -> None:
        SagaInstrumentor().instrument(
            tracer_provider=self.provider, long_wait=long_wait, clock=lambda: self.clock.fixed().timestamp()
        )

    # ------------------------------------------------------------------------------------------------------- the work

    def work(self) -> None:
        """Run every message that is there, as workers would."""
        while message := self._next():
            (args, kwargs, _), headers = message.decode(), message.headers
            self.app.tasks[headers["task"]].apply(args, kwargs, task_id=headers["id"], headers=headers)

    def _next(self) -> Any:
        with self.app.connection_for_read() as connection:
            for name in self.queues:
                with connection.SimpleQueue(name) as queue:
                    try:
                        message = queue.get_nowait()
                    except Empty:
                        continue
                    message.ack()
                    return message
        return None

    def sweep(self, seconds: float) -> None:
        """Let time pass, and the sweeper come by."""
        self.clock.turn(seconds)
        self.sagas.sweeper().tick()
        self.work()

    def approve(self, saga_id: str, after: float = 0.0) -> None:
        self.clock.turn(after)
        LoanSaga.approve.send(saga_id, "yes")
        self.work()

    # ------------------------------------------------------------------------------------------------------ the spans

    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def names(self) -> list[str]:
        return [each.name for each in self.spans()]

    def span(self, name: str) -> ReadableSpan:
        (found,) = [each for each in self.spans() if each.name == name]
        return found

    def traces(self) -> set[int]:
        return {each.context.trace_id for each in self.spans()}

    def children(self, name: str) -> list[str]:
        parent = self.span(name).context.span_id
        return [each.name for each in self.spans() if each.parent is not None and each.parent.span_id == parent]

    def close(self) -> None:
        SagaInstrumentor().uninstrument()
        self.sagas.store.dispose()
