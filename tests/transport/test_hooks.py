"""A hook in its worker's hands: it runs as always, and its end is told."""

from types import SimpleNamespace

import pytest
from celery import Celery
from celery.exceptions import Retry

from saga_celery.app.payloads import payloads_of
from saga_celery.engine.ports import Delivery
from saga_celery.errors import MessageNotUnderstood, PublishFailed, StoreUnavailable
from saga_celery.settings import Settings
from saga_celery.transport import hooks, wire
from saga_celery.transport.participant import Participant
from saga_celery.transport.reports import HookEnded, seal, unseal
from saga_celery.transport.tasks import Desk

EVENT = {"id": "e-1", "event": "saga_failed", "saga_name": "shop.order"}
DELIVERY = Delivery(id="e-1", saga_id="s-1", event="saga_failed", task="ops.page", payload=EVENT)
KEYED = Settings(hmac_keys={"new": "two"})


class Process:
    """A worker's process: with the saga database, or with the broker only."""

    def __init__(self, *, has_store=True, settings=KEYED):
        self.celery = Celery("ops", set_as_current=False)
        self.has_store = has_store
        self.settings = settings
        self.ended, self.reported = [], []
        self.trouble = []
        self.transport = SimpleNamespace(report=self._report)
        self.payloads = payloads_of(settings, None)

    def hook_ended(self, event_id):
        if self.trouble:
            raise self.trouble.pop()
        self.ended.append(event_id)

    def _report(self, queue, saga_id, report):
        if self.trouble:
            raise self.trouble.pop()
        self.reported.append((queue, saga_id, report))

    def task(self, body):
        """A task as a worker has it."""
        body.__name__ = "page"  # Celery writes the head of a function anew, and a lambda's name is none
        task = self.celery.task(name="ops.page", bind=True, shared=False)(body)
        self.celery.finalize()
        Participant(self).wrap_all()
        return task


def deliver(task, **more):
    """Run a task with a hook's message, as a worker does."""
    headers = {**wire.hook_headers_of(DELIVERY, KEYED), **more}
    task.push_request(id="t-1", task=task.name, headers=headers, args=(EVENT,))
    try:
        return task.run(EVENT)
    finally:
        task.pop_request()


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(hooks, "PATIENCE", 0.0)


def test_the_end_is_noted_where_the_database_is():
    process, seen = Process(), []
    assert deliver(process.task(lambda self, event: seen.append(event) or "paged")) == "paged"
    assert seen == [EVENT]
    assert process.ended == ["e-1"]


def test_the_end_is_reported_where_it_is_not():
    process = Process(has_store=False)
    deliver(process.task(lambda self, event: None))
    assert process.reported == [("saga", "s-1", HookEnded(event_id="e-1"))]


def test_one_that_raises_has_not_ended():
    process = Process()

    def body(self, event):
        raise ArithmeticError("no pager")

    with pytest.raises(ArithmeticError, match="no pager"):
        deliver(process.task(body))
    assert process.ended == []


def test_one_that_puts_itself_back_has_not_ended():
    process = Process()

    def body(self, event):
        raise Retry("later")

    with pytest.raises(Retry):
        deliver(process.task(body))
    assert process.ended == []


@pytest.mark.parametrize("has_store", [True, False])
def test_an_end_that_can_not_be_told_is_the_tasks_success_all_the_same(has_store, caplog):
    process = Process(has_store=has_store)
    process.trouble = [StoreUnavailable("down") if has_store else PublishFailed("down")]
    assert deliver(process.task(lambda self, event: "paged")) == "paged"
    assert "the end of the hook for event e-1 of saga s-1 could not be noted" in caplog.text


@pytest.mark.parametrize("has_store", [True, False])
def test_a_short_outage_is_waited_out(has_store, monkeypatch):
    monkeypatch.setattr(hooks, "PATIENCE", 10.0)
    process = Process(has_store=has_store)
    process.trouble = [StoreUnavailable("down") if has_store else PublishFailed("down")]
    deliver(process.task(lambda self, event: None))
    assert process.ended or process.reported


def test_a_body_that_calls_its_own_function_ends_once():
    process, depth = Process(), []

    def body(self, event):
        depth.append(event)
        if len(depth) == 1:
            self.run(event)

    deliver(process.task(body))
    assert len(depth) == 2
    assert process.ended == ["e-1"]


def test_a_plain_call_of_the_same_task_tells_nobody():
    process = Process()
    task = process.task(lambda self, event: "paged")
    assert task.apply(args=(EVENT,)).get() == "paged"
    assert process.ended == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("saga_hook_v", 2),
        ("saga_id", "a b"),
        ("saga_event_id", None),
        ("saga_event_id", "x" * 65),
        ("saga_report_to", ""),
    ],
)
def test_a_message_that_is_not_understood_does_not_run(name, value, caplog):
    process = Process()
    task = process.task(lambda self, event: pytest.fail("it ran"))
    assert deliver(task, **{name: value}) is None
    assert process.ended == []
    assert "message t-1 of hook ops.page is dropped" in caplog.text


# --------------------------------------------------------------------------------------------------------- the report


@pytest.mark.parametrize("settings", [Settings(), KEYED])
def test_the_report_there_and_back(settings):
    sealed = seal("s-1", HookEnded(event_id="e-1"), settings)
    assert unseal("s-1", sealed, settings) == HookEnded(event_id="e-1")


def test_a_report_that_is_forged_or_odd_is_refused():
    with pytest.raises(MessageNotUnderstood, match="not signed"):
        unseal("s-1", seal("s-1", HookEnded(event_id="e-1"), Settings()), KEYED)
    with pytest.raises(MessageNotUnderstood, match="another saga"):
        unseal("s-2", seal("s-1", HookEnded(event_id="e-1"), KEYED), KEYED)
    with pytest.raises(MessageNotUnderstood, match="event"):
        unseal("s-1", seal("s-1", HookEnded(event_id="e 1"), KEYED), KEYED)


def test_a_coordinator_notes_what_is_reported():
    process = Process()
    Desk(process).take("s-1", seal("s-1", HookEnded(event_id="e-1"), KEYED))
    assert process.ended == ["e-1"]
