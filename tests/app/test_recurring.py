"""`saga_celery.start`, sent by celery beat, on every database."""

from datetime import UTC, datetime

import pytest
from celery.beat import ScheduleEntry, Scheduler
from celery.schedules import crontab

from saga_celery import InputRejected, SagaStatus, UnknownSaga
from saga_celery.app import recurring
from saga_celery.errors import StoreUnavailable
from saga_celery.store.clock import FakeClock
from saga_celery.store.sql_store import SQLStore


@pytest.fixture
def app(errands):
    """With an empty queue: brokers in memory are shared by all tests of a process."""
    sent(errands.sagas.celery)
    return errands.sagas.celery


def sent(app):
    """The messages in the coordinator's queue: the task's arguments, and its id."""
    found = []
    with app.connection_for_read() as connection:
        queue = connection.SimpleQueue("saga")
        while queue.qsize():
            message = queue.get_nowait()
            message.ack()
            if message.headers["task"] == recurring.START:
                found.append((*message.payload[:2], message.headers["id"]))
        queue.close()
    return found


def fire(app, *args, **kwargs):
    """What beat does when an entry of `beat_schedule` is due."""
    scheduler = Scheduler(app, lazy=True)
    timing = {"name": "nightly", "schedule": crontab(minute="0", hour="2"), "app": app}
    scheduler.apply_async(ScheduleEntry(task="saga_celery.start", args=args, kwargs=kwargs, **timing), advance=False)


def deliver(app):
    for args, kwargs, message_id in sent(app):
        app.tasks[recurring.START].apply(args, kwargs, task_id=message_id, throw=True)


def test_an_entry_of_beat_starts_a_saga(errands, app):
    fire(app, "town.errand", 5)
    deliver(app)
    (row,) = errands.sagas.store.queries.find()
    found = errands.sagas.store.queries.snapshot(row.id)
    assert (row.name, found.state.input, row.status) == ("town.errand", 5, SagaStatus.PENDING)


def test_a_message_that_comes_twice_starts_one_saga(errands, app):
    fire(app, "town.errand", 5)
    ((args, kwargs, message_id),) = sent(app)
    for _ in range(2):
        app.tasks[recurring.START].apply(args, kwargs, task_id=message_id, throw=True)
    assert len(errands.sagas.store.queries.find()) == 1
    fire(app, "town.errand", 5)  # the next night
    deliver(app)
    assert len(errands.sagas.store.queries.find()) == 2


def test_two_beats_start_one_saga_a_night_when_the_key_names_the_night(errands, app):
    """By the database's clock, in the time zone of the app."""
    app.conf.timezone = "Asia/Tokyo"
    clock = FakeClock(datetime(2030, 1, 1, 17, 0, tzinfo=UTC))
    errands.sagas.store.dispose()
    url = errands.sagas.settings.database_url
    errands.sagas._store = SQLStore(url, chance=lambda: 0.5, clock=clock)
    for _ in range(2):
        fire(app, "town.errand", 5, key="nightly-%Y-%m-%d")
    deliver(app)
    (row,) = errands.sagas.store.queries.find()
    assert row.key == "nightly-2030-01-02"
    clock.turn(86_400)
    fire(app, "town.errand", 5, key="nightly-%Y-%m-%d")
    deliver(app)
    assert len(errands.sagas.store.queries.find()) == 2


def test_the_options_of_start_may_stand_in_the_entry(errands, app):
    fire(app, "town.errand", 5, tags={"night": 1}, lock="books", priority=3)
    deliver(app)
    (row,) = errands.sagas.store.queries.find(tags={"night": "1"})
    assert (row.lock, row.priority) == ("books", 3)


@pytest.mark.parametrize(
    ("args", "kwargs", "error"),
    [
        (("town.errand", "five"), {}, InputRejected),
        (("town.errand", 5), {"session": "mine"}, InputRejected),
        (("town.nobody",), {}, UnknownSaga),
    ],
)
def test_what_does_not_fit_fails_and_starts_nothing(errands, app, args, kwargs, error):
    fire(app, *args, **kwargs)
    with pytest.raises(error):
        deliver(app)
    assert errands.sagas.store.queries.find() == []


def test_while_the_database_is_away_the_message_goes_back_to_the_queue(errands, app, monkeypatch):
    def away():
        raise StoreUnavailable("the database does not answer")

    monkeypatch.setattr(recurring, "PATIENCE", 0.0)
    monkeypatch.setattr(recurring, "PAUSE", 0.0)
    with pytest.raises(recurring.Reject) as caught:
        recurring._held("town.errand", away)
    assert caught.value.requeue


def test_a_process_that_only_sends_routes_it_to_the_coordinators(errands, app):
    assert app.tasks[recurring.START].queue == "saga"
