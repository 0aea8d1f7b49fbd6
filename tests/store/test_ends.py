"""Calls at the end of a saga: who makes them, who hears them, and what becomes of a wait without them."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa

from saga_celery.core.states import SagaStatus
from saga_celery.store.connections import Connections
from saga_celery.store.ends import DEAF_SECONDS, NoCalls, PostgresCalls, ends_of
from tests.store.examples import moved, started


@pytest.fixture
def time():
    return [1000.0]


@pytest.fixture
def calls(postgres_store, time):
    made = PostgresCalls(postgres_store.connections, clock=lambda: time[0])
    made.heard(0)
    while not made.reliable:
        made.heard(10)
    yield made
    made.close()


def everything(calls):
    """All that was called out up to a call of our own."""
    found = []
    with calls._connections.autocommit() as another:
        another.exec_driver_sql("SELECT pg_notify('saga_ended', 'the last')")
    while "the last" not in found:
        found += calls.heard(10)
    return found[:-1]


@pytest.mark.parametrize("end", [SagaStatus.COMPLETED, SagaStatus.COMPENSATED, SagaStatus.FAILED])
def test_a_transition_that_ends_its_saga_calls_it_out_once(calls, postgres_store, end):
    state = moved(postgres_store, started(postgres_store, "s1"), status=SagaStatus.RUNNING)
    assert everything(calls) == []
    state = moved(postgres_store, state, status=end)
    assert everything(calls) == ["s1"]
    moved(postgres_store, state, status=end)
    assert everything(calls) == [], "it had ended before"


def test_a_transition_that_was_overtaken_calls_nothing(calls, postgres_store):
    state = started(postgres_store, "s1")
    moved(postgres_store, state, status=SagaStatus.RUNNING)
    with pytest.raises(AssertionError):
        moved(postgres_store, state, status=SagaStatus.COMPLETED)
    assert everything(calls) == []


def test_a_rest_ends_with_an_interruption(calls):
    resting = threading.Thread(target=calls.heard, args=(60,))
    resting.start()
    calls.interrupt()
    resting.join(20)
    assert not resting.is_alive()
    for _ in range(100_000):
        calls.interrupt()  # never blocks, though nobody rests
    assert calls.heard(60) == []


def test_a_broken_connection_is_no_failure_and_is_replaced_later(calls, postgres_store, time):
    with postgres_store.connections.autocommit() as another:
        pid = calls._connection.connection.dbapi_connection.info.backend_pid
        another.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
    while calls.reliable:
        assert list(calls.heard(10)) == []
    assert list(calls.heard(0)) == []
    assert calls._connection is None, "it rests before it tries again"

    time[0] += DEAF_SECONDS
    while not calls.reliable:
        calls.heard(10)
    moved(postgres_store, started(postgres_store, "s1"), status=SagaStatus.COMPLETED)
    assert everything(calls) == ["s1"]


def test_a_pooler_that_drops_calls_leaves_them_unreliable(postgres_store):
    """As behind PgBouncer in transaction mode: LISTEN is taken, and nothing is ever heard."""

    def deafen(connection, cursor, statement, parameters, context, executemany):
        return statement.replace("LISTEN saga_ended", "LISTEN nowhere"), parameters

    sa.event.listen(postgres_store.connections.engine, "before_cursor_execute", deafen, retval=True)
    calls = PostgresCalls(postgres_store.connections)
    assert list(calls.heard(0.2)) == []
    moved(postgres_store, started(postgres_store, "s1"), status=SagaStatus.COMPLETED)
    assert list(calls.heard(0.2)) == []
    assert calls._connection is not None
    assert not calls.reliable
    calls.close()


def test_a_server_that_is_away_is_no_failure():
    away = Connections("postgresql+psycopg://127.0.0.1:1/none", chance=lambda: 0.5)
    calls = ends_of(away)
    assert list(calls.heard(0)) == []
    assert not calls.reliable
    calls.close()


def test_other_databases_rest_until_they_are_interrupted(sqlite_url):
    ends = ends_of(Connections(sqlite_url, chance=lambda: 0.5))
    assert isinstance(ends, NoCalls)
    ends.interrupt()
    assert list(ends.heard(60)) == []
    assert list(ends.heard(0)) == []
    ends.close()
