"""Where the database can not call and the broker is Redis, a wait ends at a call and not only at the next look."""

from __future__ import annotations

import threading
import time

import pytest
import redis

from saga_celery import SagaStatus
from saga_celery.store.ends import NoCalls, PostgresCalls
from saga_celery.transport.end_calls import CHANNEL, RedisEars
from tests.conftest import DATABASES

PATIENCE = 60
MUTE = [name for name in ("sqlite", "mariadb") if DATABASES[name].available]


@pytest.fixture
def over_redis(errands, redis_server, request):
    """Errands whose messages and calls go through Redis, apart from those of other tests."""
    prefix = f"{request.node.name}/"
    options = {"global_keyprefix": prefix, "socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE}
    errands.sagas.celery.conf.update(broker_url=redis_server.url, broker_transport_options=options)
    with redis.Redis.from_url(redis_server.url) as server:
        yield errands, lambda: server.pubsub_numsub(prefix + CHANNEL)[0][1]


@pytest.mark.parametrize("database_url", MUTE, indirect=True)
def test_a_wait_ends_at_the_call(over_redis):
    """Time stands still for the one who looks, so after the first look only a call can end the wait."""
    errands, listeners = over_redis
    errands.sagas.desk._room._clock = lambda: 0.0
    (handle,) = errands.running()
    states = []
    waiting = threading.Thread(target=lambda: states.append(handle.wait()), daemon=True)
    waiting.start()
    deadline = time.monotonic() + PATIENCE
    while listeners() == 0:
        assert time.monotonic() < deadline, "nobody listens"
        threading.Event().wait(0.01)
    errands.complete(handle)
    waiting.join(PATIENCE)
    assert states == [SagaStatus.COMPLETED]


@pytest.mark.parametrize("database_url", MUTE, indirect=True)
def test_with_redis_down_a_wait_ends_at_a_look(errands):
    errands.sagas.celery.conf.broker_url = "redis://127.0.0.1:1/0"
    (handle,) = errands.running()
    threading.Timer(0.1, errands.complete, [handle]).start()
    assert handle.wait(PATIENCE) is SagaStatus.COMPLETED


@pytest.mark.parametrize("database_url", MUTE, indirect=True)
def test_no_thread_and_no_connection_unless_a_saga_ends_or_somebody_waits(over_redis):
    errands, listeners = over_redis
    errands.running()
    assert listeners() == 0
    assert errands.sagas._end_caller._thread is None


def test_whose_calls_are_heard(errands, database_url):
    app = errands.sagas
    kinds = [kind_of(app.ends())]
    app._caller_is_known = False
    app.celery.conf.broker_url = "redis://127.0.0.1:1/0"
    kinds.append(kind_of(app.ends()))
    database_calls = database_url.startswith("postgresql")
    assert kinds == ([PostgresCalls, PostgresCalls] if database_calls else [NoCalls, RedisEars])
    assert (app._end_caller is None) is database_calls


def kind_of(ends):
    ends.close()
    return type(ends)
