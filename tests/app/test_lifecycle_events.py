"""The lifecycle of sagas as Celery's events: told while events are on, at nobody's expense."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from celery.events.state import State

from saga_celery.core import events as e
from saga_celery.core.states import Failure, Slot
from saga_celery.transport import lifecycle_events
from saga_celery.transport.lifecycle_events import EVENTS, consumer_sends, events_are_on, know_worker
from saga_celery.transport.notices import Notices
from saga_celery.transport.permits import PERMIT
from saga_celery.transport.seat import WORKER, Seat
from tests.app.conftest import Errands

PATIENCE = 60


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


class Listener:
    """Somebody who reads the events, as Flower does."""

    def __init__(self, celery: Any) -> None:
        self.heard: list[dict[str, Any]] = []
        self.more = threading.Condition()
        self.ready, self.gone = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.listen, args=(celery,))
        self.thread.start()
        assert self.ready.wait(PATIENCE)

    def listen(self, celery: Any) -> None:
        with celery.connection_for_read() as connection:
            receiver = celery.events.Receiver(connection, handlers={"*": self.hear})
            with receiver.consumer_context(limit=None, timeout=None, wakeup=False) as (link, _, _):
                self.ready.set()
                while not self.gone.is_set():
                    try:
                        link.drain_events(timeout=0.05)
                    except TimeoutError:
                        continue

    def hear(self, event: dict[str, Any]) -> None:
        with self.more:
            self.heard.append(event)
            self.more.notify()

    def until(self, event_type: str) -> list[str]:
        with self.more:
            assert self.more.wait_for(lambda: event_type in self.types(), PATIENCE), self.types()
            return self.types()

    def types(self) -> list[str]:
        return [each["type"] for each in self.heard]

    def stop(self) -> None:
        self.gone.set()
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()


@pytest.fixture
def listener(errands: Errands) -> Iterator[Listener]:
    made = Listener(errands.sagas.celery)
    yield made
    made.stop()


def test_a_saga_is_told_from_its_start_to_its_end(errands: Errands, listener: Listener) -> None:
    errands.sagas.celery.conf.worker_send_task_events = True
    (handle,) = errands.running()
    errands.complete(handle, result=4111)

    assert listener.until("saga-completed") == ["saga-started", "saga-completed"]
    end = listener.heard[-1]
    assert (end["saga_id"], end["saga_name"], end["version"]) == (handle.id, "town.errand", 2)
    assert "4111" not in str(end)


def test_what_is_secret_in_a_reason_is_hidden_and_a_long_one_is_cut(errands: Errands, listener: Listener) -> None:
    errands.sagas.celery.conf.worker_send_task_events = True
    (handle,) = errands.running()
    failure = Failure(type="shop.Broken", message="password=hunter2 " + "x" * 2000)
    errands.news(handle, e.AttemptFailed(slot=Slot("only"), attempt=1, failure=failure))

    listener.until("saga-compensated")
    turned = next(each for each in listener.heard if each["type"] == "saga-compensating")
    assert (turned["reason"], turned["failure"]) == ("failure", "shop.Broken")
    assert "hunter2" not in str(listener.heard)
    assert max(len(str(value)) for value in turned.values()) <= lifecycle_events.LONGEST


def test_monitors_make_no_task_and_no_worker_of_it(errands: Errands, listener: Listener) -> None:
    errands.sagas.celery.conf.worker_send_task_events = True
    (handle,) = errands.running()
    errands.complete(handle)
    listener.until("saga-completed")

    monitor = State()
    for each in listener.heard:
        monitor.event(each)
    assert (dict(monitor.tasks), dict(monitor.workers)) == ({}, {})


def test_nothing_is_begun_while_events_are_off(errands: Errands) -> None:
    (handle,) = errands.running()
    errands.complete(handle)
    assert errands.sagas._events._thread is None


def test_a_broker_that_hangs_keeps_no_transition_waiting(errands: Errands, monkeypatch: pytest.MonkeyPatch) -> None:
    errands.sagas.celery.conf.worker_send_task_events = True
    began, let_go = threading.Event(), threading.Event()

    def hang(act: Any) -> None:
        began.set()
        assert let_go.wait(PATIENCE)
        raise RuntimeError("the broker is away")

    monkeypatch.setattr(errands.sagas._events._broker, "use", hang)
    (handle,) = errands.running()
    errands.complete(handle)
    assert handle.wait(timeout=PATIENCE).name == "COMPLETED"
    assert began.wait(PATIENCE)
    assert not let_go.is_set()
    let_go.set()


# ------------------------------------------------------------------------------------------------------------ on or off


def consumer(enabled: bool = True, groups: tuple[str, ...] = ()) -> Any:
    return SimpleNamespace(event_dispatcher=SimpleNamespace(enabled=enabled, groups=set(groups)))


@pytest.mark.parametrize(("found", "expected"), [
    (consumer(), True),
    (consumer(groups=("worker", "task")), True),
    (consumer(groups=("worker",)), False),
    (consumer(enabled=False), False),
    (SimpleNamespace(event_dispatcher=None), False),
    (None, False),
])  # fmt: skip
def test_a_worker_sends_events_of_tasks_or_of_itself_alone(found: Any, expected: bool) -> None:
    assert consumer_sends(found) is expected


class Worker(SimpleNamespace):
    """Stands for Celery's, which can be referred to weakly."""


def test_the_main_process_asks_its_worker_each_time(errands: Errands) -> None:
    celery = errands.sagas.celery
    worker = Worker(app=celery, hostname="w@host", consumer=None)
    know_worker(worker)
    assert not events_are_on(celery)
    worker.consumer = consumer()
    assert events_are_on(celery)
    worker.consumer.event_dispatcher.enabled = False  # as the remote control's disable_events does
    assert not events_are_on(celery)


@pytest.mark.parametrize("on", [True, False])
def test_a_child_goes_by_what_its_main_process_wrote_into_the_request(errands: Errands, on: bool) -> None:
    celery = errands.sagas.celery
    celery.conf.worker_send_task_events = not on
    found = []

    @celery.task(name="town.look", shared=False)
    def look() -> None:
        found.append(events_are_on(celery))

    look.apply(headers={EVENTS: on})
    assert found == [on]


def test_the_main_process_writes_it_into_what_moves_sagas_and_nothing_else(errands: Errands) -> None:
    celery = errands.sagas.celery
    seat = Seat("w@host")
    notices = Notices(celery, seat, wake=lambda: None)
    sender = SimpleNamespace(app=celery, event_dispatcher=consumer().event_dispatcher, pool=None)
    written = {}
    for name in ("saga_celery.coordinate", "town.run"):
        request = SimpleNamespace(name=name, request_dict={})
        notices._received(sender, request)
        written[name] = request.request_dict
    expected = {EVENTS: True, WORKER: seat.worker, PERMIT: None}
    assert written == {"saga_celery.coordinate": expected, "town.run": {}}
