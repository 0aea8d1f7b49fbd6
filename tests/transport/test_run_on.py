"""Which messages run on, and what becomes of the process's own message and of those behind it; no broker is there."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
from celery import Celery
from celery.app.trace import build_tracer
from celery.concurrency.prefork import TaskPool
from celery.exceptions import Reject

from saga_celery.errors import PublishFailed, StoreUnavailable
from saga_celery.settings import Settings
from saga_celery.transport.envelopes import Envelope
from saga_celery.transport.keeper import SIGN, TURN, Keeper
from saga_celery.transport.permits import PERMIT, Permit, permit_for
from saga_celery.transport.publisher import CeleryTransport
from saga_celery.transport.run_on import Diverted, RunOn
from tests.transport.lab import id_of, outgoing

PLAIN = {"queues": ["steps", "saga"], "apart": ["slow"]}


class Line:
    """An app with tasks, a transport that keeps a list, and a process that runs on."""

    def __init__(self, **settings):
        self.celery = Celery("line", broker="memory://", set_as_current=False)
        self.celery.conf.update(task_default_queue="steps", task_routes={"elsewhere": {"queue": "far"}})
        self.settings = Settings(foreign_queues=("foreign",), **settings)
        self.now, self.ran, self.sent, self.then, self.shared = 100.0, [], [], {}, set()
        self.transport = CeleryTransport(self.celery, self.settings)
        self.transport.send = self.sent.extend
        self.run_on = RunOn(
            self.celery,
            settings=lambda: self.settings,
            transport=lambda: self.transport,
            has_plan=lambda name, _: name != "unknown",
            clock=lambda: self.now,
        )
        self.diverted = Diverted(self.transport, self.run_on, self.shared.update)
        special = type("Special", (self.celery.Task,), {"abstract": True, "Request": "some.where:Request"})
        options = {"special": {"base": special}, "hard": {"time_limit": 9}, "soft": {"soft_time_limit": 9}}
        for name in ("carrier", "ok", "slow", "elsewhere", "special", "hard", "soft"):
            self.task(name, **options.get(name, {}))
        self.celery.finalize()

    def task(self, name, **options):
        @self.celery.task(name=name, bind=True, shared=False, **options)
        def body(task, *args):
            self.ran.append((name, task.request))
            for each in self.then.get(name, ()):
                each() if callable(each) else self.diverted.send([each])

        task = self.celery.tasks[name]
        task.__trace__ = build_tracer(name, task, app=self.celery)
        self.run_on.carry(name, task)

    def carry(self, permit=PLAIN, **request):
        """A message of the task `carrier` comes to this process."""
        headers = {"id": "carrier-1", "hostname": "w@host", "delivery_info": {}, PERMIT: permit, **request}
        return self.celery.tasks["carrier"].__trace__("carrier-1", (), {}, headers)

    def names(self):
        return [name for name, _ in self.ran]


@pytest.fixture
def line():
    return Line()


# ----------------------------------------------------------------------------------------------------------- which ones


@pytest.mark.parametrize(("runs", "message", "setting"), [
    (True, {}, "safe"),
    (False, {"safe": False, "claim": True}, "safe"),
    (True, {"safe": False, "claim": True, "run_on": True}, "safe"),
    (False, {"run_on": False}, "safe"),
    (False, {}, "asked"),
    (True, {"run_on": True}, "asked"),
    (False, {"run_on": True}, "never"),
    (False, {"resends": 1}, "safe"),
    (False, {"queue": "far"}, "safe"),
    (False, {"queue": "foreign"}, "safe"),
    (True, {"queue": "saga"}, "safe"),
    (False, {"saga_name": "unknown"}, "safe"),
    (False, {"options": {"time_limit": 5}}, "safe"),
    (False, {"options": {"expires": 5}}, "safe"),
    (False, {"options": {"routing_key": "steps"}}, "safe"),
    (True, {"options": {"soft_time_limit": 5}}, "safe"),
    (True, {"options": {"priority": 5}}, "safe"),
])  # fmt: skip
def test_what_may_run_on(runs, message, setting):
    line = Line(run_on=setting)
    next_one = outgoing("ok", 7, **message)
    line.then["carrier"] = [next_one]
    line.carry()
    assert (line.names(), line.sent) == ((["carrier", "ok"], []) if runs else (["carrier"], [next_one]))


@pytest.mark.parametrize(("task", "runs"), [
    ("ok", True), ("soft", True), ("slow", False), ("elsewhere", False), ("special", False), ("hard", False),
    ("of another codebase", False),
])  # fmt: skip
def test_which_tasks_may_run_on(line, task, runs):
    queue = None if task == "elsewhere" else "steps"
    next_one = outgoing(task, queue=queue)
    line.then["carrier"] = [next_one]
    line.carry()
    assert (len(line.ran), len(line.sent)) == ((2, 0) if runs else (1, 1))


def test_without_a_permit_everything_goes_out(line):
    line.then["carrier"] = [outgoing("ok")]
    line.carry(permit=None)
    assert (line.names(), len(line.sent)) == (["carrier"], 1)


def test_of_several_messages_none_is_kept(line):
    both = [outgoing("ok"), outgoing("ok")]
    line.then["carrier"] = [lambda: line.diverted.send(both)]
    line.carry()
    assert (line.names(), line.sent) == (["carrier"], both)


def test_a_second_message_and_one_of_another_thread_go_out(line):
    def aside():
        thread = threading.Thread(target=line.diverted.send, args=([second],))
        thread.start()
        thread.join()

    first, second, third = outgoing("ok"), outgoing("ok"), outgoing("ok")
    line.then["carrier"] = [aside, first, third]
    line.carry()
    assert (line.names(), line.sent) == (["carrier", "ok"], [second, third])


def test_nothing_is_kept_after_the_message(line):
    line.carry()
    line.diverted.send([outgoing("ok")])
    assert (line.names(), len(line.sent)) == (["carrier"], 1)


def test_a_slice_of_time_counts_from_the_first_step_that_ran_on(line):
    def later():
        line.now += 0.4

    line.then["carrier"] = [lambda: setattr(line, "now", line.now + 50), outgoing("ok")]
    line.then["ok"] = [later, outgoing("ok")]
    line.carry()
    assert line.names() == ["carrier", "ok", "ok", "ok"]  # after 0, 0.4 and 0.8 s
    assert len(line.sent) == 1


# ------------------------------------------------------------------------------------------------------------- the run


def test_it_is_a_task_with_a_request_of_its_own(line):
    arguments = {"lines": [{"sku": "tea"}]}
    sent = outgoing("ok", arguments, options={"priority": 3})
    line.then["carrier"] = [sent]
    line.carry(saga_worker="w@host:1", saga_events=True)
    request = line.ran[-1][1]
    assert (request.id, request.correlation_id, request.root_id) == (id_of(sent), id_of(sent), sent.saga_id)
    assert (request.hostname, request.retries, request.called_directly) == ("w@host", 0, False)
    assert request.delivery_info == {"exchange": "", "routing_key": "steps", "priority": 3, "redelivered": False}
    stamps = ("saga_worker", "saga_events", "saga_twin", "saga_runs_on")
    assert [request.headers[name] for name in stamps] == ["w@host:1", True, False, True]
    assert request.args == [arguments]
    request.args[0]["lines"].clear()
    assert arguments == {"lines": [{"sku": "tea"}]}


def test_what_the_message_before_returned_stays_its_own(line):
    line.then["carrier"] = [outgoing("ok")]
    line.then["ok"] = [lambda: 1 / 0]
    assert line.carry().info is None
    assert line.names() == ["carrier", "ok"]


def test_a_run_that_asks_for_its_message_again_gets_it_as_a_copy(line):
    def rejects():
        raise Reject("the database is away", requeue=True)

    sent = outgoing("ok")
    line.then |= {"carrier": [sent], "ok": [rejects]}
    line.carry()
    assert [(id_of(each), each.claim) for each in line.sent] == [(id_of(sent), True)]


def test_a_run_that_can_not_be_made_is_sent(line, monkeypatch, caplog):
    monkeypatch.setattr(Envelope, "request", lambda *_: 1 / 0)
    sent = outgoing("ok")
    line.then["carrier"] = [sent]
    assert line.carry().info is None
    assert [(id_of(each), each.claim) for each in line.sent] == [(id_of(sent), True)]
    assert "could not be run on" in caplog.text


def test_what_was_kept_goes_out_when_the_message_before_goes_back(line, monkeypatch):
    kept = outgoing("ok")
    monkeypatch.setitem(line.run_on._traces, "ok", None)

    def trace(*_):
        line.diverted.send([kept])
        raise Reject("back", requeue=True)

    task = SimpleNamespace(__trace__=trace)
    line.run_on.carry("back", task)
    with pytest.raises(Reject):
        task.__trace__("id", (), {}, {PERMIT: PLAIN})
    assert line.sent == [kept]


def test_a_message_that_can_not_be_made_is_left_to_the_broker(line, monkeypatch):
    def refuses(*_):
        raise PublishFailed("no")

    monkeypatch.setattr(line.transport, "envelope", refuses)
    line.then["carrier"] = [outgoing("ok")]
    line.carry()
    assert (line.names(), len(line.sent)) == (["carrier"], 1)


# ------------------------------------------------------------------------------------------------------------- permits


def consumer_of(pool=TaskPool, **controller):
    tasks = {"hard": SimpleNamespace(time_limit=9), "ok": SimpleNamespace(time_limit=None)}
    return SimpleNamespace(
        pool=pool.__new__(pool),
        controller=SimpleNamespace(**{"time_limit": None, "soft_time_limit": None, **controller}),
        task_buckets={"often": object(), "ok": None},
        app=SimpleNamespace(tasks=tasks, amqp=SimpleNamespace(queues=SimpleNamespace(consume_from={"a": 1, "b": 2}))),
    )


def request_of(limits=(None, None), **task):
    limited = SimpleNamespace(**{"time_limit": None, "soft_time_limit": None, **task})
    return SimpleNamespace(time_limits=limits, task=limited)


def test_a_permit_names_the_queues_of_the_worker_and_the_tasks_that_it_limits():
    plain = permit_for(consumer_of(), request_of())
    assert plain == {"queues": ["a", "b"], "apart": ["often", "hard"]}
    assert Permit.of({PERMIT: plain}) == Permit(queues=frozenset("ab"), apart=frozenset(["often", "hard"]))


@pytest.mark.parametrize(("consumer", "request_"), [
    (consumer_of(time_limit=9), request_of()),
    (consumer_of(soft_time_limit=9), request_of()),
    (consumer_of(), request_of(limits=(9, None))),
    (consumer_of(), request_of(limits=(None, 9))),
    (consumer_of(), request_of(time_limit=9)),
    (consumer_of(), request_of(soft_time_limit=9)),
    (consumer_of(pool=SimpleNamespace), request_of()),
])  # fmt: skip
def test_nothing_runs_on_in_time_that_may_be_cut_or_in_another_kind_of_pool(consumer, request_):
    assert permit_for(consumer, request_) is None


# -------------------------------------------------------------------------------------------------------------- keeper


class Body:
    def __init__(self):
        self.over, self.wanted, self.done, self.fail = False, True, [], None

    def is_over(self):
        return self.over

    def extend(self):
        if self.fail is not None:
            raise self.fail
        self.done.append("sign")
        return self.wanted

    def lose(self):
        self.done.append("lost")


@pytest.fixture
def keeper(monkeypatch):
    """It is turned by hand."""
    now = [0.0]
    monkeypatch.setattr("saga_celery.transport.keeper.started", lambda *_: object())
    made = Keeper(lambda: told.append(now[0]), clock=lambda: now[0])
    told = made.told = []
    made.now = now
    return made


def turned(keeper, seconds):
    keeper.now[0] += seconds
    return keeper.turn()


def test_a_body_gives_signs_as_long_as_it_lasts(keeper):
    body = Body()
    keeper.watch(body)
    for seconds in (TURN / 2, TURN / 2, TURN, SIGN - TURN):
        assert turned(keeper, seconds)
    assert (body.done, keeper.told) == (["sign", "sign"], [TURN, TURN + SIGN])
    keeper.leave()
    assert not turned(keeper, SIGN)
    assert body.done == ["sign", "sign"]


def test_the_signs_end_with_the_lease_or_when_nobody_waits(keeper):
    for change, done in (("over", ["lost"]), ("unwanted", ["sign"])):
        body = Body()
        body.over, body.wanted = change == "over", change != "unwanted"
        keeper.watch(body)
        assert turned(keeper, SIGN)
        assert not turned(keeper, SIGN)
        assert body.done == done


@pytest.mark.parametrize("failure", [StoreUnavailable("away"), RuntimeError("a bug")])
def test_a_sign_that_fails_is_given_again(keeper, failure):
    body = Body()
    keeper.watch(body)
    body.fail = failure
    assert turned(keeper, SIGN)
    body.fail = None
    assert turned(keeper, 0.0)
    assert body.done == ["sign"]
