"""Signals and hooks with the composed parts: what is told to whom, and what it costs."""

import json
import logging
import uuid
from datetime import UTC, datetime, timedelta
from queue import Empty

import pytest
from celery import Celery
from celery.canvas import Signature

from saga_celery import Retry, Saga, SagaApp, saga_chain, signals, step
from saga_celery.app.hooks import LARGEST_RESULT
from saga_celery.core import events as e
from saga_celery.core.states import Failure, Slot
from saga_celery.definition import desk, registry
from saga_celery.errors import StoreUnavailable
from saga_celery.store import SQLStore
from saga_celery.store.clock import FakeClock
from saga_celery.store.migrate import migrate
from saga_celery.testing import run_inline

NOON = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)
BROKEN = Failure(type="shop.Broken", message="no luck", traceback="Traceback: line 7", step="ship")


def define(declared):
    class OrderSaga(Saga[int]):
        name = "shop.order"
        hooks = declared

        @step(retry=Retry(attempts=1))
        def charge(self, cents: int) -> Signature[str]:
            return self.task("card.charge", cents)

        @charge.compensate
        def refund(self, cents: int, charge: str) -> Signature[None]:
            return self.task("card.refund", charge)

        @step(retry=Retry(attempts=1), no_compensation="the last one")
        def ship(self, cents: int) -> Signature[str]:
            return self.task("parcel.ship", cents)

    return OrderSaga


class Shop:
    """An app on a broker in memory, and its database."""

    def __init__(self, url, declared, **settings):
        self.saga = define(declared)
        self.queue = f"hooks-{uuid.uuid5(uuid.NAMESPACE_OID, url)}"
        self.app = Celery("shop", broker="memory://", set_as_current=False)
        self.app.conf.update(saga_database_url=url, task_routes={"ops.*": {"queue": self.queue}}, **settings)
        self.sagas = SagaApp(self.app)
        self.clock = FakeClock(NOON)
        self.sagas._store = SQLStore(url, chance=lambda: 0.5, clock=self.clock)
        migrate(self.sagas.store.connections)

    def start(self, **options):
        return self.saga.start(5, key="order-7", tags={"customer": "ada"}, **options).id

    def news(self, saga_id, *news, operator=False):
        coordinator = self.sagas.operator() if operator else self.sagas.coordinator(parks_render_failures=True)
        for each in news:
            coordinator.handle(saga_id, each)

    def completed(self):
        saga_id = self.start()
        charged = e.AttemptSucceeded(slot=Slot("charge"), attempt=1, result="c-1")
        shipped = e.AttemptSucceeded(slot=Slot("ship"), attempt=1, result="p-1")
        self.news(saga_id, e.Nudged(), charged, shipped)
        return saga_id

    def in_doubt(self):
        saga_id = self.start()
        charged = e.AttemptSucceeded(slot=Slot("charge"), attempt=1, result="c-1")
        self.news(saga_id, e.Nudged(), charged)
        self.news(saga_id, e.AttemptLost(slot=Slot("ship"), attempt=1, reason="worker w1 died"), operator=True)
        return saga_id

    def messages(self):
        """What lies in the hooks' queue: (task, payload, headers)."""
        found = []
        with self.app.connection_for_read() as connection, connection.SimpleQueue(self.queue) as queue:
            while True:
                try:
                    message = queue.get_nowait()
                except Empty:
                    return found
                message.ack()
                found.append((message.headers["task"], message.decode()[0][0], message.headers))

    def open(self):
        return [(each.delivery.event, each.delivery.task) for each in self.sagas.store.deliveries.open()]


@pytest.fixture
def shop(sqlite_url, monkeypatch):
    monkeypatch.setattr(registry, "_sagas", {})
    monkeypatch.setattr(desk, "_bound", [])
    made = []

    def make(declared, **settings):
        made.append(Shop(sqlite_url, declared, **settings))
        return made[-1]

    yield make
    for each in made:
        each.sagas.store.dispose()


@pytest.fixture
def heard():
    """Listen to signals; everything is disconnected afterwards."""
    found, connected = [], []

    def listen(*names, sender=None):
        for name in names:

            def receiver(signal, sender, name=name, **arguments):
                found.append((name, sender, arguments))

            signals.SIGNALS[name].connect(receiver, sender=sender, weak=False)
            connected.append((name, receiver, sender))
        return found

    yield listen
    for name, receiver, sender in connected:
        signals.SIGNALS[name].disconnect(receiver, sender=sender)


class TestHooks:
    def test_a_hook_gets_one_plain_json_object_that_says_it_all(self, shop):
        house = shop({"step_succeeded": "ops.note"})
        saga_id = house.completed()
        (task, payload, headers), _ = house.messages()
        assert task == "ops.note"
        assert payload == {
            "id": headers["saga_event_id"],
            "event": "step_succeeded",
            "saga_id": saga_id,
            "saga_name": "shop.order",
            "version": 2,
            "key": "order-7",
            "tags": {"customer": "ada"},
            "at": "2030-01-01T12:00:00+00:00",
            "step": "charge",
            "item": 0,
            "attempt": 1,
            "result": "c-1",
            "result_left_out": False,
        }
        assert headers["root_id"] == saga_id
        assert headers["shadow"] == "shop.order/step_succeeded (hook)"
        assert headers["argsrepr"] == f"({{'id': {payload['id']!r}, …}},)"

    def test_those_of_the_class_and_those_of_all_sagas_each_once(self, shop):
        settings = {"saga_completed": ["ops.all", "ops.own"]}
        house = shop({"saga_completed": ("ops.own", "ops.more")}, saga_hooks=settings)
        house.completed()
        told = house.messages()
        assert [task for task, _, _ in told] == ["ops.own", "ops.more", "ops.all"]
        assert len({payload["id"] for _, payload, _ in told}) == 3
        assert len(house.open()) == 3

    def test_what_an_operators_process_moves_is_told_too_and_a_failure_is_summed_up(self, shop):
        house = shop({"saga_failed": "ops.page", "step_failed": "ops.page"})
        house.in_doubt()
        failed, parked = (payload for _, payload, _ in house.messages())
        assert (failed["event"], failed["step"]) == ("step_failed", "ship")
        assert (parked["event"], parked["step"], parked["reason"]) == ("saga_failed", "ship", "in_doubt")
        assert parked["failure"]["message"] == "worker w1 died"
        assert set(parked["failure"]) == {"type", "message", "step"}

    def test_what_the_sweeper_moves_is_told_too(self, shop, heard):
        house = shop({"saga_compensated": "ops.note"})
        found = heard("saga_compensated")
        house.start(timeout=timedelta(seconds=10))
        house.clock.turn(11)
        house.sagas.sweeper().tick()
        ((_, payload, _),) = house.messages()
        assert payload["reason"] == found[0][2]["reason"] == "deadline"

    def test_the_cause_of_a_turn_is_summed_up_without_its_traceback(self, shop):
        house = shop({"saga_compensating": "ops.note"})
        charged = e.AttemptSucceeded(slot=Slot("charge"), attempt=1, result="c-1")
        failed = e.AttemptFailed(slot=Slot("ship"), attempt=1, failure=BROKEN)
        house.news(house.start(), e.Nudged(), charged, failed)
        ((_, payload, _),) = house.messages()
        assert payload["failure"] == {"type": "shop.Broken", "message": "no luck", "step": "ship"}

    def test_a_large_result_is_left_out(self, shop):
        house = shop({"step_succeeded": "ops.note"})
        saga_id = house.start()
        large = e.AttemptSucceeded(slot=Slot("charge"), attempt=1, result="x" * LARGEST_RESULT)
        house.news(saga_id, e.Nudged(), large)
        ((_, payload, _),) = house.messages()
        assert (payload["result"], payload["result_left_out"]) == (None, True)

    def test_headers_of_the_start_travel_along(self, shop):
        house = shop({"saga_started": "ops.note"})
        house.news(house.start(headers={"traceparent": "00-1", "saga_event_id": "forged"}), e.Nudged())
        ((_, payload, headers),) = house.messages()
        assert headers["traceparent"] == "00-1"
        assert headers["saga_event_id"] == payload["id"]

    def test_what_is_not_confirmed_comes_again_with_the_same_event_id(self, shop):
        house = shop({"saga_started": "ops.note"}, saga_hook_grace=7.0)
        house.news(house.start(), e.Nudged())
        ((_, first, sent),) = house.messages()
        house.clock.turn(6.0)
        house.sagas.sweeper().tick()
        assert house.messages() == []
        house.clock.turn(1.1)
        house.sagas.sweeper().tick()
        ((_, second, resent),) = house.messages()
        assert second == first
        assert resent["id"] != sent["id"]
        house.sagas.hook_ended(first["id"])
        assert house.open() == []

    def test_a_hook_on_a_foreign_queue_counts_as_told_once_it_is_sent(self, shop):
        house = shop({"saga_started": ["ops.note", "crm.note"]})
        house.app.conf.saga_foreign_queues = [house.queue]
        house.news(house.start(), e.Nudged())
        assert house.open() == [("saga_started", "crm.note")]

    def test_a_saga_without_hooks_reads_and_writes_nothing_for_them(self, shop, monkeypatch):
        house = shop({}, saga_hooks={"saga_overdue": "ops.page"})
        monkeypatch.setattr(house.sagas.store.deliveries, "labels", lambda saga_id: pytest.fail("asked"))
        house.completed()
        assert house.open() == []

    def test_when_the_database_fails_before_the_commit_nothing_is_stored(self, shop, monkeypatch):
        house = shop({"saga_started": "ops.note"})
        saga_id = house.start()

        def fails(saga_id):
            raise StoreUnavailable("down")

        monkeypatch.setattr(house.sagas.store.deliveries, "labels", fails)
        with pytest.raises(StoreUnavailable):
            house.news(saga_id, e.Nudged())
        assert house.sagas.store.load(saga_id).version == 0


class TestWhereTheClassIsNotKnown:
    def test_a_process_with_the_class_works_out_the_same_deliveries(self, shop, monkeypatch):
        house = shop({"saga_failed": ["ops.page", "ops.note"]}, saga_hooks={"saga_failed": "ops.all"})
        saga_id = house.start()
        charged = e.AttemptSucceeded(slot=Slot("charge"), attempt=1, result="c-1")
        house.news(saga_id, e.Nudged(), charged)

        with monkeypatch.context() as elsewhere:
            elsewhere.setattr(registry, "_sagas", {})
            house.news(saga_id, e.AttemptLost(slot=Slot("ship"), attempt=1, reason="died"), operator=True)
            assert [task for task, _, _ in house.messages()] == ["ops.all"]
            house.clock.turn(5.1)
            house.sagas.sweeper().tick()
            assert house.messages() == []
            assert ("saga_failed", "") in house.open()

        house.clock.turn(30.1)
        house.sagas.sweeper().tick()
        told = house.messages()
        assert [task for task, _, _ in told] == ["ops.page", "ops.note"]
        assert ("saga_failed", "") not in house.open()

        history = house.sagas.store.queries.history(saga_id)
        place = [type(fact) for fact in history[-1].facts].index(e.SagaParked)
        base = uuid.uuid5(uuid.NAMESPACE_OID, f"{saga_id}/{history[-1].version}/{place}")
        for task, payload, headers in told:
            assert payload["id"] == headers["saga_event_id"] == str(uuid.uuid5(base, task))
            assert payload["event"] == "saga_failed"
            assert json.dumps(payload)


class TestSignals:
    def test_every_transition_is_told_with_what_the_signal_lists(self, shop, heard):
        house = shop({})
        found = heard(*signals.SIGNALS)
        saga_id = house.completed()
        common = {"saga_id": saga_id, "saga_name": "shop.order"}
        charged = {**common, "step": "charge", "item": 0, "attempt": 1}
        shipped = {**common, "step": "ship", "item": 0, "attempt": 1}
        assert found == [
            ("saga_started", "shop.order", {**common, "version": 1}),
            ("step_dispatched", "shop.order", {**charged, "version": 1}),
            ("step_succeeded", "shop.order", {**charged, "version": 2, "result": "c-1"}),
            ("step_dispatched", "shop.order", {**shipped, "version": 2}),
            ("step_succeeded", "shop.order", {**shipped, "version": 3, "result": "p-1"}),
            ("saga_completed", "shop.order", {**common, "version": 3, "result": None}),
        ]

    def test_an_operators_process_tells_too(self, shop, heard):
        house = shop({})
        found = heard("saga_failed", "saga_resumed")
        saga_id = house.in_doubt()
        house.saga.get(saga_id).retry(reason="looked it up", actor="ann")
        assert [(name, arguments.get("reason", arguments.get("state"))) for name, _, arguments in found] == [
            ("saga_failed", "in_doubt"),
            ("saga_resumed", "RUNNING"),
        ]

    def test_a_receiver_may_listen_to_one_saga(self, shop, heard):
        house = shop({})
        found = heard("saga_started", sender="travel.trip")
        house.completed()
        assert found == []
        found = heard("saga_started", sender="shop.order")
        house.saga.start(5)
        house.news(house.saga.start(5, key="another").id, e.Nudged())
        assert len(found) == 1

    def test_they_come_after_the_commit(self, shop):
        house = shop({})
        seen = []

        def look(saga_id, version, **_):
            seen.append((house.sagas.store.load(saga_id).version, version))

        signals.saga_started.connect(look)
        house.news(house.start(), e.Nudged())
        signals.saga_started.disconnect(look)
        assert seen == [(1, 1)]

    def test_a_receiver_that_raises_is_logged_and_harms_nothing(self, shop, heard, caplog):
        house = shop({"saga_completed": "ops.note"})

        def broken(**_):
            raise ArithmeticError("the receiver is broken")

        signals.saga_started.connect(broken)
        found = heard("saga_completed")
        with caplog.at_level(logging.ERROR):
            house.completed()
        signals.saga_started.disconnect(broken)
        assert "the receiver is broken" in caplog.text
        assert [name for name, _, _ in found] == ["saga_completed"]
        assert len(house.messages()) == 1

    def test_run_inline_sends_them(self, shop, heard):
        found = heard("saga_started", "step_compensated", "saga_compensated")
        saga = shop({"saga_compensated": "ops.note"}).saga

        def fails(cents):
            raise LookupError("no parcel")

        run_inline(saga, 5, tasks={"card.charge": lambda n: "c-1", "card.refund": lambda c: None, "parcel.ship": fails})
        assert [name for name, _, _ in found] == ["saga_started", "step_compensated", "saga_compensated"]
        assert found[-1][2]["failure"].message == "no parcel"

    def test_without_receivers_no_fact_is_looked_at(self, shop, monkeypatch):
        house = shop({})
        monkeypatch.setattr(signals, "occurrences", lambda state, facts: pytest.fail("looked"))
        house.completed()

    def test_every_event_has_a_signal_with_its_arguments(self):
        assert set(signals.SIGNALS) == set(signals.ARGUMENTS)
        for name, signal in signals.SIGNALS.items():
            assert signal is getattr(signals, name)
            assert signal.providing_args == {"saga_id", "saga_name", "version", *signals.ARGUMENTS[name]}


def test_a_chain_has_no_class_whose_hooks_somebody_else_might_know(shop):
    made = shop({}, saga_hooks={"saga_completed": "ops.count"})
    chain = saga_chain("shop.chain", made.app.signature("card.charge", immutable=True)).start()
    made.news(chain.id, e.Nudged(), e.AttemptSucceeded(slot=Slot("charge"), attempt=1, result="c-1"))
    assert [each.delivery.task for each in made.sagas.store.deliveries.open(limit=10)] == ["ops.count"]
