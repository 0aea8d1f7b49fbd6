"""Alerts with the composed parts: who is told, what is posted, and that nobody who dies takes an alert along."""

import hashlib
import hmac
import logging

import pytest
from celery import Celery
from celery.canvas import Signature

from saga_celery import Retry, Saga, SagaApp, signals, step
from saga_celery.app.alerts import TEST, trial_payload
from saga_celery.core import events as e
from saga_celery.core.states import Slot
from saga_celery.definition import desk, registry
from saga_celery.engine.courier import MOST_SENDS, Courier
from saga_celery.engine.lookout import Lookout
from saga_celery.engine.occurrences import Occurrence
from saga_celery.errors import AlertNotDelivered, NotConfigured
from saga_celery.store import SQLStore
from saga_celery.store.clock import FakeClock
from saga_celery.store.migrate import migrate
from saga_celery.transport import wire
from saga_celery.transport.alerts import ALERT, hook_message
from tests.receiver import receiving
from tests.store.conftest import NOON

PAGED = {"saga_stuck": "ops.page"}
IN_VAIN = 10 + 20 + 40 + 60 + 20
"""Seconds after which a nudge that nobody answers was repeated often enough, and long enough ago."""


def define(declared):
    class OrderSaga(Saga[int]):
        name = "shop.order"
        hooks = declared

        @step(retry=Retry(attempts=1), no_compensation="the only step")
        def charge(self, cents: int) -> Signature[str]:
            return self.task("card.charge", cents)

    return OrderSaga


class House:
    """An app on a broker in memory whose database's clock and sweeper are turned by hand."""

    def __init__(self, url, hooks=None, **settings):
        self.saga = define(hooks or {})
        self.app = Celery("shop", broker="memory://", set_as_current=False)
        self.app.conf.update(saga_database_url=url, saga_sweep_interval=10.0, **settings)
        self.sagas = SagaApp(self.app)
        self.clock = FakeClock(NOON)
        self.sagas._store = SQLStore(url, chance=lambda: 0.5, clock=self.clock)
        migrate(self.sagas.store.connections)
        self.sweepers = [self.sweeper()]

    def sweeper(self):
        """One of a process of its own."""
        self.sagas._lookout = Lookout(
            rows=self.sagas.store.stuck,
            store=self.sagas.store,
            patience=60.0,
            in_vain=3,
            gap=30.0,
            courier=self.sagas._courier(),
            on_stuck=signals.tell_of,
            elapsed=lambda: (self.clock.time - NOON).total_seconds(),
        )
        return self.sagas.sweeper()

    def sweep(self, seconds, every=10.0):
        for _ in range(int(seconds // every)):
            self.clock.turn(every)
            for sweeper in self.sweepers:
                sweeper.tick()

    def in_doubt(self, **options):
        saga_id = self.saga.start(5, **options).id
        self.sagas.coordinator(parks_render_failures=True).handle(saga_id, e.Nudged())
        lost = e.AttemptLost(slot=Slot("charge"), attempt=1, reason="worker w1 died; password=sesame <!channel>")
        self.sagas.operator().handle(saga_id, lost)
        return saga_id

    def open(self):
        return sorted((each.delivery for each in self.sagas.store.deliveries.open()), key=lambda each: each.task)

    def carry_out(self, delivery):
        """What a worker does with the message of an alert."""
        message = hook_message(delivery, self.sagas.settings)
        task = self.app.tasks[message.task]
        headers = wire.hook_headers_of(delivery, self.sagas.settings)
        task.push_request(id="t-1", task=task.name, headers=headers)
        try:
            task.run(*message.args, **message.kwargs)
        finally:
            task.pop_request()


@pytest.fixture
def receiver(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with receiving() as found:
        yield found


@pytest.fixture
def own_registry(monkeypatch):
    monkeypatch.setattr(registry, "_sagas", {})
    monkeypatch.setattr(desk, "_bound", [])


@pytest.fixture
def house(sqlite_url, own_registry):
    made = []

    def make(hooks=None, **settings):
        made.append(House(sqlite_url, hooks, **settings))
        return made[-1]

    yield make
    for each in made:
        each.sagas.store.dispose()


@pytest.fixture
def heard():
    found = []

    def note(saga_id, saga_name, version, sender, **details):
        found.append((sender, saga_id, saga_name, version, details))

    signals.saga_stuck.connect(note)
    yield found
    signals.saga_stuck.disconnect(note)


class TestStuck:
    def test_of_two_sweepers_one_tells_by_signal_log_and_hook(self, house, heard, caplog):
        house = house(PAGED)
        house.sweepers.append(house.sweeper())
        saga_id = house.saga.start(5, key="order-7", tags={"customer": "ada"}).id
        with caplog.at_level(logging.ERROR):
            house.sweep(600.0)
        ((sender, *about, details),) = heard
        assert (sender, about) == ("shop.order", [saga_id, "shop.order", 0])
        assert details.pop("signal") is signals.saga_stuck
        assert set(details) == set(signals.ARGUMENTS["saga_stuck"])
        (told,) = house.open()
        assert (told.task, told.event) == ("ops.page", "saga_stuck")
        assert told.payload == {
            "id": told.id,
            "event": "saga_stuck",
            "saga_id": saga_id,
            "saga_name": "shop.order",
            "version": 0,
            "key": "order-7",
            "tags": {"customer": "ada"},
            "at": told.payload["at"],
            **details,
        }
        assert [each.getMessage().split(":")[0] for each in caplog.records] == [f"saga shop.order {saga_id} is stuck"]

    def test_a_sweeper_that_is_killed_after_its_commit_takes_no_alert_along(self, house, heard, monkeypatch):
        house = house(PAGED, saga_hook_grace=5.0)
        house.saga.start(5)
        sent, published = [], house.sagas.transport
        monkeypatch.setattr(type(published), "deliver", lambda self, delivery: sent.append(delivery.id))

        class Killed(BaseException):
            pass

        def dies(self, deliveries):
            raise Killed

        with monkeypatch.context() as dying:
            dying.setattr(Courier, "send", dies)
            with pytest.raises(Killed):
                house.sweep(600.0)
        assert (heard, sent) == ([], [])
        house.sweepers = [house.sweeper()]
        house.sweep(10.0)
        (told,) = house.open()
        assert sent == [told.id]
        house.sweep(600.0)
        assert len(house.open()) == 1
        assert heard == []

    def test_each_time_it_is_stuck_anew_has_an_event_id_of_its_own(self, house, heard, monkeypatch):
        house = house(PAGED)
        monkeypatch.setattr(type(house.sagas.transport), "backlog", lambda self, message=None: 0)
        saga_id = house.saga.start(5).id
        house.sweep(IN_VAIN)
        house.sagas.coordinator(parks_render_failures=True).handle(saga_id, e.Nudged())
        house.sweep(900.0)
        assert [details["reason"] for *_, details in heard] == ["unanswered", "not_begun"]
        assert len({each.id for each in house.open()}) == 2

    def test_so_has_each_time_at_the_same_version(self, house):
        house = house(PAGED)
        state = house.sagas.store.load(house.saga.start(5).id)
        what = Occurrence(event="saga_stuck", place=0, details={})
        (first,) = house.sagas._courier().prepared_for(state, what)
        house.clock.turn(1.0)
        (second,) = house.sagas._courier().prepared_for(state, what)
        assert first.id != second.id

    def test_a_saga_without_hooks_is_told_by_signal_and_log_alone(self, house, heard, monkeypatch):
        house = house()
        house.saga.start(5)
        monkeypatch.setattr(house.sagas.store.deliveries, "labels", lambda saga_id: pytest.fail("asked"))
        house.sweep(IN_VAIN)
        assert len(heard) == 1
        assert house.open() == []


class TestWebhook:
    def test_a_saga_that_failed_is_posted_in_a_sentence_and_in_data(self, house, receiver):
        keys = {"k1": "hmac"}
        house = house(
            saga_alert_webhook=receiver.url, saga_hmac_keys=keys, saga_console_url="https://ops.example/sagas"
        )
        saga_id = house.in_doubt(key="order-7", tags={"customer": "ada", "card": "4242"})
        (delivery,) = house.open()
        assert delivery.task == f"{ALERT}#1"
        house.carry_out(delivery)
        (posted,) = receiver.posted
        why = "in_doubt: saga_celery.OutcomeUnknown: worker w1 died; password=*** &lt;!channel&gt;"
        assert posted["text"] == (
            f"Saga shop.order order-7 failed at step charge ({why}). "
            f"Next: `celery -A … saga show {saga_id}` https://ops.example/sagas#/saga/{saga_id}"
        )
        assert posted["url"] == f"https://ops.example/sagas#/saga/{saga_id}"
        assert posted["tags"] == {"customer": "ada", "card": "***"}
        assert (posted["event"], posted["step"], posted["reason"]) == ("saga_failed", "charge", "in_doubt")
        assert b"sesame" not in receiver.bodies[0]
        (request,) = receiver.requests
        assert request["idempotency-key"] == posted["id"] == delivery.id
        mac = hmac.new(b"hmac", b"saga-webhook\n" + receiver.bodies[0], hashlib.sha256).hexdigest()
        assert (request["x-saga-key"], request["x-saga-signature"]) == ("k1", f"sha256={mac}")
        assert house.open() == []

    def test_what_one_does_not_take_is_sent_again_and_the_others_are_told_once(self, house, receiver, caplog):
        house = house(saga_alert_webhook=[receiver.url, f"{receiver.url}/2"], saga_hook_grace=5.0)
        receiver.answers = [503, 200]
        house.in_doubt()
        first, second = house.open()
        with pytest.raises(AlertNotDelivered, match="answered 503"):
            house.carry_out(first)
        house.carry_out(second)
        assert "the webhook at 127.0.0.1 answered 503; the alert is sent again" in caplog.text
        assert "s3cret" not in caplog.text
        assert [each.id for each in house.open()] == [first.id]
        house.sweep(10.0)
        (again,) = house.open()
        assert (again.id, again.tries) == (first.id, 2)
        house.carry_out(again)
        assert [each["path"][-2:] for each in receiver.requests] == ["et", "/2", "et"]
        assert receiver.posted[0] == receiver.posted[2]
        assert house.open() == []

    def test_one_that_never_takes_it_is_given_up_and_kept(self, house, receiver):
        house = house(saga_alert_webhook=receiver.url, saga_hook_grace=1.0)
        house.in_doubt()
        house.sweep(MOST_SENDS * 3600.0, every=3600.0)
        (kept,) = house.sagas.store.deliveries.open(given_up=True)
        assert kept.delivery.tries == MOST_SENDS

    def test_the_message_goes_to_the_coordinators_and_holds_no_url(self, house, receiver):
        house = house(saga_alert_webhook=receiver.url, saga_queue="sagas", saga_foreign_queues=["celery"])
        house.in_doubt()
        with house.app.connection_for_read() as connection, connection.SimpleQueue("sagas") as queue:
            found = [queue.get_nowait() for _ in range(queue.qsize())]
            for each in found:
                each.ack()
        (message,) = [each for each in found if each.headers["task"] == ALERT]
        assert "s3cret" not in str(message.body) + str(message.headers)
        assert len(house.open()) == 1

    def test_which_events_are_told_can_be_chosen_beside_other_hooks(self, house, receiver):
        events, hooks = ["saga_started"], {"saga_started": "ops.note"}
        house = house(saga_alert_webhook=receiver.url, saga_alert_events=events, saga_hooks=hooks)
        house.in_doubt()
        assert [each.task for each in house.open()] == ["ops.note", f"{ALERT}#1"]
        house.carry_out(house.open()[1])
        (posted,) = receiver.posted
        assert "saga started. Next: `celery -A … saga show" in posted["text"]

    def test_without_a_webhook_nobody_is_told(self, house):
        house = house(saga_alert_events="saga_failed")
        house.in_doubt()
        assert house.open() == []

    def test_a_webhook_that_was_taken_off_the_list_is_told_no_more(self, house, receiver):
        house = house(saga_alert_webhook=receiver.url)
        with pytest.raises(AlertNotDelivered, match="there is no webhook number 2; see saga_alert_webhook"):
            house.sagas.alert(trial_payload("e-1", NOON), 2)
        with pytest.raises(AlertNotDelivered, match="number 0"):
            house.sagas.alert(trial_payload("e-1", NOON), 0)

    def test_a_test_alert_says_so(self, house, receiver):
        house = house(saga_alert_webhook=receiver.url, saga_console_url="https://ops.example/", saga_redact=["id"])
        house.sagas.alert(trial_payload("e-1", NOON), 1)
        (posted,) = receiver.posted
        assert (posted["event"], posted["id"]) == (TEST, "e-1")
        assert "this is a test" in posted["text"]
        assert "url" not in posted

    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            ({"saga_alert_webhook": "ftp://host/s3cret"}, "saga_alert_webhook, number 1: it does not begin with https"),
            ({"saga_alert_webhook": ["https://host/", "s3cret"]}, "saga_alert_webhook, number 2"),
            ({"saga_alert_webhook": 7}, "saga_alert_webhook=7: expected tuple"),
            ({"saga_alert_events": "saga_fail"}, "saga_alert_events: .*did you mean 'saga_failed'"),
            ({"saga_console_url": "ops.example"}, "saga_console_url: it does not begin with https"),
        ],
    )
    def test_settings_that_can_not_be_are_refused_without_the_secret(self, own_registry, settings, words):
        app = Celery("shop", broker="memory://", set_as_current=False)
        app.conf.update(settings)
        with pytest.raises(NotConfigured, match=words) as raised:
            SagaApp(app).check_settings()
        assert "s3cret" not in str(raised.value)
