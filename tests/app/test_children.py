"""Child sagas on every database of this run: three generations, moved by hand and without any message of a broker.

What sagas leave for each other is found by the nudges that the database awaits, as a sweeper would after a FLUSHALL.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from celery import Celery
from celery.canvas import Signature

from saga_celery import Child, Resolution, Retry, Saga, SagaApp, SagaCompensated, SagaHandle, step
from saga_celery.core import events as e
from saga_celery.core.states import (
    Direction,
    Failure,
    Parent,
    Reason,
    SagaState,
    SagaStatus,
    Slot,
    StepStatus,
    TurnKind,
)
from saga_celery.definition import desk, registry
from saga_celery.engine.correspondence import child_id
from saga_celery.engine.ports import Awaited
from saga_celery.errors import PublishFailed, Refused
from saga_celery.store import SQLStore
from saga_celery.store.migrate import migrate
from saga_celery.store.schema import saga, saga_awaited, saga_inbox

S, R = StepStatus, SagaStatus
UNDO = Direction.COMPENSATION


@dataclass
class Family:
    """Top has Middle for a child, which has Leaf."""

    sagas: SagaApp
    top: type[Saga[int, int]]

    def start(self, **options: Any) -> SagaHandle[int]:
        """A family of which only the task of the leaf is out."""
        handle = self.top.start(3, **options)
        self.settle()
        self.done(handle.id, "first", 1)
        return handle

    def settle(self) -> None:
        """Let a coordinator look wherever the database awaits that, until it awaits that nowhere."""
        waiting = sa.select(saga_awaited.c.saga_id).where(saga_awaited.c.awaited == Awaited.NUDGE.value).distinct()
        for _ in range(20):
            with self.sagas.store.connections.autocommit() as connection:
                ids = connection.execute(waiting).scalars().all()
            if not ids:
                return
            for saga_id in ids:
                self.sagas.coordinator(parks_render_failures=True).handle(saga_id, e.Nudged())
        pytest.fail(f"the sagas {ids} await a nudge for ever")

    def news(self, saga_id: str, *news: e.News) -> None:
        for each in news:
            assert self.sagas.coordinator(parks_render_failures=True).handle(saga_id, each) is not None
        self.settle()

    def done(self, saga_id: str, name: str, result: Any = None, direction: Direction = Direction.ACTION) -> None:
        slot = Slot(name, 0, direction)
        self.news(saga_id, e.AttemptSucceeded(slot=slot, attempt=1, result=result))

    def fails(self, saga_id: str, name: str) -> None:
        failure = Failure(type="t.Broken", message="no luck", step=name)
        self.news(saga_id, e.AttemptFailed(slot=Slot(name), attempt=1, failure=failure))

    def state(self, saga_id: str) -> SagaState:
        found = self.sagas.store.load(saga_id)
        assert found is not None
        return found

    def states(self, *saga_ids: str) -> list[str]:
        return [self.state(saga_id).status.value for saga_id in saga_ids]

    def middle(self, handle: SagaHandle[Any], generation: int = 1) -> str:
        return child_id(handle.id, Slot("middle", generation=generation))

    def leaf(self, handle: SagaHandle[Any]) -> str:
        return child_id(self.middle(handle), Slot("leaf"))

    def all_three(self, handle: SagaHandle[Any]) -> tuple[str, str, str]:
        return handle.id, self.middle(handle), self.leaf(handle)

    def completed_below(self) -> SagaHandle[int]:
        """The children are completed; the last step of the top is out."""
        handle = self.start()
        self.done(self.leaf(handle), "grow", 5)
        self.done(self.middle(handle), "own", 6)
        return handle

    def count(self) -> int:
        with self.sagas.store.connections.autocommit() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(saga)).scalar_one())

    def untaken(self) -> int:
        wanted = sa.select(sa.func.count()).select_from(saga_inbox).where(sa.not_(saga_inbox.c.taken))
        with self.sagas.store.connections.autocommit() as connection:
            return int(connection.execute(wanted).scalar_one())


@pytest.fixture
def family(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Family]:
    monkeypatch.setattr(registry, "_sagas", {})
    monkeypatch.setattr(desk, "_bound", [])
    app = Celery("family", broker="memory://", set_as_current=False)
    app.conf.saga_database_url = database_url
    sagas = SagaApp(app)
    migrate(sagas.store.connections)
    once = Retry(attempts=1)

    class Leaf(Saga[int, int]):
        name = "t.leaf"

        @step(retry=once)
        def grow(self, n: int) -> Signature[int]:
            return self.task("t.grow", n)

        @grow.compensate(retry=once)
        def wither(self, n: int, grow: int) -> Signature[None]:
            return self.task("t.wither", grow)

        def result(self, n: int, grow: int) -> int:
            return grow * 10

    class Middle(Saga[int, int]):
        name = "t.middle"
        timeout = timedelta(hours=1)

        @step()
        def leaf(self, n: int) -> Child[int]:
            return Leaf.si(n + 1)

        @step(retry=once)
        def own(self, n: int, leaf: int) -> Signature[int]:
            return self.task("t.own", n)

        @own.compensate(retry=once)
        def disown(self, n: int, own: int) -> Signature[None]:
            return self.task("t.disown", own)

        def result(self, n: int, leaf: int, own: int) -> int:
            return leaf + own

    class Top(Saga[int, int]):
        name = "t.top"

        @step(retry=once)
        def first(self, n: int) -> Signature[int]:
            return self.task("t.first", n)

        @first.compensate(retry=once)
        def unfirst(self, n: int, first: int) -> Signature[None]:
            return self.task("t.unfirst", first)

        @step()
        def middle(self, n: int) -> Child[int]:
            return Middle.si(n + 1)

        @step(retry=once, no_compensation="the last one")
        def last(self, n: int, middle: int) -> Signature[None]:
            return self.task("t.last", middle)

        def result(self, n: int, middle: int) -> int:
            return middle

    yield Family(sagas, Top)
    sagas.dispose()


# ----------------------------------------------------------------------------------------------------------- the rows


def test_children_know_their_parents_and_carry_their_headers(family):
    handle = family.start(headers={"correlation_id": "c-7"}, key="top-1", tags={"order": 7})
    top, middle, leaf = family.all_three(handle)
    assert handle.snapshot().parent is None
    found = family.sagas.desk.snapshot(leaf)
    assert (found.name, found.input, found.key, found.tags) == ("t.leaf", 5, None, {})
    assert found.parent == Parent(id=middle, step="leaf")
    assert family.state(leaf).headers == {"correlation_id": "c-7"}
    assert [row.parent_id for row in map(family.sagas.store.queries.row, (top, middle, leaf))] == [None, top, middle]
    (child,) = family.sagas.store.queries.children(top)
    assert (child.slot, child.saga.id, child.saga.name) == (Slot("middle"), middle, "t.middle")
    assert [row.id for row in family.sagas.store.queries.find(parent=middle)] == [leaf]


def test_a_child_has_the_deadline_of_its_class(family):
    handle = family.start()
    rows = family.sagas.store.queries
    middle, leaf = rows.row(family.middle(handle)), rows.row(family.leaf(handle))
    after = middle.deadline_at - middle.created_at  # a PostgreSQL asks its clock for each of the two
    assert abs(after - timedelta(hours=1)) < timedelta(seconds=1)
    assert leaf.deadline_at is None


def test_a_start_that_is_decided_twice_starts_one_child(family, database_url):
    """Another process decides on what it knew before the first one had stored the start."""
    handle = family.top.start(3)
    family.settle()
    rival = SQLStore(database_url, chance=lambda: 0.5)
    try:
        assert rival.load(handle.id, fresh=False).step("middle") is None
        family.done(handle.id, "first", 1)
        before = family.count()
        coordinator = family.sagas.coordinator(parks_render_failures=True)
        coordinator._store = rival
        coordinator.handle(handle.id, e.AttemptSucceeded(slot=Slot("first"), attempt=1, result=1))
        coordinator.handle(handle.id, e.Nudged())
    finally:
        rival.dispose()
    assert (before, family.count()) == (3, 3)
    assert family.states(*family.all_three(handle)) == [R.RUNNING] * 3


def test_a_child_that_nobody_has_taken_up_ends_at_once_when_its_parent_turns_round(family):
    handle = family.top.start(3)
    coordinator = family.sagas.coordinator(parks_render_failures=True)
    coordinator.handle(handle.id, e.Nudged())
    coordinator.handle(handle.id, e.AttemptSucceeded(slot=Slot("first"), attempt=1, result=1))
    assert family.states(family.middle(handle)) == [R.PENDING]
    handle.cancel(reason="changed my mind")
    family.settle()
    assert family.states(handle.id, family.middle(handle)) == [R.COMPENSATING, R.COMPENSATED]
    assert family.count() == 2


# ------------------------------------------------------------------------------------------------------------- forward


def test_results_come_up_and_nothing_is_awaited_in_the_end(family):
    handle = family.completed_below()
    assert family.state(handle.id).step("middle").result == 56
    family.done(handle.id, "last")
    assert handle.result(timeout=0) == 56
    assert family.states(*family.all_three(handle)) == [R.COMPLETED] * 3
    assert family.untaken() == 0
    with family.sagas.store.connections.autocommit() as connection:
        assert connection.execute(sa.select(saga_awaited.c.saga_id)).all() == []


def test_another_process_that_knows_the_parent_as_it_was_takes_the_news_all_the_same(family, database_url):
    handle = family.start()
    rival = SQLStore(database_url, chance=lambda: 0.5)
    try:
        assert rival.load(handle.id, fresh=False).step("middle").status is S.AWAITING
        family.done(family.leaf(handle), "grow", 5)
        family.done(family.middle(handle), "own", 6)
        coordinator = family.sagas.coordinator(parks_render_failures=True)
        coordinator._store = rival
        coordinator.handle(handle.id, e.AttemptSucceeded(slot=Slot("last"), attempt=1))
    finally:
        rival.dispose()
    assert handle.result(timeout=0) == 56


def test_a_broker_that_is_away_delays_and_loses_nothing(family, monkeypatch):
    def away(*_: object) -> None:
        raise PublishFailed("the broker is away")

    monkeypatch.setattr(family.sagas.transport, "nudge", away)
    monkeypatch.setattr(family.sagas.transport, "send", away)
    handle = family.completed_below()
    family.done(handle.id, "last")
    assert handle.result(timeout=0) == 56


# ------------------------------------------------------------------------------------------------------------ backward


def test_three_generations_are_undone_as_a_whole(family):
    handle = family.completed_below()
    top, middle, leaf = family.all_three(handle)
    family.fails(top, "last")
    assert family.states(top, middle, leaf) == [R.COMPENSATING, R.COMPENSATING, R.COMPLETED]
    family.done(middle, "own", direction=UNDO)
    assert family.states(top, middle, leaf) == [R.COMPENSATING, R.COMPENSATING, R.COMPENSATING]
    family.done(leaf, "grow", direction=UNDO)
    assert family.states(top, middle, leaf) == [R.COMPENSATING, R.COMPENSATED, R.COMPENSATED]
    assert family.state(top).step("middle").status is S.COMPENSATED
    family.done(top, "first", direction=UNDO)
    with pytest.raises(SagaCompensated, match="no luck"):
        handle.result(timeout=0)
    assert family.untaken() == 0


@pytest.mark.parametrize("by", ["cancel", "deadline"])
def test_a_parent_that_turns_round_takes_its_children_along_and_waits_for_them(family, by):
    handle = family.start()
    top, middle, leaf = family.all_three(handle)
    if by == "cancel":
        assert handle.cancel(reason="changed my mind") is R.RUNNING
    else:
        family.news(top, e.DeadlinePassed())
    family.settle()
    assert family.states(top, middle, leaf) == [R.RUNNING] * 3  # the task of the leaf is awaited
    assert [family.state(each).turn.kind for each in (middle, leaf)] == [TurnKind.CANCEL] * 2

    family.done(leaf, "grow", 5)
    assert family.states(top, middle, leaf) == [R.RUNNING, R.RUNNING, R.COMPENSATING]
    family.done(leaf, "grow", direction=UNDO)
    assert family.states(top, middle, leaf) == [R.COMPENSATING, R.COMPENSATED, R.COMPENSATED]
    family.done(top, "first", direction=UNDO)
    assert family.states(top) == [R.COMPENSATED]
    assert family.state(top).turn.kind is (TurnKind.CANCEL if by == "cancel" else TurnKind.DEADLINE)


def test_a_child_that_is_cancelled_alone_is_a_failure_of_its_parent(family):
    handle = family.start()
    top, middle, leaf = family.all_three(handle)
    family.sagas.desk.operate(leaf, e.OperatorAsked(verb=e.Verb.CANCEL, actor="ann", reason="frost"))
    family.fails(leaf, "grow")
    assert family.states(top, middle, leaf) == [R.COMPENSATING, R.COMPENSATED, R.COMPENSATED]
    turn = family.state(top).turn
    assert (turn.kind, turn.step) == (TurnKind.FAILURE, "middle")
    assert "frost" in turn.reason


def test_a_child_that_fails_gives_its_parent_the_failure(family):
    handle = family.start()
    top, middle, leaf = family.all_three(handle)
    family.fails(leaf, "grow")
    assert family.states(top, middle, leaf) == [R.COMPENSATING, R.COMPENSATED, R.COMPENSATED]
    assert family.state(top).turn.failure == Failure(type="t.Broken", message="no luck", step="grow")


# -------------------------------------------------------------------------------------------------------------- parked


@pytest.mark.parametrize("resolution", Resolution)
def test_a_parked_child_keeps_its_parent_waiting_until_an_operator_settles_it(family, resolution):
    handle = family.start()
    top, middle, leaf = family.all_three(handle)
    family.news(leaf, e.AttemptLost(slot=Slot("grow"), attempt=1, reason="worker w1 died"))
    assert family.states(top, middle, leaf) == [R.RUNNING, R.RUNNING, R.FAILED]
    assert family.untaken() == 0

    result = 5 if resolution is Resolution.DONE else None
    asked = e.OperatorAsked(
        verb=e.Verb.RESOLVE, actor="ann", reason="looked", resolution=resolution, result=result, step="grow"
    )
    family.sagas.desk.operate(leaf, asked)
    family.settle()
    if resolution is Resolution.DONE:
        assert family.states(top, middle, leaf) == [R.RUNNING, R.RUNNING, R.COMPLETED]
        assert family.state(middle).step("leaf").result == 50
    else:
        assert family.states(top, middle, leaf) == [R.COMPENSATING, R.COMPENSATED, R.COMPENSATED]


def test_a_parked_child_remembers_that_its_parent_turned_round(family):
    handle = family.start()
    top, middle, leaf = family.all_three(handle)
    family.news(leaf, e.AttemptLost(slot=Slot("grow"), attempt=1, reason="worker w1 died"))
    handle.cancel(reason="changed my mind")
    family.settle()
    assert family.states(top, middle, leaf) == [R.RUNNING, R.RUNNING, R.FAILED]
    asked = e.OperatorAsked(
        verb=e.Verb.RESOLVE, actor="ann", reason="looked", resolution=Resolution.DONE, result=5, step="grow"
    )
    family.sagas.desk.operate(leaf, asked)
    family.settle()
    assert family.states(top, middle, leaf) == [R.RUNNING, R.RUNNING, R.COMPENSATING]
    family.done(leaf, "grow", direction=UNDO)
    family.done(top, "first", direction=UNDO)
    assert family.states(top, middle, leaf) == [R.COMPENSATED] * 3


def test_a_compensation_that_is_parked_in_a_child_keeps_its_parent_waiting(family):
    handle = family.completed_below()
    top, middle, leaf = family.all_three(handle)
    family.fails(top, "last")
    lost = e.AttemptLost(slot=Slot("own", 0, UNDO), attempt=1, reason="worker w1 died")
    family.news(middle, lost)
    assert family.states(top, middle) == [R.COMPENSATING, R.FAILED]
    family.sagas.desk.operate(middle, e.OperatorAsked(verb=e.Verb.SKIP, actor="ann", reason="done by hand", step="own"))
    family.settle()
    family.done(leaf, "grow", direction=UNDO)
    family.done(top, "first", direction=UNDO)
    assert family.states(top, middle, leaf) == [R.COMPENSATED] * 3


def test_behind_the_pivot_a_child_that_was_undone_parks_its_parent_and_a_retry_starts_another_one(family):
    Leaf = registry.find("t.leaf")  # noqa: N806 - a class

    class Signed(Saga[int, int]):
        name = "t.signed"

        @step(pivot=True, retry=Retry(attempts=1))
        def sign(self, n: int) -> Signature[None]:
            return self.task("t.sign", n)

        @step()
        def leaf(self, n: int) -> Child[int]:
            return Leaf.si(n)

        def result(self, n: int, leaf: int) -> int:
            return leaf

    handle = Signed.start(3)
    family.settle()
    family.done(handle.id, "sign")
    first, second = (child_id(handle.id, Slot("leaf", generation=number)) for number in (1, 2))
    family.fails(first, "grow")
    assert family.states(handle.id, first) == [R.FAILED, R.COMPENSATED]
    (letter,) = handle.snapshot().letters
    assert (letter.step, letter.reason) == ("leaf", Reason.EXHAUSTED)
    assert "no luck" in letter.detail

    handle.retry(reason="the frost is over")
    family.settle()
    assert family.states(handle.id, first, second) == [R.RUNNING, R.COMPENSATED, R.RUNNING]
    family.news(first, e.ParentTurned(reason="late", undo=True))  # answers its parent once more, to no effect
    family.done(second, "grow", 5)
    assert handle.result(timeout=0) == 50
    assert [row.slot.generation for row in family.sagas.store.queries.children(handle.id)] == [1, 2]


def test_a_child_that_has_ended_can_not_be_cancelled_by_hand(family):
    handle = family.completed_below()
    with pytest.raises(Refused, match="COMPLETED already"):
        family.sagas.desk.operate(
            family.middle(handle), e.OperatorAsked(verb=e.Verb.CANCEL, actor="ann", reason="why not")
        )


def test_told_to_undo_a_child_that_was_undone_already_its_answer_comes_all_the_same(family):
    """The command is stored twice, as by two transitions of the parent; the second one changes nothing."""
    handle = family.completed_below()
    top, middle, leaf = family.all_three(handle)
    family.fails(top, "last")
    family.done(middle, "own", direction=UNDO)
    family.done(leaf, "grow", direction=UNDO)
    assert family.states(middle, leaf) == [R.COMPENSATED] * 2
    family.news(middle, e.ParentTurned(reason="once more", undo=True))
    family.done(top, "first", direction=UNDO)
    assert family.states(top) == [R.COMPENSATED]
    assert family.untaken() == 0
