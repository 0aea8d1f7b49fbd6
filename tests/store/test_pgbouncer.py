"""Behind a pooler in transaction mode: nothing is left in a session, and nothing is looked for there."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from celery import Celery

from saga_celery import SagaApp
from saga_celery.core.states import SagaStatus
from saga_celery.engine.ports import Awaited
from saga_celery.store.ends import ends_of
from saga_celery.store.migrate import migrate
from tests.servers import PGBOUNCER, PgBouncer
from tests.store.examples import due, moved, new

pytestmark = pytest.mark.skipif(not PGBOUNCER.available, reason=PGBOUNCER.source)


@pytest.fixture
def pooled_store(postgres_url: str) -> Iterator[SagaApp]:
    """A store as an app makes it whose settings are those of the docs."""
    pooler = PgBouncer(postgres_url)
    celery = Celery("pooled", set_as_current=False)
    celery.conf.saga_database_url = pooler.url
    celery.conf.saga_database_options = {"pool_size": 6, "connect_args": {"prepare_threshold": None}}
    app = SagaApp(celery)
    yield app.store
    app.dispose()
    pooler.stop()


def test_sagas_run_while_more_clients_than_the_server_has_connections_take_turns(pooled_store):
    migrate(pooled_store.connections)

    def run(number):
        started = pooled_store.start([new(f"s{number}", key=str(number // 2), timeout=60.0)], nudge_after=60.0)[0]
        if not started.created:
            return 0
        state = pooled_store.load(started.id)
        for version in range(8):
            slot = due(awaited=Awaited.START, seconds=60.0 + version)
            state = moved(pooled_store, state, status=SagaStatus.RUNNING, awaited=[slot])
        pooled_store.overdue(10, 1.0)
        return moved(pooled_store, state, status=SagaStatus.COMPLETED).version

    with ThreadPoolExecutor(6) as threads:
        assert sorted(threads.map(run, range(40))) == [0] * 20 + [9] * 20
    with pooled_store.connections.transaction() as connection:
        pooled_store.start(
            [new(f"t{number}", key=str(number)) for number in range(50)], connection=connection, nudge_after=1
        )
    assert len(pooled_store.queries.find(limit=100)) == 50


def test_who_waits_asks_as_no_call_arrives(pooled_store):
    ears = ends_of(pooled_store.connections)
    for _ in range(3):
        assert list(ears.heard(0.01)) == []
        with pooled_store.connections.autocommit() as another:
            another.exec_driver_sql("SELECT pg_notify('saga_ended', 's1')")
            assert not another.connection.dbapi_connection._notifies_backlog, "nothing is kept that nobody asks for"
    assert not ears.reliable
    ears.close()
