"""The lookout on ports in memory: who does not move is told of once, and nobody who merely had to wait."""

import logging
from dataclasses import replace

import pytest

from saga_celery.core import events as e
from saga_celery.core.retry import Retry
from saga_celery.core.states import Policy, SagaStatus, Slot
from saga_celery.engine import lookout
from saga_celery.engine.coordinator import Coordinator
from saga_celery.engine.courier import Courier
from saga_celery.engine.lookout import LONGEST_GAP, LOOK_EVERY, Lookout
from saga_celery.engine.occurrences import ARGUMENTS
from saga_celery.engine.ports import NUDGE_SLOT, Awaited, Delivery, Stuck, Trouble
from saga_celery.engine.sweeper import Sweeper
from saga_celery.errors import StoreUnavailable
from tests.core.stories import linear
from tests.engine.fakes import FakeRenderer, FakeStore, FakeTransport, flat_backoff

SAFE = Policy(retry=Retry(attempts=3), queue_grace=10.0, timeout=60.0, resend=True)
PATIENCE = 60.0
REPEATED = {Awaited.START: Trouble.NOT_BEGUN, Awaited.NUDGE: Trouble.UNANSWERED}


class FakeStuckRows:
    """What the store tells of the fake store's rows, and the table of those who were told of."""

    def __init__(self, store):
        self.store = store
        self.told = {}
        self.down = None

    def overdue(self, seconds, limit):
        self._answer()
        found = [place[0] for place, row in self.store.rows.items() if row.at < self.store.clock.now - seconds]
        return found[:limit]

    def repeated(self, limit):
        self._answer()
        return [saga_id for saga_id in self.store.sagas if self._stuck(saga_id, None)][:limit]

    def still(self, saga_ids, *, overdue):
        return [found for each in saga_ids if each not in self.told and (found := self._stuck(each, overdue))]

    def record(self, stuck, deliveries):
        return self.told.setdefault(stuck.saga_id, (stuck, deliveries)) == (stuck, deliveries)

    def forget(self, *, overdue):
        gone = [saga_id for saga_id in self.told if self._stuck(saga_id, overdue) is None]
        for saga_id in gone:
            del self.told[saga_id]
        return len(gone)

    def _stuck(self, saga_id, overdue):
        state = self.store.sagas.get(saga_id)
        if state is None or state.suspended or state.status is SagaStatus.FAILED:
            return None
        for row in self.store.rows_of(saga_id):
            late, due = self.store.clock.now - row.at, row.due
            about = {"saga_id": saga_id, "slot": due.slot, "attempt": due.attempt}
            if row.failures >= 3:
                return Stuck(trouble=Trouble.FAILING, times=row.failures, **about)
            if row.resends >= 3 and due.awaited in REPEATED:
                return Stuck(trouble=REPEATED[due.awaited], times=row.resends, **about)
            if overdue is not None and late > overdue:
                return Stuck(trouble=Trouble.OVERDUE, seconds=late, **about)
        return None

    def _answer(self):
        if self.down is not None:
            raise self.down


class Hooks:
    """Tells `ops.page` of every standstill."""

    def deliveries(self, state, version, facts):
        return ()

    def standstill(self, state, what):
        return [Delivery(id=state.id, saga_id=state.id, event=what.event, task="ops.page", payload=dict(what.details))]


class Post:
    """Notes what is sent."""

    def __init__(self):
        self.sent = []

    def deliver(self, delivery):
        self.sent.append((delivery.task, delivery.saga_id))

    def confirms(self, delivery):
        return True


class NoDeliveries:
    """No hook is ever due."""

    def due(self, limit, lease):
        return ()


class House:
    """A saga whose first step was just sent, and a sweeper that looks out."""

    def __init__(self, *, hooks=True, batch=200, begun=True):
        self.store = FakeStore()
        self.transport = FakeTransport()
        self.rows, self.post, self.heard = FakeStuckRows(self.store), Post(), []
        courier = Courier(hooks=Hooks(), rows=NoDeliveries(), post=self.post) if hooks else None
        parts = {"store": self.store, "transport": self.transport}
        self.task = Coordinator(renderer=FakeRenderer(policy=SAFE), backoff=flat_backoff, **parts)
        self.lookout = Lookout(
            rows=self.rows,
            store=self.store,
            patience=PATIENCE,
            in_vain=3,
            gap=LONGEST_GAP,
            courier=courier,
            on_stuck=(lambda state, what: self.heard.append((state.id, what))) if hooks else None,
            elapsed=lambda: self.store.clock.now,
        )
        sweeping = Coordinator(renderer=None, backoff=flat_backoff, **parts)
        self.sweeper = Sweeper(coordinator=sweeping, courier=courier, lookout=self.lookout, batch=batch, **parts)
        self.store.start(linear("a", "b"))
        if begun:
            self.task.handle("s1", e.Nudged())

    def sweep(self, seconds, every=1.0):
        """Tick again and again for some time."""
        until = self.store.clock.now + seconds
        while self.store.clock.now < until:
            self.store.clock.advance(every)
            self.sweeper.tick()

    @property
    def reasons(self):
        return [what.details["reason"] for _, what in self.heard]


def test_a_message_that_nobody_begins_with_is_told_a_minute_after_its_third_repetition():
    house = House()
    house.sweep(10 + 20 + 40)
    assert house.store.row("s1", Slot("a")).resends == 3
    house.sweep(PATIENCE - 1)
    assert house.heard == []
    house.sweep(LOOK_EVERY + 1)
    ((saga_id, what),) = house.heard
    assert saga_id == "s1"
    assert dict(what.details) == {
        "step": "a",
        "item": 0,
        "direction": "action",
        "attempt": 1,
        "reason": "not_begun",
        "detail": "the message was sent 4 times and no worker began with it",
    }
    assert set(what.details) == set(ARGUMENTS["saga_stuck"])
    assert house.post.sent == [("ops.page", "s1")]


def test_it_is_told_once_however_long_it_lasts():
    house = House()
    house.sweep(3600.0, every=5.0)
    assert house.reasons == ["not_begun"]


def test_a_saga_that_moved_and_is_stuck_again_is_told_again():
    house = House()
    house.sweep(200.0)
    house.task.handle("s1", e.AttemptSucceeded(slot=Slot("a"), attempt=1))
    house.sweep(LOOK_EVERY + 1)
    assert house.rows.told == {}
    house.sweep(200.0)
    assert [what.details["step"] for _, what in house.heard] == ["a", "b"]


def test_a_saga_that_no_coordinator_looks_at():
    house = House(begun=False)
    house.sweep(200.0)
    ((_, what),) = house.heard
    assert (what.details["step"], what.details["item"], what.details["reason"]) == ("", 0, "unanswered")
    assert "a coordinator was asked 5 times" in what.details["detail"]


def test_a_wait_that_the_sweeper_fails_at(monkeypatch):
    house = House()
    monkeypatch.setattr(house.transport, "send", lambda messages: 1 / 0)
    house.sweep(30 * 7 + 10 + PATIENCE + LOOK_EVERY, every=5.0)
    assert house.reasons == ["failing"]


def test_what_a_sweeper_that_comes_back_is_about_to_move_is_told_nobody():
    house = House(batch=1)
    for number in range(50):
        house.store.start(linear("a", "b"), f"late{number}")
    house.store.clock.advance(3600.0)
    for _ in range(60):
        house.sweeper.tick()
    assert house.transport.nudged
    house.sweep(PATIENCE + LOOK_EVERY)
    assert house.heard == []


def test_what_was_suspected_before_nobody_swept_for_a_while_is_suspected_anew():
    house = House()
    house.sweep(10 + 20 + 40 + 30)
    house.store.clock.advance(3600.0)
    house.sweeper.tick()
    house.sweep(PATIENCE - 1)
    assert house.heard == []
    house.sweep(LOOK_EVERY + 1)
    assert house.reasons == ["not_begun"]


def test_a_process_that_starts_does_not_wait_until_the_message_is_due_again():
    house = House()
    house.sweep(10 + 20 + 40)
    house.store.clock.advance(LONGEST_GAP + 1)
    before = house.store.row("s1", Slot("a")).at
    assert before - house.store.clock.now < PATIENCE
    house.store.rows[("s1", "a", 0, "action")].at += 600.0
    house.sweep(PATIENCE + LOOK_EVERY)
    assert house.reasons == ["not_begun"]


def test_a_wait_that_stays_overdue_under_a_sweepers_eyes(monkeypatch):
    house = House()
    monkeypatch.setattr(house.store, "overdue", lambda batch, lease: [])
    house.sweep(10 + 2 * PATIENCE)
    assert house.heard == []
    house.sweep(2 * LOOK_EVERY)
    assert house.reasons == ["overdue"]
    assert "s and no sweeper gets at it" in house.heard[0][1].details["detail"]


def test_where_there_is_more_than_a_tick_can_take_nobody_is_told_for_being_overdue(monkeypatch):
    house = House(batch=1)
    (row,) = House(begun=False).store.overdue(1, 30.0)
    monkeypatch.setattr(house.store, "overdue", lambda batch, lease: [row])
    house.sweep(300.0)
    assert house.heard == []


def test_nor_who_was_suspected_before_there_was_so_much(monkeypatch):
    house = House(batch=1)
    (row,) = House(begun=False).store.overdue(1, 30.0)
    monkeypatch.setattr(house.store, "overdue", lambda batch, lease: [])
    house.sweep(10 + PATIENCE + LOOK_EVERY + 1)
    monkeypatch.setattr(house.store, "overdue", lambda batch, lease: [row])
    house.sweep(300.0)
    assert house.heard == []


@pytest.mark.parametrize("how", ["suspended", "parked", "gone"])
def test_who_does_not_move_by_himself_is_not_stuck(how):
    house = House()
    house.sweep(100.0)
    state = house.store.sagas["s1"]
    others = {"suspended": {"suspended": True}, "parked": {"status": SagaStatus.FAILED}, "gone": {}}
    house.store.sagas["s1"] = replace(state, **others[how])
    if how == "gone":
        del house.store.sagas["s1"]
    house.sweep(100.0)
    assert house.heard == []


def test_who_is_gone_at_the_last_moment_is_told_nobody(monkeypatch):
    house = House()
    monkeypatch.setattr(house.rows, "still", lambda ids, **_: [_stuck("nobody")])
    house.sweep(200.0)
    assert (house.heard, house.rows.told) == ([], {})


def _stuck(saga_id):
    return Stuck(saga_id=saga_id, slot=NUDGE_SLOT, attempt=0, trouble=Trouble.UNANSWERED)


def test_whoever_comes_second_tells_nobody(monkeypatch):
    house = House()
    monkeypatch.setattr(house.rows, "record", lambda stuck, deliveries: False)
    house.sweep(200.0)
    assert (house.heard, house.post.sent) == ([], [])


def test_what_hooks_are_told_is_stored_before_anything_is_sent(monkeypatch):
    house = House()

    class Killed(BaseException):
        pass

    def dies(deliveries):
        raise Killed

    monkeypatch.setattr(Courier, "send", lambda courier, deliveries: dies(deliveries))
    with pytest.raises(Killed):
        house.sweep(200.0)
    ((_, deliveries),) = house.rows.told.values()
    assert [each.task for each in deliveries] == ["ops.page"]
    assert house.heard == []


def test_one_line_of_log_names_the_saga_and_the_next_move(caplog):
    house = House(hooks=False)
    with caplog.at_level(logging.ERROR):
        house.sweep(200.0)
    (record,) = caplog.records
    assert record.getMessage() == (
        "saga story s1 is stuck at step a: the message was sent 4 times and no worker began with it; see "
        "`celery -A … saga show s1`"
    )
    told = {name: getattr(record, name) for name in ("saga_id", "saga_name", "step", "attempt", "direction")}
    assert told == {"saga_id": "s1", "saga_name": "story", "step": "a", "attempt": 1, "direction": "action"}


def test_the_line_of_a_saga_as_a_whole_names_no_step(caplog):
    house = House(hooks=False, begun=False)
    house.sweep(200.0)
    assert "s1 is stuck: a coordinator was asked 5 times" in caplog.text


def test_a_look_that_fails_is_logged_and_the_sweeper_goes_on(caplog):
    house = House()
    house.rows.down = ValueError("a bug")
    house.sweep(100.0)
    assert "could not look for stuck sagas" in caplog.text
    assert house.store.row("s1", Slot("a")).resends == 3
    house.rows.down = None
    house.sweep(200.0)
    assert house.reasons == ["not_begun"]


def test_without_a_database_the_tick_is_over():
    house = House()
    house.rows.down = StoreUnavailable("down")
    with pytest.raises(StoreUnavailable):
        house.sweep(1.0)


def test_it_keeps_so_many_suspects_and_no_more(monkeypatch):
    monkeypatch.setattr(lookout, "MOST_SUSPECTS", 1)
    house = House()
    house.store.start(linear("a", "b"), "s2")
    house.task.handle("s2", e.Nudged())
    house.sweep(10 + 20 + 40 + PATIENCE + LOOK_EVERY)
    assert [saga_id for saga_id, _ in house.heard] == ["s1"]
    del house.store.rows[("s1", "a", 0, "action")]
    house.sweep(300.0)
    assert [saga_id for saga_id, _ in house.heard] == ["s1", "s2"]
