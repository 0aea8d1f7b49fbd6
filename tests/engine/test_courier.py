"""Hooks on ports in memory: stored with the transition, told at least once, never in the way of the saga."""

from dataclasses import replace

import pytest

from saga_celery.core import events as e
from saga_celery.core.states import Slot
from saga_celery.engine.coordinator import Coordinator
from saga_celery.engine.courier import LEASE, LONGEST_REST, MOST_SENDS, UNSENT_REST, Courier
from saga_celery.engine.ports import Delivery
from saga_celery.engine.sweeper import Sweeper
from saga_celery.errors import PublishFailed, StoreError, StoreUnavailable
from tests.core.stories import linear
from tests.engine.fakes import FakeClock, FakeRenderer, FakeStore, FakeTransport, flat_backoff

GRACE = 60.0


class FakeDeliveries:
    """The delivery table; `down` takes it away."""

    def __init__(self, clock):
        self.clock = clock
        self.rows = {}
        self.due_at = {}
        self.since = {}
        self.down = None

    def add(self, delivery):
        self.rows[delivery.id] = delivery
        self.since[delivery.id] = self.clock.now
        self.due_at[delivery.id] = self.clock.now + delivery.seconds

    def due(self, limit, lease):
        self._answer()
        now = self.clock.now
        found = [key for key, at in self.due_at.items() if at is not None and at <= now][:limit]
        for key in found:
            self.due_at[key] = now + lease
        return [replace(self.rows[key], age=now - self.since[key]) for key in found]

    def postpone(self, delivery, seconds, *, sent):
        self._answer()
        if delivery.id in self.rows:
            self.rows[delivery.id] = replace(self.rows[delivery.id], tries=delivery.tries + sent)
            self.due_at[delivery.id] = self.clock.now + seconds

    def replace(self, delivery, by):
        self.settle([delivery.id])
        for each in by:
            self.add(each)

    def settle(self, ids):
        self._answer()
        for key in ids:
            self.rows.pop(key, None), self.due_at.pop(key, None)
        return len(ids)

    def give_up(self, delivery):
        self.due_at[delivery.id] = None

    def hasten(self, ids, seconds):
        self._answer()
        for key in ids:
            self.due_at[key] = min(self.due_at[key], self.clock.now + seconds)

    def _answer(self):
        if self.down is not None:
            raise self.down


class FakePost:
    """A broker; what stands in `broken` can not be sent."""

    def __init__(self):
        self.sent = []
        self.trouble = {}
        self.foreign = set()
        self.down = False

    def deliver(self, delivery):
        if self.down:
            raise PublishFailed("the broker is down")
        if delivery.task in self.trouble:
            raise self.trouble[delivery.task]
        self.sent.append((delivery.task, delivery.tries))

    def confirms(self, delivery):
        return delivery.task not in self.foreign


class FakeHooks:
    """Tells `tasks` of every transition; an empty name stands for a class that is not known."""

    def __init__(self, *tasks):
        self.tasks = tasks
        self.known = None
        self.asked = []

    def deliveries(self, state, version, facts):
        self.asked.append((version, [type(fact).__name__ for fact in facts]))
        return [self._to(f"{state.id}/{version}/{task}", task) for task in self.tasks]

    def resolved(self, delivery):
        return None if self.known is None else [self._to(f"{delivery.id}/{task}", task) for task in self.known]

    def _to(self, id_, task):
        return Delivery(id=id_, saga_id="s1", event="saga_started", task=task, payload={}, seconds=GRACE)


class House:
    """A coordinator and a sweeper that share a courier."""

    def __init__(self, *tasks, batch=200):
        self.clock = FakeClock()
        self.store = FakeStore(clock=self.clock)
        self.rows, self.post, self.hooks = FakeDeliveries(self.clock), FakePost(), FakeHooks(*tasks)
        self.courier = Courier(hooks=self.hooks, rows=self.rows, post=self.post)
        parts = {"store": self.store, "transport": FakeTransport()}
        self.coordinator = Coordinator(renderer=FakeRenderer(), backoff=flat_backoff, courier=self.courier, **parts)
        self.sweeper = Sweeper(coordinator=self.coordinator, courier=self.courier, batch=batch, **parts)
        self.store.start(linear("a", "b"))
        self._keep_deliveries()

    def _keep_deliveries(self):
        """The fake store knows nothing of hooks; a real one stores them with the transition."""
        save = self.store.save

        def save_both(change):
            saved = save(change)
            for delivery in change.deliveries if saved else ():
                self.rows.add(delivery)
            return saved

        self.store.save = save_both

    def begin(self):
        self.coordinator.handle("s1", e.Nudged())
        self.store.rows.clear()  # only hooks are swept here
        return self

    def after(self, seconds):
        self.clock.advance(seconds)
        return self.sweeper.tick()


def test_what_a_transition_tells_is_stored_with_it_and_then_sent():
    house = House("ops.page").begin()
    assert house.hooks.asked == [(1, ["SagaStarted", "StepScheduled", "ActivityRendered", "StepDispatched"])]
    assert house.post.sent == [("ops.page", 1)]
    assert list(house.rows.rows) == ["s1/1/ops.page"]


def test_news_that_change_nothing_ask_no_hook():
    house = House("ops.page").begin()
    house.coordinator.handle("s1", e.Nudged())
    assert len(house.hooks.asked) == 1


def test_a_lost_race_tells_nothing():
    house = House("ops.page")
    save, races = house.store.save, []

    def overtaken(change):
        races.append(change)
        return False if len(races) == 1 else save(change)

    house.store.save = overtaken
    house.begin()
    assert len(races) == 2
    assert house.post.sent == [("ops.page", 1)]


def test_the_delay_doubles_until_the_hook_has_run_to_its_end():
    house = House("ops.page").begin()
    waits = []
    for _ in range(5):
        (due,) = house.rows.due_at.values()
        waits.append(due - house.clock.now)
        assert house.after(waits[-1] - 0.1).found == 0
        assert house.after(0.1).found == 1
    assert waits == pytest.approx([60.0, 60.0, 120.0, 240.0, 480.0])
    assert house.post.sent == [("ops.page", n) for n in range(1, 7)]
    house.rows.settle(["s1/1/ops.page"])
    assert house.after(10_000.0).found == 0


def test_after_many_tries_it_is_given_up_aloud_and_kept(caplog):
    house = House("ops.page").begin()
    for _ in range(MOST_SENDS + 3):
        house.after(LONGEST_REST)
    assert len(house.post.sent) == MOST_SENDS
    assert house.rows.due_at == {"s1/1/ops.page": None}
    assert "hook ops.page for saga_started of saga s1 was sent 12 times and never ran to its end" in caplog.text


def test_a_worker_without_saga_code_counts_as_told_once_it_is_sent():
    house = House("crm.note")
    house.post.foreign.add("crm.note")
    house.begin()
    assert house.post.sent == [("crm.note", 1)]
    assert house.rows.rows == {}


def test_a_broker_that_is_away_uses_up_no_try(caplog):
    house = House("ops.page")
    house.post.down = True
    house.begin()
    assert house.store.sagas["s1"].version == 1
    for _ in range(3 * MOST_SENDS):
        assert house.after(UNSENT_REST).failed == 0
    assert "is sent later (the broker is down)" in caplog.text
    house.post.down = False
    house.after(UNSENT_REST)
    assert house.post.sent == [("ops.page", 2)]


def test_a_hook_that_can_not_be_sent_keeps_back_nobody_and_is_given_up_in_the_end(caplog):
    house = House("ops.odd", "ops.page")
    house.post.trouble["ops.odd"] = LookupError("no queue is called odd")
    house.begin()
    assert house.post.sent == [("ops.page", 1)]
    assert "no queue is called odd" in caplog.text
    assert house.after(GRACE).failed == 1
    for _ in range(MOST_SENDS):
        house.after(LONGEST_REST)
    assert house.rows.due_at["s1/1/ops.odd"] is None


@pytest.mark.parametrize("trouble", [StoreUnavailable("down"), StoreError("refused")])
def test_the_saga_goes_on_when_the_database_goes_away_after_the_commit(trouble, caplog):
    house = House("crm.note")
    house.post.foreign.add("crm.note")
    house.rows.down = trouble
    assert house.coordinator.handle("s1", e.Nudged()).state.version == 1
    assert "sent when their time comes" in caplog.text
    house.rows.down = None
    assert list(house.rows.rows) == ["s1/1/crm.note"]


def test_without_a_database_the_tick_is_over():
    house = House("crm.note")
    house.post.foreign.add("crm.note")
    house.begin()
    house.rows.add(Delivery(id="x", saga_id="s1", event="saga_failed", task="crm.note", payload={}, seconds=0.0))
    house.post.deliver = lambda delivery: setattr(house.rows, "down", StoreUnavailable("down"))
    with pytest.raises(StoreUnavailable):
        house.after(0.0)


def test_what_is_held_by_one_sweeper_is_not_found_by_another():
    house = House("ops.page").begin()
    house.clock.advance(GRACE)
    assert len(house.rows.due(10, LEASE)) == 1
    assert house.sweeper.tick().found == 0


def test_a_full_batch_of_hooks_asks_for_more():
    house = House("ops.page", "crm.note", batch=1).begin()
    assert house.after(GRACE).more
    house = House("ops.page", batch=2).begin()
    assert not house.after(GRACE).more


class TestClassNotKnown:
    """The process that moved the saga does not know its class, and so not its hooks."""

    def test_nothing_is_sent_but_a_sweeper_looks_soon(self):
        house = House("").begin()
        assert house.post.sent == []
        assert house.rows.due_at == {"s1/1/": UNSENT_REST}

    def test_a_sweeper_that_knows_the_class_puts_its_hooks_in_the_place(self):
        house = House("").begin()
        house.hooks.known = ("ops.page", "crm.note")
        assert house.after(UNSENT_REST).found == 1
        assert house.post.sent == [("ops.page", 1), ("crm.note", 1)]
        assert list(house.rows.rows) == ["s1/1//ops.page", "s1/1//crm.note"]

    def test_a_class_without_hooks_leaves_nothing(self):
        house = House("").begin()
        house.hooks.known = ()
        house.after(UNSENT_REST)
        assert house.rows.rows == {}

    def test_nobody_who_knows_it_is_said_in_the_end(self, caplog):
        house = House("").begin()
        for _ in range(MOST_SENDS):
            house.after(LONGEST_REST)
        assert house.rows.due_at == {"s1/1/": None}
        assert "class is not in any process that sweeps" in caplog.text


def test_hooks_are_asked_of_the_state_as_it_will_be_stored():
    house = House("ops.page").begin()
    house.coordinator.handle("s1", e.AttemptSucceeded(slot=Slot("a"), attempt=1))
    assert [version for version, _ in house.hooks.asked] == [1, 2]
