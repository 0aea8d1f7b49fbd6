"""Publishing never hangs, routes as Celery would, and hides nothing in the message."""

import contextlib
import json
import os
import socket
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from celery import Celery, signals

from saga_celery.core.states import Direction, Message
from saga_celery.errors import PublishFailed, StoreUnavailable
from saga_celery.settings import Settings
from saga_celery.transport.broker import CONNECT_SECONDS, REST_SECONDS, SOCKET_SECONDS, Broker
from saga_celery.transport.publisher import CeleryTransport
from tests.transport.lab import id_of, outgoing

HANGING = 20.0
"""Seconds. What hangs does so for minutes or for ever; what does not may still be slow where the machine is busy."""


def app_at(url, **conf):
    app = Celery("publisher", broker=url, set_as_current=False)
    app.conf.update(conf)
    return app


def transport_at(url, **conf):
    app = app_at(url, **conf)
    return CeleryTransport(app, Settings.from_conf(app.conf))


def seconds_until_refused(transport):
    began = time.monotonic()
    with pytest.raises(PublishFailed):
        transport.send([outgoing("ok")])
    return time.monotonic() - began


def waiting(lab, queue="steps"):
    return [json.loads(raw) for raw in reversed(lab.notes.lrange(queue, 0, -1))]


# --------------------------------------------------------------------------------------------------------- the date


def test_a_message_is_dated_by_the_database_and_a_resend_anew(lab):
    noon = datetime(2030, 1, 1, 12, tzinfo=UTC)
    times = iter([noon, noon + timedelta(minutes=5)])
    settings = Settings(message_lifetime=3600.0, clock_skew=60.0)
    transport = CeleryTransport(app_at(lab.url), settings, lambda: next(times))
    for resends in (0, 1):
        transport.send([outgoing("ok", resends=resends, queue="dated")])
    dates = [message["headers"]["saga_not_after"] for message in waiting(lab, "dated")]
    lab.notes.delete("dated")
    assert dates == [(noon + timedelta(minutes=minutes)).timestamp() for minutes in (59, 64)]


def test_what_can_not_be_dated_is_not_sent(lab):
    def away():
        raise StoreUnavailable("the database is away")

    transport = CeleryTransport(app_at(lab.url), Settings(), away)
    with pytest.raises(PublishFailed, match="can not be dated"):
        transport.send([outgoing("ok", queue="undated")])
    assert waiting(lab, "undated") == []


# ------------------------------------------------------------------------------------------------------- never hangs


@pytest.fixture
def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield probe.getsockname()[1]  # bound, but nobody listens


@pytest.fixture
def black_hole():
    """A port that answers no SYN any more: its queue of connections is full."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(8):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(server.getsockname())
        yield server.getsockname()[1]


@pytest.fixture
def mute():
    """A server that takes connections and never says a word."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(50)
        yield server


def test_a_broker_that_refuses(closed_port, record_property):
    seconds = seconds_until_refused(transport_at(f"redis://127.0.0.1:{closed_port}/0"))
    record_property("seconds", seconds)
    assert seconds < HANGING


def test_a_black_hole(black_hole, record_property):
    seconds = seconds_until_refused(transport_at(f"redis://127.0.0.1:{black_hole}/0"))
    record_property("seconds", seconds)
    assert 0.5 < seconds < HANGING


def test_a_mute_server(mute):
    assert seconds_until_refused(transport_at(f"redis://127.0.0.1:{mute.getsockname()[1]}/0")) < HANGING


@pytest.mark.parametrize("own", [{}, {"socket_timeout": 0.2}])
def test_timeouts_are_short_unless_the_user_has_set_them(own):
    broker = transport_at("redis://127.0.0.1:1/0", broker_transport_options=own)._broker
    options = broker._fresh().connection.transport_options
    expected = {"socket_connect_timeout": CONNECT_SECONDS, "socket_timeout": SOCKET_SECONDS, "max_retries": 0, **own}
    assert {name: options[name] for name in expected} == expected


def test_after_a_failure_nothing_is_tried_for_a_while(mute, monkeypatch):
    transport = transport_at(f"redis://127.0.0.1:{mute.getsockname()[1]}/0")
    monkeypatch.setattr(transport._broker, "_clock", lambda: 100.0)
    seconds_until_refused(transport)
    assert calls(mute) > 0
    with pytest.raises(PublishFailed, match="a moment ago"):
        transport.send([outgoing("ok")])
    assert transport.backlog(outgoing("ok").message) == 0
    assert calls(mute) == 0


def calls(server):
    """How often it was connected to since it was asked last."""
    server.setblocking(False)
    found = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            server.accept()[0].close()
            found += 1
    return found


def test_the_rest_ends(lab):
    now = [0.0]
    broker = Broker(lab.celery, clock=lambda: now[0])

    def refuse(producer):
        raise ConnectionError("gone")

    with pytest.raises(PublishFailed, match="gone"):
        broker.use(refuse)
    with pytest.raises(PublishFailed, match="a moment ago"):
        broker.use(lambda producer: None)
    now[0] += REST_SECONDS
    assert broker.use(lambda producer: "open") == "open"


def test_an_idle_connection_that_the_broker_closed_is_replaced(lab):
    broker = Broker(lab.celery, clock=lambda: 100.0)
    used = []

    def once(producer):
        used.append(producer)
        if len(used) == 2:
            raise ConnectionResetError("closed while idle")

    broker.use(once)
    broker.use(once)
    assert used[0] is used[1] is not used[2]


def test_a_closed_broker_lets_go_of_its_connections_and_may_be_used_again(lab):
    broker = Broker(lab.celery)
    first = broker.use(connected)
    assert first.connection.connected
    broker.close()
    assert not first.connection.connected
    assert broker.use(connected) is not first


def test_a_connection_that_failed_is_closed(lab):
    failed = []

    def fail(producer):
        failed.append(connected(producer))
        raise ConnectionResetError("in the midst of a command")

    with pytest.raises(PublishFailed):
        Broker(lab.celery).use(fail)
    assert [producer.connection.connected for producer in failed] == [False]


def connected(producer):
    producer.channel.client.ping()
    return producer


def test_an_error_in_the_message_is_not_taken_for_an_outage(lab):
    with pytest.raises(PublishFailed, match="can not be sent"):
        lab.transport.send(
            [outgoing("bad", options={"priority": 1, "queue": None, "expires": "never"}), outgoing("ok")]
        )
    assert [found["headers"]["task"] for found in waiting(lab)] == ["ok"]
    lab.transport.send([outgoing("ok")])


def test_a_forked_child_uses_no_socket_of_its_parent(lab):
    broker = Broker(lab.celery)
    parents = broker.use(lambda producer: producer)
    reader, writer = os.pipe()
    if (pid := os.fork()) == 0:
        childs = broker.use(lambda producer: producer)
        os.write(writer, b"same" if childs is parents else b"own")
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(reader, 10) == b"own"
    os.close(reader), os.close(writer)


# --------------------------------------------------------------------------------------------------------- the message


def test_the_message_is_plain(lab):
    sent = outgoing("billing.charge", 7, headers={"traceparent": "00-1", "task": "evil", "secret": "no"}, attempt=2)
    lab.transport.send([sent])
    (found,) = waiting(lab)
    headers = found["headers"]
    assert headers["shadow"] == "shop.order/charge"
    assert (headers["task"], headers["traceparent"]) == ("billing.charge", "00-1")
    assert "secret" not in headers
    assert headers["saga_slot"] == ["charge", 0, "action", 1]
    assert (headers["eta"], headers["ignore_result"], headers["id"]) == (None, True, id_of(sent))
    args, kwargs, embed = _body(found)
    assert (args, kwargs, set(embed.values())) == ([7], {}, {None})


def _body(found):
    import base64

    return json.loads(base64.b64decode(found["body"]))


def test_a_compensation_shows_as_one(lab):
    lab.transport.send([outgoing("ok", direction=Direction.COMPENSATION)])
    assert waiting(lab)[0]["headers"]["shadow"] == "shop.order/charge (compensation)"


def test_ids_are_those_of_the_attempt():
    sent = outgoing("ok")
    assert id_of(sent) == id_of(replace(sent, claim=True))
    others = [replace(sent, attempt=2), replace(sent, resends=1), replace(sent, slot=sent.slot._replace(item=1))]
    assert len({id_of(each) for each in [sent, *others]}) == 4


def test_routes_and_options_are_those_of_the_app(lab):
    app = app_at(lab.url, task_routes={"billing.*": {"queue": "money"}}, saga_foreign_queues=["money"])

    @app.task(name="known", shared=False, time_limit=9)
    def known():
        """Has options of its own."""

    transport = CeleryTransport(app, Settings.from_conf(app.conf))
    routed = Message(task="billing.refund")
    assert transport.is_foreign(routed)
    assert not transport.is_foreign(Message(task="billing.refund", options={"queue": "ours"}))
    transport.send([replace(outgoing("x"), message=Message(task="known", options={"queue": "steps", "countdown": 9}))])
    (found,) = waiting(lab)
    assert found["headers"]["timelimit"] == [9, None]
    assert found["headers"]["eta"] is None


def test_the_priority_of_a_saga_is_passed_on_unless_the_step_has_its_own(lab):
    own = {"priority": 3}
    lab.transport.send([outgoing("ok", priority=6), outgoing("ok", priority=6, options=own), outgoing("ok")])
    lab.transport.nudge(["s1"], 9)
    queues = ["steps\x06\x166", "steps\x06\x163", "steps", "saga\x06\x169"]
    found = [[message["properties"]["priority"] for message in waiting(lab, queue)] for queue in queues]
    lab.notes.delete(*queues)
    assert found == [[6], [3], [0], [9]]


@pytest.mark.parametrize("sagas", [2, 42])
@pytest.mark.parametrize("priority", [None, 9])
@pytest.mark.parametrize("inside", [False, True])
def test_a_nudge_is_copied_from_one_that_celery_made_and_is_just_like_that(lab, priority, inside, sagas):
    app = app_at(lab.url, task_send_sent_event=True, task_routes={"saga_celery.*": {"delivery_mode": 1}})
    transport, seen, events = CeleryTransport(app, Settings.from_conf(app.conf)), [], []
    ids = [f"s{number}" for number in range(sagas)]
    app.amqp._event_dispatcher.publish = lambda kind, fields, *_, **__: events.append((kind, dict(fields)))

    def before(sender, headers, body, **more):
        headers["seen"] = sender
        seen.append((sender, headers["id"], sorted(more)))

    @app.task(name="caller", shared=False)
    def nudge():
        transport.nudge(ids, priority)

    def sent():
        nudge.apply().get() if inside else nudge.run()
        queue = "saga\x06\x169" if priority else "saga"
        found = waiting(lab, queue)
        lab.notes.delete(queue)
        return found

    signals.before_task_publish.connect(before)
    copies = sent()
    app.amqp.router.routes.append(lambda *args, **kwargs: None)  # nobody knows what it says of the next one
    made = sent()
    signals.before_task_publish.disconnect(before)
    pairs = [*zip([*copies, *made], events, strict=True)]
    assert [_nudge(*each) for each in pairs[: len(copies)]] == [_nudge(*each) for each in pairs[len(copies) :]]
    many = sagas == 42
    arguments = [ids[first : first + 2] for first in range(0, 42, 2)] if many else ids
    assert [_body(each)[0] for each in copies] == [[each] for each in arguments]
    assert [each[1] for each in seen] == [each["headers"]["id"] for each in (*copies, *made)]
    assert {each[0] for each in seen} == {"saga_celery.coordinate_many" if many else "saga_celery.coordinate"}
    assert len({tuple(each[2]) for each in seen}) == 1


def _nudge(message, event):
    """What two nudges of one saga have in common; ids that they have each for himself are told by what they are."""
    own = message["headers"]["id"]
    root = message["headers"]["root_id"]
    del message["properties"]["delivery_tag"]
    text = json.dumps([{**message, "body": _body(message)}, event], sort_keys=True)
    return text.replace(own, "own id").replace(root, "root id")


def test_only_foreign_queues_get_links(lab):
    lab.transport.send([outgoing("foreign.ok", queue="foreign")])
    embed = _body(waiting(lab, "foreign")[0])[2]
    assert embed["callbacks"][0]["task"] == "saga_celery.foreign_succeeded"
    assert embed["errbacks"][0]["task"] == "saga_celery.foreign_failed"


def test_many_go_out_in_order(lab):
    sent = [outgoing("ok", number) for number in range(50)]
    lab.transport.send(sent)
    assert [_body(found)[0][0] for found in waiting(lab)] == list(range(50))


def test_the_backlog(lab):
    message = outgoing("ok").message
    assert lab.transport.backlog(message) == 0
    lab.transport.send([outgoing("ok") for _ in range(5)])
    assert lab.transport.backlog(message) == 5


def test_the_backlog_of_nudges(lab):
    assert lab.transport.backlog() == 0
    lab.transport.nudge(["s1", "s2", "s1"])
    assert lab.transport.backlog() == 3
