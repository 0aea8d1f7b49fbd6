"""Statements that go round SQLAlchemy fail as those do that go through it, and leave their connection in order."""

import pytest
import sqlalchemy as sa
from sqlalchemy import exc

from saga_celery.errors import StoreError, StoreUnavailable
from saga_celery.store.faults import lost

MARK = "INSERT INTO saga_gate (number) VALUES (77)"


@pytest.fixture(params=[False, True], ids=["straight", "listened_to"])
def connections(store, request):
    if request.param:
        sa.event.listen(store.connections.engine, "before_cursor_execute", lambda *_: None)
    return store.connections


def ask(connections, statement, **options):
    with connections.cursor(**options) as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


def mark(connections, *, then, **options):
    """Leave a mark, and then fail, or execute something more."""
    with connections.cursor(**options) as cursor:
        cursor.execute(MARK)
        if isinstance(then, BaseException):
            raise then
        cursor.execute(then)


def marks(connections):
    ((found,),) = ask(connections, "SELECT count(*) FROM saga_gate WHERE number = 77")
    return found


def asks_on(connections):
    while True:  # until the server is done with the connection
        ask(connections, "SELECT 1")


def at_rest(connections):
    return connections.engine.pool.checkedout() == 0


def test_each_statement_is_a_transaction_of_its_own(connections):
    with pytest.raises(RuntimeError):
        mark(connections, then=RuntimeError())
    assert (marks(connections), at_rest(connections)) == (1, True)


def test_a_transaction_is_committed_as_a_whole_or_not_at_all(connections):
    with pytest.raises(RuntimeError):
        mark(connections, then=RuntimeError(), transaction=True)
    assert (marks(connections), at_rest(connections)) == (0, True)
    with connections.cursor(transaction=True) as cursor:
        cursor.execute(MARK)
        assert cursor.rowcount == 1
    assert (marks(connections), at_rest(connections)) == (1, True)


@pytest.mark.parametrize("transaction", [False, True])
def test_what_the_database_refuses_is_told_and_the_connection_serves_on(connections, transaction):
    with pytest.raises(StoreError, match="saga_nonsense") as told:
        mark(connections, then="SELECT 1 FROM saga_nonsense", transaction=transaction)
    assert isinstance(told.value.__cause__, exc.DBAPIError)
    assert marks(connections) == (0 if transaction else 1)
    assert (connections.engine.pool.checkedin(), at_rest(connections)) == (1, True)


@pytest.mark.parametrize("transaction", [False, True])
def test_a_connection_that_was_interrupted_is_not_used_again(store, transaction):
    ask(store.connections, "SELECT 1")
    before = store.connections.engine.raw_connection()
    driver = before.dbapi_connection
    before.close()
    with pytest.raises(KeyboardInterrupt):
        mark(store.connections, then=KeyboardInterrupt(), transaction=transaction)
    after = store.connections.engine.raw_connection()
    assert after.dbapi_connection is not driver
    after.close()
    assert at_rest(store.connections)


def test_a_connection_that_broke_is_known_as_lost_and_its_siblings_go_with_it(connections):
    if connections.dialect == "sqlite":
        pytest.skip("nobody stands between it and its file")
    own = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT connection_id()"}[connections.dialect]
    kill = {"postgresql": "SELECT pg_terminate_backend({})", "mysql": "KILL {}"}[connections.dialect]
    with connections.cursor() as cursor, connections.cursor() as sibling:
        numbers = []
        for each in (cursor, sibling):
            each.execute(own)
            numbers.append(each.fetchall()[0][0])
    other = sa.create_engine(connections.url, isolation_level="AUTOCOMMIT")
    with other.connect() as killer:
        for number in numbers:
            killer.exec_driver_sql(kill.format(number))
    other.dispose()
    with pytest.raises(StoreUnavailable) as told:
        asks_on(connections)
    assert lost(told.value.__cause__)
    assert marks(connections) == 0
    assert at_rest(connections)


def test_those_who_listen_see_each_statement(store):
    seen = []
    sa.event.listen(store.connections.engine, "before_cursor_execute", lambda c, cur, text, *rest: seen.append(text))
    ask(store.connections, "SELECT 7")
    assert seen == ["SELECT 7"]
    with store.connections.cursor(transaction=True) as cursor:
        cursor.executemany("SELECT 1", [()])
    assert len(seen) == 3
