"""Starting sagas, alone and among rivals, in transactions of our own and of the caller's."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import sqlalchemy as sa

from saga_celery.core.states import SagaState, SagaStatus
from saga_celery.engine.ports import DEADLINE_SLOT, NUDGE_SLOT, Awaited
from saga_celery.errors import AlreadyStarted, InputRejected, KeyConflict, RetryTransaction, StoreError
from saga_celery.store import postgres_starts
from saga_celery.store.schema import metadata, saga, saga_awaited, saga_key
from tests.store.examples import PLAN, change, moved, new, started


def start(store, saga_id="s1", **values):
    options = {name: values.pop(name) for name in ("if_exists", "connection") if name in values}
    (found,) = store.start([new(saga_id, **values)], nudge_after=10.0, **options)
    return found


def count(store, table=saga):
    with store.connections.autocommit() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def test_a_started_saga_is_there_and_will_be_looked_after(store, clock):
    found = start(store, headers={"traceparent": "00-1"}, tags={"order": "7"}, key="k", timeout=60.0)
    assert (found.id, found.created) == ("s1", True)
    headers = {"traceparent": "00-1"}
    expected = SagaState(id="s1", name="shop.order", plan_hash=PLAN.hash, input={"order": 7}, headers=headers)
    assert store.load("s1") == expected
    assert store.plan(PLAN.hash) == PLAN
    seen = store.queries.snapshot("s1")
    assert [(wait.slot, wait.awaited) for wait in seen.awaited] == [
        (NUDGE_SLOT, Awaited.NUDGE),
        (DEADLINE_SLOT, Awaited.DEADLINE),
    ]
    assert [(wait.due_at - clock.time).total_seconds() for wait in seen.awaited] == [10.0, 60.0]
    assert (seen.saga.deadline_at - clock.time).total_seconds() == 60.0
    assert seen.saga.created_at == clock.time
    assert seen.tags == {"order": "7"}
    assert store.queries.id_of("shop.order", "k") == "s1"


def test_a_saga_without_a_timeout_has_no_deadline(store):
    start(store)
    seen = store.queries.snapshot("s1")
    assert seen.saga.deadline_at is None
    assert [wait.awaited for wait in seen.awaited] == [Awaited.NUDGE]


def test_many_are_started_at_once(store):
    found = store.start([new(f"s{number}", tags={"n": str(number)}) for number in range(300)], nudge_after=1.0)
    assert all(one.created for one in found)
    assert (count(store), count(store, saga_awaited)) == (300, 300)


def test_a_key_finds_the_saga_that_has_it(store):
    start(store, key="k")
    again = start(store, "s2", key="k")
    assert (again.id, again.created) == ("s1", False)
    assert start(store, "s3", key="K").created
    assert start(store, "s4", key="k", name="travel.trip").created
    assert store.load("s2") is None


def test_a_batch_may_hold_a_key_twice(store):
    found = store.start([new("b", key="k"), new("a"), new("c", key="k")], nudge_after=1.0)
    assert [(one.id, one.created) for one in found] == [("b", True), ("a", True), ("b", False)]


def test_another_input_under_the_same_key_is_refused(store):
    start(store, key="k", input={"a": 1, "b": 2})
    assert not start(store, "s2", key="k", input={"b": 2, "a": 1}).created
    with pytest.raises(KeyConflict, match="s1"):
        start(store, "s3", key="k", input={"a": 2})
    assert count(store) == 1


def test_who_asks_to_be_told_is_told(store):
    start(store, key="k", if_exists="raise")
    with pytest.raises(AlreadyStarted, match="s1"):
        start(store, "s2", key="k", if_exists="raise")


def test_a_key_starts_anew_only_when_its_saga_is_done(store):
    state = started(store, "s1", key="k")
    assert start(store, "s2", key="k", if_exists="new_if_ended").id == "s1"
    state = moved(store, state, status=SagaStatus.FAILED)  # waits for an operator, and may go on
    assert start(store, "s2", key="k", if_exists="new_if_ended").id == "s1"
    moved(store, state, status=SagaStatus.COMPENSATED)
    assert start(store, "s2", key="k", input={"other": 1}, if_exists="new_if_ended").created
    assert store.queries.id_of("shop.order", "k") == "s2"
    assert not start(store, "s3", key="k", input={"other": 1}).created


def test_a_key_outlives_its_saga(store):
    start(store, key="k")
    with store.connections.transaction() as connection:
        connection.execute(sa.delete(saga))
    assert start(store, "s2", key="k").id == "s1"
    assert start(store, "s2", key="k", if_exists="new_if_ended").id == "s2"


def rivals(another, number, work):
    stores = [another() for _ in range(number)]
    gate = threading.Barrier(number, timeout=60)

    def race(index):
        with stores[index].connections.autocommit():  # so that connecting is no part of the race
            pass
        gate.wait()
        return work(stores[index], index)

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(race, range(number)))


def test_of_sixteen_rivals_with_one_key_one_starts_a_saga(another, store):
    found = rivals(another, 16, lambda one, index: start(one, f"s{index}", key="k"))
    assert sum(one.created for one in found) == 1
    assert len({one.id for one in found}) == 1
    assert count(store) == count(store, saga_awaited) == 1


def test_of_eight_rivals_one_starts_anew(another, store):
    moved(store, started(store, "old", key="k"), status=SagaStatus.COMPLETED)
    found = rivals(another, 8, lambda one, index: start(one, f"s{index}", key="k", if_exists="new_if_ended"))
    assert sum(one.created for one in found) == 1
    assert {one.id for one in found} == {store.queries.id_of("shop.order", "k")}
    assert count(store) == 2


# ── in the caller's transaction ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def caller(database_url, store):
    """An engine of the caller's own, with the settings that SQLAlchemy gives it."""
    engine = sa.create_engine(database_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE orders (id integer)")
    yield engine
    engine.dispose()


def test_the_callers_rollback_leaves_nothing(store, caller):
    with caller.connect() as connection, connection.begin() as transaction:
        connection.exec_driver_sql("INSERT INTO orders VALUES (7)")
        assert start(store, key="k", timeout=5.0, tags={"a": "b"}, connection=connection).created
        transaction.rollback()
    tables = [table for table in metadata.sorted_tables if table.name not in ("saga_plan", "saga_barrier")]
    assert {table.name: count(store, table) for table in tables} == {table.name: 0 for table in tables}
    assert start(store, key="k").created
    assert store.plan(PLAN.hash) == PLAN


def test_the_callers_saga_is_visible_after_the_commit_only(another, store, caller):
    reader = another()
    with caller.begin() as connection:
        start(store, connection=connection)
        assert reader.load("s1") is None
    assert reader.load("s1") is not None
    assert reader.plan(PLAN.hash) == PLAN


def test_a_callers_savepoint_takes_its_saga_back(store, caller):
    with caller.begin() as connection:
        if store.connections.dialect == "sqlite":
            connection.exec_driver_sql("BEGIN")  # Python's driver begins none before a savepoint
        start(store, "kept", connection=connection)
        savepoint = connection.begin_nested()
        start(store, "dropped", key="k", connection=connection)
        savepoint.rollback()
        assert start(store, "second", key="k", connection=connection).created
    assert store.load("dropped") is None
    assert store.load("kept") is not None
    assert store.queries.id_of("shop.order", "k") == "second"


def test_a_key_conflict_does_not_break_the_callers_transaction(store, caller):
    start(store, key="k")
    with caller.begin() as connection:
        connection.exec_driver_sql("INSERT INTO orders VALUES (7)")
        with pytest.raises(KeyConflict):
            start(store, "s2", key="k", input=2, connection=connection)
        assert start(store, "s3", connection=connection).created
    assert store.load("s3") is not None


def test_a_key_that_the_callers_snapshot_does_not_show(store, caller):
    """Committed by another after the caller's first read: PostgreSQL gives the transaction up, MariaDB looks again."""
    dialect = store.connections.dialect
    if dialect == "sqlite":
        pytest.skip("SQLite refuses to write on an old snapshot by itself")
    connection = caller.connect().execution_options(isolation_level="REPEATABLE READ")
    with connection, connection.begin():
        connection.execute(sa.select(saga_key)).all()
        start(store, key="k")
        if dialect == "postgresql":
            with pytest.raises(RetryTransaction):
                start(store, "s2", key="k", connection=connection)
        else:
            assert start(store, "s2", key="k", connection=connection).id == "s1"


def test_a_callers_long_transaction_holds_up_nobody_elses_start(another, store, caller):
    if store.connections.dialect == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    with caller.begin() as connection:
        start(store, connection=connection)
        assert start(another(), "s2").created


# ── what can not be stored ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "values",
    [
        {"key": "k" * 201},
        {"key": "a\x00b"},
        {"key": "k "},
        {"tags": {"order": "\udcff"}},
        {"tags": {"t" * 201: "x"}},
        {"input": float("nan")},
        {"input": {1, 2}},
    ],
)
def test_what_can_not_be_stored_is_refused_at_once(values):
    with pytest.raises(InputRejected):
        new("s1", **values)


def test_the_longest_that_can_be_stored_is_stored(store):
    assert start(store, "s" * 36, name="n" * 200, key="ß" * 200, tags={"t" * 200: "v" * 200}).created
    assert not start(store, "s2", name="n" * 200, key="ß" * 200).created


def test_a_plan_that_is_not_there_is_named(store):
    with pytest.raises(StoreError, match="no plan 'abc'"):
        store.plan("abc")


def test_a_saga_may_be_moved_right_after_its_start(store):
    state = started(store, input=None)
    assert state.input is None
    assert store.save(change(state))
    assert store.load("s1") == replace(state, version=1)


def test_our_own_transaction_and_a_callers_store_the_same(store):
    """On PostgreSQL two ways lead there."""
    values = {"key": "k'%", "tags": {'"a\\': "b\u2028ß"}, "headers": {"a": "ß"}, "input": {"x": '\ud800\x00"\\'}}
    sagas = [new("0"), new("1", timeout=60.0, priority=3, input=None), new("2", timeout=0.5, **values)]
    tables = [metadata.tables[name] for name in ("saga", "saga_awaited", "saga_tag", "saga_key", "saga_plan")]

    def rows():
        with store.connections.transaction() as connection:
            found = [sorted(map(str, connection.execute(sa.select(table)))) for table in tables]
            for table in tables[:-1]:
                connection.execute(sa.delete(table))
        return found

    store.start(sagas, nudge_after=1.5)
    together = rows()
    for each in sagas:
        store.start([each], nudge_after=1.5)
    each_alone = rows()
    with store.connections.transaction() as connection:
        store.start(sagas, nudge_after=1.5, connection=connection)
    assert together == each_alone == rows()
    assert [len(each) for each in together] == [3, 5, 1, 1, 1]


def test_many_of_which_some_are_there_are_all_stored_or_none(store, monkeypatch):
    monkeypatch.setattr(postgres_starts, "A_STATEMENT", 4)
    monkeypatch.setattr(postgres_starts, "LETTERS_A_STATEMENT", 30)
    start(store, "old", key="3")
    many = [new(f"s{number}", key=str(number)) if number % 3 == 0 else new(f"s{number}") for number in range(10)]
    found = store.start(many, nudge_after=1.0)
    assert [one.id for one in found] == [
        *(f"s{number}" for number in range(3)),
        "old",
        *(f"s{n}" for n in range(4, 10)),
    ]
    assert [one.created for one in found] == [number != 3 for number in range(10)]
    assert (count(store), count(store, saga_awaited), count(store, saga_key)) == (10, 10, 4)
    with pytest.raises(AlreadyStarted):
        store.start([new("t1"), new("t2", key="9"), new("t3", key="new")], if_exists="raise", nudge_after=1.0)
    with pytest.raises(KeyConflict):
        store.start([new("t1"), new("t2", key="9", input=0), new("t3", key="new")], nudge_after=1.0)
    assert (count(store), count(store, saga_awaited), count(store, saga_key)) == (10, 10, 4)
