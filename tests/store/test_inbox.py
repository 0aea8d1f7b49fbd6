"""What is left for a saga: once for each id, in whatever transaction its sender has open, and never unseen."""

import threading
from dataclasses import replace

import pytest
import sqlalchemy as sa

from saga_celery.core.events import ChildEnded, EventSent, OperatorAsked, ParentTurned, Verb
from saga_celery.core.states import Failure, SagaStatus, Slot
from saga_celery.engine.ports import NUDGE_SLOT, Awaited, InboxNews, inbox_slot
from saga_celery.errors import EventConflict, InputRejected, Refused, RetryTransaction, SagaNotFound
from saga_celery.store.migrate import _script, sql
from saga_celery.store.schema import saga, saga_awaited, saga_inbox
from saga_celery.store.version import check, pending
from tests.store.examples import alembic, change, due, moved, new, started
from tests.store.test_starts import caller, rivals  # noqa: F401 - `caller` is a fixture

PAYLOAD = {"ok": True, "by": "finance", "note": 'nul \x00 half \ud83d ß "'}


def event(event_id="e1", payload=PAYLOAD, **values):
    return EventSent(**{"wait": "approve", "event_id": event_id, "payload": payload, "actor": "ann", **values})


def news(event_id="e1", saga_id="s1", **values):
    return InboxNews(saga_id=saga_id, id=event_id, news=event(event_id, **values))


def post(store, what=None, **options):
    return store.post(what or news(), **{"names": ["shop.order"], "nudge_after": 10.0, **options})


def ids(store, saga_id="s1"):
    return [each.id for each in store.inbox(saga_id)]


def with_state(store, saga_id="s1"):
    """Ids of the news that are read together with their saga."""
    state, found = store.load_with_inbox(saga_id)
    assert state == store.load(saga_id)
    return [each.id for each in found]


def nudges(store, saga_id="s1"):
    """The waits of the inbox: (id of the news, seconds from now)."""
    found = store.queries.snapshot(saga_id)
    return {wait.slot.step: wait for wait in found.awaited if wait.slot.item == inbox_slot("").item}


def count(store, table):
    with store.connections.autocommit() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def taking(before, *taken, **values):
    """A transition that rests on news."""
    settled = tuple(inbox_slot(each) for each in taken)
    return replace(change(before, settled=settled, **values), taken=taken)


# ── left and taken ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_left_comes_back_whole_and_will_be_looked_after(store, clock):
    started(store)
    assert post(store) is SagaStatus.PENDING
    assert store.inbox("s1") == [news()]
    wait = nudges(store)["e1"]
    assert (wait.awaited, wait.since, (wait.due_at - clock.time).total_seconds()) == (Awaited.NUDGE, clock.time, 10.0)
    assert store.inbox("s2") == []
    assert store.load_with_inbox("s2") == (None, [])
    clock.turn(10.1)
    assert inbox_slot("e1") in [row.slot for row in store.overdue(10, 30.0)]


@pytest.mark.parametrize(
    "left",
    [
        event(),
        event(payload=None, actor="", formerly=("sign_off",)),
        ChildEnded(slot=Slot("ship"), status=SagaStatus.COMPENSATED, failure=Failure(type="a.B", message="no")),
        ChildEnded(slot=Slot("ship", 2), status=SagaStatus.COMPLETED, result=[1, None, "ß"]),
        ParentTurned(reason="refused"),
        OperatorAsked(verb=Verb.CANCEL, actor="ann", reason="asked by phone"),
    ],
)
def test_every_kind_of_news_comes_back_as_it_was(store, left):
    started(store)
    what = InboxNews(saga_id="s1", id="n1", news=left)
    for _ in range(2):
        post(store, what)
    assert store.inbox("s1") == [what]
    assert store.load_with_inbox("s1") == (store.load("s1"), [what])


def test_the_oldest_comes_first(store, clock):
    started(store)
    for event_id in ("b", "a", "c"):
        post(store, news(event_id))
        clock.turn(1.0)
    assert ids(store) == with_state(store) == ["b", "a", "c"]


def test_taken_with_a_transition_it_is_not_there_for_the_next(store):
    before = started(store)
    post(store, news("e1"))
    post(store, news("e2"))
    assert store.save(taking(before, "e1"))
    assert ids(store) == with_state(store) == ["e2"]
    assert set(nudges(store)) == {"e2"}


def test_one_statement_reads_a_saga_and_its_inbox(store, another):
    before = started(store)
    post(store)
    assert store.save(change(before))
    elsewhere, seen = another(), []
    sa.event.listen(elsewhere.connections.engine, "before_cursor_execute", lambda c, cur, sql, *rest: seen.append(sql))
    assert with_state(store) == with_state(elsewhere) == ["e1"]
    state, _ = elsewhere.load_with_inbox("s1", fresh=False)  # that state is known here by now
    assert (state.version, len(seen)) == (1, 3)


def test_a_transition_that_comes_second_takes_nothing(store):
    before = started(store)
    post(store)
    assert store.save(change(before))
    assert not store.save(taking(before, "e1"))
    assert ids(store) == ["e1"]
    assert set(nudges(store)) == {"e1"}


def test_what_a_transition_takes_and_leaves_is_rolled_back_with_it(store):
    """It is stored with the transition or not at all, also where that is one statement and the rest are others."""
    before = started(store)
    started(store, "s2")
    post(store)
    post(store, news("told", "s2", payload=1))
    wanted = replace(taking(before, "e1"), posts=(news("told", "s2", payload=2),))
    with pytest.raises(EventConflict):
        store.save(wanted)
    assert store.load("s1").version == 0
    assert store.queries.history("s1") == []
    assert ids(store) == ["e1"]


def test_a_transition_leaves_news_for_others(store, another):
    before = started(store)
    started(store, "s2")
    told = InboxNews(saga_id="s2", id="s1:1", news=ParentTurned(reason="refused"))
    assert store.save(replace(change(before), posts=(told,)))
    assert another().inbox("s2") == [told]
    assert set(nudges(store, "s2")) == {"s1:1"}
    assert ids(store) == []


# ── once for each id ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_same_under_one_id_is_there_once(store):
    started(store)
    for _ in range(3):
        post(store)
    assert ids(store) == ["e1"]
    assert (count(store, saga_inbox), set(nudges(store))) == (1, {"e1"})


def test_the_same_news_may_have_been_left_by_a_release_that_wrote_them_at_greater_length(store):
    started(store)
    what = InboxNews(saga_id="s1", id="n1", news=ChildEnded(slot=Slot("ship"), status=SagaStatus.COMPLETED))
    post(store, what)
    longer = sa.func.replace(saga_inbox.c.body, '["ship"]', '["ship",0,"action",1]')
    with store.connections.transaction() as connection:
        connection.execute(sa.update(saga_inbox).values(body=longer))
        assert '"action"' in connection.execute(sa.select(saga_inbox.c.body)).scalar_one()
    assert store.inbox("s1") == [what]
    post(store, what)
    with pytest.raises(EventConflict):
        post(store, replace(what, news=replace(what.news, status=SagaStatus.COMPENSATED)))


def test_the_same_event_may_come_from_somebody_else_with_its_keys_in_another_order(store):
    started(store)
    post(store, news(payload={"a": 1, "b": [1, 2]}))
    post(store, news(payload={"b": [1, 2], "a": 1}, actor="bob"))
    assert ids(store) == ["e1"]
    assert store.inbox("s1")[0].news.actor == "ann"


def test_the_same_event_may_come_after_its_wait_was_renamed(store):
    started(store)
    post(store, news(wait="approve"))
    post(store, news(wait="sign_off", formerly=("approve",)))
    post(store, news(wait="approve"))
    assert ids(store) == ["e1"]


@pytest.mark.parametrize(
    "other",
    [
        event(payload={"ok": False}),
        event(payload={**PAYLOAD, "ok": 1}),
        event(payload=None),
        event(wait="paid"),
        OperatorAsked(verb=Verb.CANCEL, actor="ann", reason="x"),
    ],
)
def test_another_event_under_one_id_is_a_conflict(store, other):
    started(store)
    post(store)
    with pytest.raises(EventConflict, match=r"s1.*'e1'"):
        post(store, InboxNews(saga_id="s1", id="e1", news=other))
    assert store.inbox("s1") == [news()]


def test_one_id_may_be_used_for_two_sagas(store):
    started(store)
    started(store, "s2")
    post(store)
    post(store, news(saga_id="s2", payload="another"))
    assert ids(store) == ids(store, "s2") == ["e1"]


def test_ids_differ_by_their_letters(store):
    started(store)
    for event_id in ("k", "K", "ß", "ss"):
        post(store, news(event_id, payload=event_id))
    assert set(ids(store)) == set(nudges(store)) == {"k", "K", "ß", "ss"}


def test_of_fifty_who_send_one_event_one_leaves_it(another, store):
    started(store)
    stores = [another() for _ in range(5)]
    found = together(50, lambda index: post(stores[index % 5]))
    assert found == [SagaStatus.PENDING] * 50
    assert ids(store) == ["e1"]
    assert (count(store, saga_inbox), len(nudges(store))) == (1, 1)


def test_of_fifty_who_send_other_things_under_one_id_one_leaves_its_own_and_every_other_is_told(another, store):
    """On its way a rival's row is not visible yet: the one who comes second must not take it for its own."""
    started(store)
    stores = [another() for _ in range(5)]
    found = together(50, lambda index: told(lambda: post(stores[index % 5], news(payload=index))))
    (winner,) = [index for index, answer in enumerate(found) if answer is SagaStatus.PENDING]
    assert found.count(EventConflict) == 49
    assert store.inbox("s1")[0].news.payload == winner


def test_fifty_events_are_all_left(another, store):
    started(store)
    stores = [another() for _ in range(5)]
    together(50, lambda index: post(stores[index % 5], news(f"e{index}", payload=index)))
    assert sorted(each.news.payload for each in store.inbox("s1")) == list(range(50))
    assert len(nudges(store)) == 50


def told(work):
    try:
        return work()
    except EventConflict as conflict:
        return type(conflict)


def together(number, work):
    """Everybody at once; what each one got, in order."""
    gate, found = threading.Barrier(number, timeout=60), {}

    def run(index):
        gate.wait()
        found[index] = work(index)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert sorted(found) == list(range(number))
    return [found[index] for index in range(number)]


# ── for whom ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_unknown_saga_is_named(store):
    with pytest.raises(SagaNotFound, match="'s1'"):
        post(store)
    assert count(store, saga_inbox) == count(store, saga_awaited) == 0


def test_a_saga_of_another_name_is_not_the_one(store):
    started(store)
    with pytest.raises(SagaNotFound, match=r"s1 is a shop\.order, no travel\.trip or travel\.tour"):
        post(store, names=["travel.trip", "travel.tour"])
    assert count(store, saga_inbox) == 0


def test_a_former_name_will_do(store):
    started(store)
    assert post(store, names=["shop.purchase", "shop.order"]) is SagaStatus.PENDING


@pytest.mark.parametrize("status", [SagaStatus.COMPLETED, SagaStatus.COMPENSATED])
def test_an_ended_saga_takes_nothing_but_what_it_took_already(store, status):
    before = started(store)
    post(store)
    assert store.save(taking(before, "e1", status=status))
    assert post(store) is status
    with pytest.raises(Refused, match=rf"s1 is {status.value}.*approve"):
        post(store, news("e2"))
    with pytest.raises(EventConflict):
        post(store, news(payload="another"))
    assert ids(store) == []
    assert nudges(store) == {}


def test_a_saga_that_waits_for_a_person_takes_news(store):
    moved(store, started(store), status=SagaStatus.FAILED)
    assert post(store) is SagaStatus.FAILED
    assert set(nudges(store)) == {"e1"}


def test_the_end_of_the_saga_leaves_what_came_meanwhile_to_be_looked_at(store):
    before = started(store)
    post(store, news("seen"))
    post(store, news("came meanwhile"))
    assert store.save(taking(before, "seen", status=SagaStatus.COMPLETED, awaited=()))
    assert ids(store) == ["came meanwhile"]
    assert set(nudges(store)) == {"came meanwhile"}
    assert NUDGE_SLOT not in [wait.slot for wait in store.queries.snapshot("s1").awaited]


@pytest.mark.parametrize("event_id", ["x" * 201, "a ", "a\x00b", "\udcff"])
def test_an_id_that_can_not_be_stored_is_refused(store, event_id):
    started(store)
    with pytest.raises(InputRejected, match="event id"):
        post(store, news(event_id))


def test_the_longest_id_is_stored(store):
    started(store)
    post(store, news("ß" * 200))
    assert ids(store) == ["ß" * 200]


# ── nudges ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_nudge_in_vain_is_forgotten_and_one_for_untaken_news_is_kept(store):
    before = started(store)
    post(store, news("e1"))
    post(store, news("e2"))
    with store.connections.transaction() as connection:
        connection.execute(sa.update(saga_inbox).where(saga_inbox.c.id == "e1").values(taken=True))
    store.forget_nudge("s1", before.version)
    assert set(nudges(store)) == {"e2"}


def test_forgetting_leaves_other_sagas_and_other_waits_alone(store):
    before = started(store)
    started(store, "s2")
    post(store, news("e1", "s2"))
    after = moved(store, before, awaited=[due(), due(Slot("e1"))])
    store.forget_nudge("s1", after.version)
    assert {wait.slot.step for wait in store.queries.snapshot("s1").awaited} == {"charge", "e1"}
    assert set(nudges(store, "s2")) == {"e1"}


# ── in the caller's transaction ──────────────────────────────────────────────────────────────────────────────────────


def test_the_callers_rollback_leaves_nothing(store, caller):  # noqa: F811
    started(store)
    with caller.connect() as connection, connection.begin() as transaction:
        connection.exec_driver_sql("INSERT INTO orders VALUES (7)")
        post(store, connection=connection)
        transaction.rollback()
    assert ids(store) == []
    assert nudges(store) == {}
    post(store, news(payload="another"))  # the id is free


def test_others_see_it_after_the_commit_only(another, store, caller):  # noqa: F811
    started(store)
    reader = another()
    with caller.begin() as connection:
        post(store, connection=connection)
        assert reader.inbox("s1") == []
    assert ids(reader) == ["e1"]


def test_a_callers_savepoint_takes_its_event_back(store, caller):  # noqa: F811
    started(store)
    with caller.begin() as connection:
        if store.connections.dialect == "sqlite":
            connection.exec_driver_sql("BEGIN")  # Python's driver begins none before a savepoint
        post(store, news("kept"), connection=connection)
        savepoint = connection.begin_nested()
        post(store, news("dropped"), connection=connection)
        savepoint.rollback()
    assert ids(store) == ["kept"]
    assert set(nudges(store)) == {"kept"}


def test_a_refusal_does_not_break_the_callers_transaction(store, caller):  # noqa: F811
    started(store)
    moved(store, started(store, "done"), status=SagaStatus.COMPLETED)
    post(store)
    with caller.begin() as connection:
        for what, error in (
            (news(payload="another"), EventConflict),
            (news(saga_id="done"), Refused),
            (news(saga_id="gone"), SagaNotFound),
        ):
            with pytest.raises(error):
                post(store, what, connection=connection)
        post(store, news("e2"), connection=connection)
    assert set(ids(store)) == {"e1", "e2"}


def test_a_saga_may_be_sent_an_event_in_the_transaction_that_starts_it(store, caller):  # noqa: F811
    with caller.begin() as connection:
        store.start([new("s1")], nudge_after=10.0, connection=connection)
        assert post(store, connection=connection) is SagaStatus.PENDING
    assert ids(store) == ["e1"]


def test_an_event_that_the_callers_snapshot_does_not_show(store, caller):  # noqa: F811
    """Committed by another after the caller's first read: PostgreSQL gives the transaction up, MariaDB looks again."""
    dialect = store.connections.dialect
    if dialect == "sqlite":
        pytest.skip("SQLite refuses to write on an old snapshot by itself")
    started(store)
    connection = caller.connect().execution_options(isolation_level="REPEATABLE READ")
    with connection, connection.begin():
        connection.execute(sa.select(saga_inbox)).all()
        post(store)
        if dialect == "postgresql":
            with pytest.raises(RetryTransaction):
                post(store, connection=connection)
        else:
            assert post(store, connection=connection) is SagaStatus.PENDING
            with pytest.raises(EventConflict):
                post(store, news(payload="another"), connection=connection)
    assert ids(store) == ["e1"]


def test_callers_who_send_to_different_sagas_do_not_stand_in_each_others_way(store, caller):  # noqa: F811
    """With MariaDB's own isolation a locking read of what is not there would lock the gap that the other inserts to."""
    if store.connections.dialect == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    for saga_id in ("s1", "s2"):
        started(store, saga_id)
    with caller.connect() as first, caller.connect() as second, first.begin(), second.begin():
        if store.connections.dialect == "mysql":
            second.exec_driver_sql("SET SESSION innodb_lock_wait_timeout = 2")
        else:
            second.exec_driver_sql("SET LOCAL lock_timeout = '2s'")
        post(store, news(saga_id="s1"), connection=first)
        post(store, news(saga_id="s2"), connection=second)
        post(store, news("e2", "s1"), connection=first)
        post(store, news("e2", "s2"), connection=second)
    assert ids(store, "s1") == ids(store, "s2") == ["e1", "e2"]


def test_an_event_that_is_not_committed_yet_holds_up_no_transition(another, store, caller):  # noqa: F811
    if store.connections.dialect == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    before = started(store)
    post(store, news("seen"))
    other = another()
    with caller.begin() as connection:
        post(store, connection=connection)
        assert other.save(taking(before, "seen"))
        other.forget_nudge("s1", 1)
        assert other.save(change(other.load("s1"), suspended=True))
        assert other.save(change(other.load("s1"), suspended=False))
        assert other.save(change(other.load("s1"), status=SagaStatus.COMPLETED))
    assert ids(store) == ["e1"]
    assert set(nudges(store)) == {"e1"}


def test_rivals_take_news_once(another, store):
    before = started(store)
    post(store)
    found = rivals(another, 8, lambda one, index: one.save(taking(before, "e1", status=SagaStatus.RUNNING)))
    assert found.count(True) == 1
    assert ids(store) == []


# ── the migration ────────────────────────────────────────────────────────────────────────────────────────────────────


def before_inboxes():
    (found,) = [script.down_revision for script in _script().walk_revisions() if script.doc.startswith("Inboxes")]
    return found


def test_the_migration_goes_up_and_down_over_sagas_that_are_there(store, another):
    started(store, "old", key="k", tags={"order": "7"}, timeout=60.0)
    alembic(store, "downgrade", before_inboxes())
    inspector = sa.inspect(store.connections.engine)
    assert not inspector.has_table("saga_inbox")
    assert not {"mail", "parent", "parent_id"} & {column["name"] for column in inspector.get_columns("saga")}
    assert "saga_by_parent" not in {index["name"] for index in inspector.get_indexes("saga")}
    assert pending(store.connections)
    alembic(store, "upgrade", "head")
    check(store.connections)
    again = another()
    state = again.load("old")
    assert (state.input, state.mail, state.parent) == ({"order": 7}, (), None)
    post(again, news(saga_id="old"))
    assert again.save(taking(state, "e1", status=SagaStatus.RUNNING))
    assert count(again, saga) == 1


@pytest.mark.parametrize(
    ("dialect", "id_type"),
    [
        ("postgresql", "VARCHAR(36)"),
        ("sqlite", "VARCHAR(36)"),
        ("mysql", "VARCHAR(36) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"),
    ],
)
def test_the_statements_can_be_printed(dialect, id_type):
    text = " ".join(sql(dialect).split())
    assert f"CREATE TABLE saga_inbox ( saga_id {id_type} NOT NULL" in text
    assert "PRIMARY KEY (saga_id, id)" in text
    assert f"ALTER TABLE saga ADD COLUMN parent_id {id_type};" in text
    assert "CREATE INDEX saga_by_parent ON saga (parent_id);" in text
