"""Connections: one engine for each process, in memory too, and errors with a meaning."""

import io
import multiprocessing
import os
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from saga_celery.core.states import SagaStatus
from saga_celery.errors import RetryTransaction, StoreError, StoreUnavailable
from saga_celery.store import SQLStore
from saga_celery.store.connections import _write_ahead
from saga_celery.store.migrate import migrate
from saga_celery.store.schema import saga
from tests.store.examples import change, new, started


@pytest.fixture
def in_memory():
    store = SQLStore("sqlite://", chance=lambda: 0.5)
    migrate(store.connections)
    yield store
    store.dispose()


def test_a_database_in_memory_is_shared_by_all_threads(in_memory):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: in_memory.start([new(f"s{n}")], nudge_after=1.0), range(40)))
    assert len(in_memory.queries.find(limit=100)) == 40


def session_of(store):
    """What the server calls the connection that is taken from the pool next."""
    ask = {"postgresql": "pg_backend_pid()", "mysql": "CONNECTION_ID()", "sqlite": "0"}[store.connections.dialect]
    return store.connections.reconnected(lambda: _scalar(store, f"SELECT {ask}"))


def _scalar(store, statement):
    with store.connections.autocommit() as connection:
        return connection.exec_driver_sql(statement).scalar_one()


def child(store, answers):
    state = store.load("s1")
    answers.put((state.version, store.save(change(state, status=SagaStatus.RUNNING))))
    store.dispose()


@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_forked_process_makes_connections_of_its_own(store):
    started(store)
    before = session_of(store)
    forking = multiprocessing.get_context("fork")
    answers = forking.Queue()
    process = forking.Process(target=child, args=(store, answers))
    process.start()
    assert answers.get(timeout=60) == (0, True)
    process.join(60)
    assert process.exitcode == 0
    assert store.load("s1").version == 1
    assert session_of(store) == before  # the parent's connection was not closed from under it


def test_a_broken_connection_is_replaced_without_a_word(store):
    """As after a restart of the server, when every connection in the pool is dead."""
    state = started(store)
    dialect = store.connections.dialect
    if dialect == "sqlite":
        pytest.skip("SQLite has no server")
    with store.connections.autocommit() as one, store.connections.autocommit() as two:
        ask = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT CONNECTION_ID()"}[dialect]
        doomed = [connection.exec_driver_sql(ask).scalar_one() for connection in (one, two)]
    killer = sa.create_engine(store.connections.url, isolation_level="AUTOCOMMIT")
    with killer.connect() as connection:
        for pid in doomed:
            kill = {"postgresql": f"SELECT pg_terminate_backend({pid})", "mysql": f"KILL {pid}"}[dialect]
            connection.exec_driver_sql(kill)
    killer.dispose()
    assert store.load("s1") == state
    assert store.save(change(state, status=SagaStatus.RUNNING))


def test_no_database_is_said_so_and_may_be_tried_again(database_url, tmp_path):
    url = sa.make_url(database_url)
    absent = url.set(database=f"{tmp_path}/no/such.db" if url.get_backend_name() == "sqlite" else "saga_test_absent")
    store = SQLStore(absent, chance=lambda: 0.5)
    with pytest.raises(StoreUnavailable) as caught:
        store.load("s1")
    assert caught.value.retryable
    store.dispose()


def test_what_the_database_refuses_for_good_is_no_outage(store):
    def twice(connection):
        row = {"id": "x", "body": "y", "hash": "z"}
        connection.exec_driver_sql("INSERT INTO saga_plan (hash, body) VALUES ('h', 'b'), ('h', 'b')")
        return row

    with pytest.raises(StoreError) as caught:
        store.connections.run(twice)
    assert not caught.value.retryable


def _write_without_waiting(store):
    with store.connections.transaction() as connection:
        connection.exec_driver_sql("SET SESSION innodb_lock_wait_timeout = 0")
        connection.execute(sa.update(saga).values(version=8))


def test_a_lock_that_is_waited_for_too_long_counts_as_given_up(another, store):
    """MariaDB tells it from an outage by its number alone, and undoes only the statement."""
    if store.connections.dialect != "mysql":
        pytest.skip("the others have no such limit by default")
    started(store)
    with another().connections.transaction() as holder:
        holder.execute(sa.update(saga).values(version=7))
        with pytest.raises(RetryTransaction):
            _write_without_waiting(store)
    assert store.load("s1").version == 7


def test_a_transaction_is_run_again_until_it_holds(store):
    tries = []

    def work(connection):
        tries.append(connection)
        connection.execute(sa.update(saga).values(version=5))
        if len(tries) < 3:
            raise RetryTransaction("given up")

    started(store)
    store.connections.run(work)
    assert len(tries) == 3
    assert store.load("s1").version == 5


def test_a_transaction_is_not_run_again_for_ever(store):
    def work(connection):
        raise RetryTransaction("given up")

    with pytest.raises(RetryTransaction):
        store.connections.run(work)


def test_a_real_deadlock_is_survived(another, store):
    """Two transactions that lock two rows in opposite order."""
    if store.connections.dialect == "sqlite":
        pytest.skip("SQLite has one writer at a time, who meets nobody")
    started(store, "s1")
    started(store, "s2")
    both = threading.Barrier(2, timeout=60)

    def cross(job):
        own, order = job
        tries = []

        def work(connection):
            tries.append(1)
            for position, saga_id in enumerate(order):
                connection.execute(sa.update(saga).where(saga.c.id == saga_id).values(version=saga.c.version + 1))
                if position == 0 and len(tries) == 1:
                    both.wait()

        own.connections.run(work)
        return len(tries)

    with ThreadPoolExecutor(2) as pool:
        tries = list(pool.map(cross, [(another(), ("s1", "s2")), (another(), ("s2", "s1"))]))
    assert sorted(tries) == [1, 2]
    assert (store.load("s1").version, store.load("s2").version) == (2, 2)


def test_an_isolation_level_of_the_database_changes_nothing(postgres_store, postgres_url):
    name = sa.make_url(postgres_url).database
    with postgres_store.connections.autocommit() as connection:
        connection.exec_driver_sql(f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")
    postgres_store.dispose()
    with postgres_store.connections.transaction() as connection:
        assert connection.exec_driver_sql("SHOW transaction_isolation").scalar_one() == "read committed"
    state = started(postgres_store)
    assert postgres_store.save(change(state))


def test_a_fork_waits_for_the_transaction_of_another_thread(sqlite_url: str) -> None:
    """SQLite's locks would otherwise be copied into the child, where nobody ever gives them back."""
    store = SQLStore(sqlite_url, chance=lambda: 0.5)
    migrate(store.connections)
    inside, forked = threading.Event(), threading.Event()

    def write() -> None:
        with store.connections.transaction():
            inside.set()
            forked.wait(0.3)  # the fork can not happen before this is over

    writer = threading.Thread(target=write)
    writer.start()
    inside.wait()
    child = os.fork()
    if child == 0:
        store.dispose()
        try:
            store.beat("child", [])
        finally:
            os._exit(0 if "child" in store.living().workers else 1)
    forked.set()
    writer.join()
    store.beat("parent", [])
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.living().workers == {"child", "parent"}
    store.dispose()


class Contended:
    """A new SQLite file that others are switching to their log at this moment."""

    def __init__(self, *answers):
        self.answers = [*answers]

    def execute(self, statement):
        assert statement == "PRAGMA journal_mode=WAL"
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return io.StringIO()


def test_a_new_file_that_others_switch_to_its_log_is_tried_again():
    """SQLite does not wait there, so many processes that meet a new file at once would fail by chance."""
    locked = sqlite3.OperationalError("database is locked")
    contended = Contended(locked, locked, "wal")
    _write_ahead(contended)
    assert contended.answers == []


def test_a_file_that_can_not_be_switched_says_so():
    with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
        _write_ahead(Contended(sqlite3.OperationalError("disk I/O error"), "wal"))
