"""The ends of sagas, called out through Redis: heard where all goes well, and in nobody's way where it does not."""

from __future__ import annotations

import os
import socket
import threading
import time

import pytest
import redis
from celery import Celery

from saga_celery.settings import Settings
from saga_celery.transport import aside, end_calls
from saga_celery.transport.end_calls import CHANNEL, EndCaller, RedisEars, can_call
from saga_celery.transport.publisher import CeleryTransport
from tests.servers import EmbeddedRedis

PATIENCE = 60


@pytest.fixture
def prefix(request):
    """Calls are not apart by database, as keys are; so each test has a channel of its own."""
    return f"{request.node.name}/{request.config.getoption('randomly_seed', 0)}/"


@pytest.fixture
def app(redis_server, prefix):
    return app_at(redis_server.url, prefix)


@pytest.fixture
def ears(app):
    made = RedisEars(app)
    yield made
    made.close()
    if made._thread is not None:
        made._thread.join(PATIENCE)
        assert not made._thread.is_alive()


@pytest.fixture
def server(redis_server):
    with redis.Redis.from_url(redis_server.url) as client:
        yield client


def app_at(url, prefix=""):
    app = Celery("caller", broker=url, set_as_current=False)
    # Who calls or listens gives up quickly, as nothing rests on it; a test waits for a busy machine.
    patience = {"socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE}
    app.conf.broker_transport_options = {"global_keyprefix": prefix, **patience}
    return app


def listeners(server, prefix):
    ((_, count),) = server.pubsub_numsub(prefix + CHANNEL)
    return count


def until(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        threading.Event().wait(0.01)


def subscribed(ears, server, prefix):
    assert ears.heard(0) == []
    until(lambda: listeners(server, prefix) == 1, "nobody listens")


def heard(ears):
    """What is called out next."""
    deadline = time.monotonic() + PATIENCE
    while not (ids := ears.heard(0.1)):
        assert time.monotonic() < deadline, "nothing was heard"
    return ids


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("redis://127.0.0.1:1/0", True),
        ("rediss://127.0.0.1:1/0", True),
        ("sentinel://127.0.0.1:1", True),
        ("amqp://127.0.0.1:1", False),
        ("memory://", False),
        ("filesystem://", False),
    ],
)
def test_which_brokers_calls_can_go_through_is_known_without_a_connection(url, good):
    assert can_call(app_at(url)) is good


@pytest.mark.parametrize("apart", [True, False], ids=["prefix", "no prefix"])
def test_what_one_process_calls_the_other_hears(redis_server, server, prefix, apart):
    own = prefix if apart else ""
    listening, calling = RedisEars(app_at(redis_server.url, own)), EndCaller(app_at(redis_server.url, own))
    assert listening.heard(0) == []
    until(lambda: listeners(server, own) > 0, "nobody listens")
    calling.say("a")
    assert list(heard(listening)) == ["a"]
    calling.say("b")
    assert list(heard(listening)) == ["b"]
    listening.close()


def test_a_call_ends_the_rest_early(app, ears, server, prefix):
    subscribed(ears, server, prefix)
    threading.Timer(0.05, EndCaller(app).say, ["a"]).start()
    while not (ids := ears.heard(PATIENCE * 10)):
        pass
    assert list(ids) == ["a"]


def test_an_interruption_ends_the_rest_and_is_no_call(ears):
    ears.interrupt()
    assert ears.heard(PATIENCE * 10) == []


def test_there_is_a_connection_only_while_somebody_waits(app, server, prefix, ears):
    EndCaller(app)
    assert listeners(server, prefix) == 0
    subscribed(ears, server, prefix)
    ears.close()
    until(lambda: listeners(server, prefix) == 0, "it still listens")


def test_many_ends_go_out_in_one_call(app, ears, server, prefix, monkeypatch):
    """What is said while the connection is being made goes out together, and what is too much is dropped."""
    monkeypatch.setattr(aside, "MOST_UNSAID", 3)
    subscribed(ears, server, prefix)
    connected = threading.Event()
    quick = aside.Broker.use

    def slow(broker, act):
        assert connected.wait(PATIENCE)
        return quick(broker, act)

    monkeypatch.setattr(aside.Broker, "use", slow)
    caller = EndCaller(app)
    caller.say("first")
    until(lambda: not caller._unsaid, "the first one is not taken")
    for saga_id in "abcd":
        caller.say(saga_id)
    connected.set()
    ids = []
    while "d" not in ids:
        ids += heard(ears)
    assert ids == ["first", "b", "c", "d"]


def test_nobody_waits_for_a_redis_that_does_not_answer(monkeypatch):
    answers = threading.Event()
    waiting = []

    def connecting(*_):
        waiting.append(threading.current_thread())
        assert answers.wait(PATIENCE)
        raise ConnectionError("away")

    monkeypatch.setattr(end_calls, "quick_connection", connecting)
    monkeypatch.setattr(aside.Broker, "use", connecting)
    app = app_at("redis://127.0.0.1:1/0")
    ears, caller = RedisEars(app), EndCaller(app)
    assert ears.heard(0) == []
    caller.say("a")
    until(lambda: len(waiting) == 2, "not both have tried")
    assert ears.heard(0) == []
    caller.say("b")

    ears.close()
    answers.set()
    ears._thread.join(PATIENCE)
    assert threading.main_thread() not in waiting


def test_with_redis_down_nothing_is_heard_and_nothing_breaks(caplog):
    caplog.set_level("INFO", "saga_celery")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        app = app_at(f"redis://127.0.0.1:{nobody.getsockname()[1]}/0")
        ears, caller = RedisEars(app), EndCaller(app)
        caller.say("a")
        assert ears.heard(0.01) == []
        until(lambda: "can not be listened to" in caplog.text, "it did not try to listen")
        until(lambda: "were not called out" in caplog.text, "it did not try to call")
        assert ears.heard(0.01) == []
        ears.close()
        ears._thread.join(PATIENCE)


def test_it_listens_again_when_redis_is_back(monkeypatch):
    monkeypatch.setattr(end_calls, "DEAF_SECONDS", 0.05)
    own = EmbeddedRedis()
    try:
        app = app_at(own.url)
        ears, caller = RedisEars(app), EndCaller(app)
        with redis.Redis.from_url(own.url) as server:
            subscribed(ears, server, "")
        own.restart()
        with redis.Redis.from_url(own.url) as server:
            until(lambda: listeners(server, "") == 1, "it does not listen again")
        caller.say("a")
        assert list(heard(ears)) == ["a"]
        ears.close()
        ears._thread.join(PATIENCE)
    finally:
        own.stop()


def test_a_redis_that_forbids_calls_still_takes_messages(redis_server, server, prefix, caplog):
    caplog.set_level("INFO", "saga_celery")
    server.execute_command("ACL", "SETUSER", "mute", "on", ">pw", "~*", "+@all", "-publish", "-subscribe")
    try:
        app = app_at(redis_server.url.replace("//", "//mute:pw@"), prefix)
        ears, transport = RedisEars(app), CeleryTransport(app, Settings())
        EndCaller(app).say("a")
        assert ears.heard(0.01) == []
        until(lambda: "were not called out" in caplog.text, "it was not refused")
        until(lambda: "can not be listened to" in caplog.text, "it was not refused")
        transport.nudge(["a"])
        assert server.llen(f"{prefix}saga") == 1
        ears.close()
    finally:
        server.execute_command("ACL", "DELUSER", "mute")


def test_the_thread_that_calls_goes_and_comes_again(app, ears, server, prefix, monkeypatch):
    monkeypatch.setattr(aside, "LINGER", 0.01)
    subscribed(ears, server, prefix)
    caller = EndCaller(app)
    for saga_id in "ab":
        caller.say(saga_id)
        assert list(heard(ears)) == [saga_id]
        until(lambda: caller._thread is None, "it stays")


def test_where_no_thread_can_be_had_nothing_is_called(app, monkeypatch):
    def no_thread(_):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", no_thread)
    caller, ears = EndCaller(app), RedisEars(app)
    caller.say("a")
    assert ears.heard(0) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")
def test_the_child_of_a_fork_calls_on_a_connection_of_its_own(app, ears, server, prefix):
    subscribed(ears, server, prefix)
    caller = EndCaller(app)
    caller.say("parent")
    assert list(heard(ears)) == ["parent"]
    child = os.fork()
    if child == 0:
        aside.LINGER = 0.01
        caller.say("child")
        until(lambda: caller._thread is None, "it goes once it has spoken")
        os._exit(0)
    assert list(heard(ears)) == ["child"]
    assert os.waitpid(child, 0)[1] == 0
    caller.say("parent again")
    assert list(heard(ears)) == ["parent again"]
