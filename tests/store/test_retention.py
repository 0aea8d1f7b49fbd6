"""Sagas that ended long ago leave, whole families at a time; nobody who needs something of them finds it gone."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from saga_celery.core import events as e
from saga_celery.core.retry import Retry
from saga_celery.core.states import Activity, Message, Parent, Policy, Reason, SagaStatus, StepState, StepStatus
from saga_celery.engine.payloads import Payload
from saga_celery.engine.ports import Delivery, InboxNews, inbox_slot
from saga_celery.errors import Refused, SagaNotFound
from saga_celery.store.retention import TRANSITIONS, Old, Portion
from saga_celery.store.schema import metadata, saga
from tests.store.examples import change, letter, moved, new, started

DONE = SagaStatus.COMPLETED
CHARGED = StepState(
    name="charge",
    status=StepStatus.SUCCEEDED,
    order=1,
    action=Activity(message=Message(task="card.charge", args=("7 €",)), policy=Policy(retry=Retry(attempts=3))),
    result={"cents": 5},
)
KEPT_FOR_EVER = {"saga_key", "saga_plan"}


@pytest.fixture
def old(clock):
    """All that has ended an hour ago or earlier, in either way."""

    def make(name="shop.order", hours=1, states=(SagaStatus.COMPLETED, SagaStatus.COMPENSATED)):
        return Old(name=name, before={state: clock.time - timedelta(hours=hours) for state in states})

    return make


def ended(store, saga_id="s1", status=DONE, **values):
    """A saga that has gone through a step, and ended."""
    values = {"tags": {"customer": "7"}, "key": saga_id, **values}
    letters, told = values.pop("letters", ()), values.pop("told", ())
    state = moved(store, started(store, saga_id, **values), steps={("charge", 0): CHARGED})
    end = change(state, (e.SagaCompleted(),), status=status, result={"parcel": "p-1"}, letters=letters)
    assert store.save(replace(end, deliveries=told))
    return store.load(saga_id)


def news(saga_id):
    return InboxNews(saga_id=saga_id, id="n", news=e.EventSent(wait="w", payload=1, event_id="n"))


def child(store, saga_id, parent_id, **values):
    return ended(store, saga_id, parent=Parent(id=parent_id, step="charge"), **values)


def tables_with_rows(store):
    with store.connections.autocommit() as connection:
        return {
            name
            for name, table in metadata.tables.items()
            if connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
        }


def test_a_saga_leaves_with_all_that_is_its_own_and_its_key_stays(store, clock, old):
    state = started(store, key="k", tags={"customer": "7"}, payloads=(Payload(saga_id="s1", digest="d", body="1"),))
    store.post(news("s1"), names=["shop.order"], nudge_after=1.0)
    end = change(state, (e.SagaCompleted(),), status=DONE, steps={("charge", 0): CHARGED})
    assert store.save(replace(end, taken=("n",), settled=(inbox_slot("n"),)))
    clock.turn(3600)
    ended(store, "young")
    assert store.retention.delete(old(), 10) == Portion()
    clock.turn(1)
    assert store.retention.delete(old(), 10) == Portion(ids=("s1",))
    assert store.load("young") is not None
    assert store.retention.delete(old(hours=0), 10).ids == ("young",)
    assert tables_with_rows(store) == KEPT_FOR_EVER

    (again,) = store.start([new("s9", key="k")], nudge_after=1.0)
    assert (again.id, again.created) == ("s1", False)
    (again,) = store.start([new("s9", key="k")], nudge_after=1.0, if_exists="new_if_ended")
    assert (again.id, again.created) == ("s9", True)


def test_what_was_archived_reads_as_before(store, clock, old):
    ended(store, "s1", payloads=(Payload(saga_id="s1", digest="d", body="1"),))
    child(store, "c1", "s1", key=None)
    child(store, "g1", "c1")
    ids = ["s1", "c1", "g1"]

    def seen():
        queries = store.queries
        rows = [queries.row(each) for each in ids]
        return {
            "rows": rows,
            "snapshots": [queries.snapshot(each) for each in ids],
            "histories": [queries.history(each) for each in ids],
            "children": [queries.children(each) for each in ids],
            "owners": queries.owners("s1"),
            "statuses": queries.statuses([*ids, "nobody"]),
            "by key": queries.id_of("shop.order", "s1"),
        }

    before = seen()
    clock.turn(3601)
    assert set(store.retention.archive(old(), 10).ids) == set(ids)
    assert tables_with_rows(store) == {*KEPT_FOR_EVER, "saga_archive", "saga_payload"}
    after = seen()
    assert [row.archived for row in after["rows"]] == [True] * 3
    assert _unmarked(after) == before
    assert store.load("s1") is None
    assert store.retention.plan_hash("shop.order") == before["snapshots"][0].state.plan_hash

    with pytest.raises(Refused, match="COMPLETED"):
        store.post(news("s1"), names=["shop.order"], nudge_after=1.0)
    assert set(store.retention.preview_archived(old(), 10).ids) == set(ids)
    assert set(store.retention.delete_archived(old(), 10).ids) == set(ids)
    assert tables_with_rows(store) == KEPT_FOR_EVER
    with pytest.raises(SagaNotFound):
        store.queries.row("s1")
    assert store.queries.history("s1") == store.queries.children("s1") == []


def _unmarked(seen):
    """The same, as if nothing was archived."""

    def plain(value):
        match value:
            case dict():
                return {name: plain(each) for name, each in value.items()}
            case list():
                return [plain(each) for each in value]
        if hasattr(value, "saga"):
            return replace(value, saga=replace(value.saga, archived=False))
        return replace(value, archived=False) if hasattr(value, "archived") else value

    return plain(seen)


@pytest.mark.parametrize("move", ["delete", "archive", "preview"])
def test_who_is_still_needed_stays(store, clock, old, move):
    ended(store, "letter", letters=(letter(reason=Reason.LATE_EFFECT),))
    hook = Delivery(id="d1", saga_id="hook", event="saga_completed", task="ops.tell", payload={})
    ended(store, "hook", told=(hook,))
    state = started(store, "news")
    store.post(news("news"), names=["shop.order"], nudge_after=1.0)
    moved(store, state, (e.SagaCompleted(),), status=DONE)
    ended(store, "parent")
    child(store, "open child", "parent", status=SagaStatus.FAILED)
    moved(store, started(store, "open parent"), status=SagaStatus.RUNNING)
    child(store, "ended child", "open parent")
    ended(store, "failed", status=SagaStatus.FAILED)
    ended(store, "parent of a letter")
    child(store, "child with a letter", "parent of a letter", letters=(letter(reason=Reason.LATE_EFFECT),))
    ended(store, "undone", status=SagaStatus.COMPENSATED)
    ended(store, "other", name="shop.other")
    ended(store, "orphan", parent=Parent(id="gone", step="charge"))
    clock.turn(3601)
    portion = getattr(store.retention, move)(old(), 20)
    assert (set(portion.ids), portion.kept, portion.behind) == ({"undone", "orphan"}, 5, None)
    assert store.retention.preview(old(states=[SagaStatus.COMPENSATED]), 20).kept == 0


def test_portions_go_on_behind_each_other_and_past_those_that_stay(store, clock, old):
    for number in range(7):
        ended(store, f"s{number}", letters=(letter(reason=Reason.LATE_EFFECT),) if number in (1, 4) else ())
        clock.turn(number % 2)
    clock.turn(3601)
    left, behind = [], None
    while True:
        portion = store.retention.archive(old(), 2, behind)
        left.append(portion.ids)
        if (behind := portion.behind) is None:
            break
    assert left == [("s0",), ("s2", "s3"), ("s5",), ("s6",)]
    first = store.retention.delete_archived(old(), 3)
    assert first.ids == ("s0", "s2", "s3")
    assert store.retention.delete_archived(old(), 3, first.behind) == Portion(ids=("s5", "s6"))


def test_long_sagas_and_large_families_come_in_smaller_portions(store, clock, old):
    for saga_id in ("s1", "s2", "s3", "s4"):
        ended(store, saga_id)
    child(store, "c1", "s3")
    with store.connections.transaction() as connection:
        connection.execute(sa.update(saga).where(saga.c.id == "s2").values(version=9 * TRANSITIONS))
        connection.execute(sa.update(saga).where(saga.c.id == "c1").values(version=9 * TRANSITIONS))
    clock.turn(3601)
    portions, behind = [], None
    while True:
        portion = store.retention.delete(old(), 4, behind)
        portions.append(portion.ids)
        if (behind := portion.behind) is None:
            break
    assert portions == [("s1",), ("s2",), ("s3", "c1"), ("s4",)]


def test_a_saga_in_the_hands_of_an_operator_is_passed_by_and_nobody_waits(store, another, clock, old):
    if store.connections.dialect == "sqlite":
        pytest.skip("one writer at a time")
    ended(store, "s1"), ended(store, "parent"), child(store, "c1", "parent"), ended(store, "s2")
    clock.turn(3601)
    with another().connections.transaction() as connection:
        connection.execute(sa.update(saga).where(saga.c.id.in_(["s1", "c1"])).values(state="COMPENSATING"))
        portion = store.retention.delete(old(), 10)
        assert (portion.ids, portion.kept) == (("s2",), 1)
    assert store.retention.delete(old(), 10).kept == 1
    assert {store.load(each).status for each in ("s1", "c1")} == {SagaStatus.COMPENSATING}


def test_a_transition_that_comes_while_the_saga_leaves_finds_it_gone(store, another, clock, old, monkeypatch):
    """A late success, or an operator's verb: it waits for the lock, and stores nothing."""
    state = ended(store, "s1")
    clock.turn(3601)
    rival, tries = another(), []
    late = change(state, (e.SagaStarted(),), letters=(letter(reason=Reason.LATE_EFFECT),))

    def needed(own, members):
        tries.append(pool.submit(rival.save, late))
        return set()

    monkeypatch.setattr(store.retention, "_needed", needed)
    with ThreadPoolExecutor() as pool:
        assert store.retention.delete(old(), 10).ids == ("s1",)
        assert tries[0].result(timeout=60) is False
    assert rival.catch_up("s1") is None
    assert tables_with_rows(store) == KEPT_FOR_EVER


def test_many_janitors_archive_each_saga_once(store, another, clock, old):
    for number in range(40):
        ended(store, f"s{number}")
    clock.turn(3601)

    def clear(rows):
        found, portion = [], None
        while portion is None or portion.behind is not None:
            portion = rows.archive(old(), 3, portion and portion.behind)
            found += portion.ids
        return found

    with ThreadPoolExecutor(4) as pool:
        found = [each for part in pool.map(clear, [another().retention for _ in range(4)]) for each in part]
    rest = clear(store.retention)
    assert sorted(found + rest) == sorted(f"s{number}" for number in range(40))
    assert tables_with_rows(store) == {*KEPT_FOR_EVER, "saga_archive"}
