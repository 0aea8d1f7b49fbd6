"""The thread of a worker's main process, driven by hand; and the parts that decide without any process."""

import logging
import threading
from types import SimpleNamespace

import pytest
from celery import Celery
from celery.app.task import Context
from celery.exceptions import SoftTimeLimitExceeded

from saga_celery.core.events import AttemptLost, AttemptStarted
from saga_celery.core.states import Activity, SagaState, Slot, StepState, StepStatus
from saga_celery.engine.ports import Living
from saga_celery.engine.sweeper import Swept
from saga_celery.errors import PublishFailed, StoreUnavailable
from saga_celery.settings import Settings
from saga_celery.transport.bootstep import WorkerStep
from saga_celery.transport.claims import claim
from saga_celery.transport.context import capture
from saga_celery.transport.grades import Reporting
from saga_celery.transport.notices import Notices
from saga_celery.transport.patience import hold
from saga_celery.transport.pulse import Pulse
from saga_celery.transport.reports import Begun
from saga_celery.transport.seat import Seat, has_twin, worker_of
from saga_celery.transport.wire import delivery_from, headers_of
from tests.transport.lab import outgoing

SLOT = Slot("charge")


class Runtime:
    """Notes what is asked of it, and fails when told to."""

    def __init__(self, *, has_store=True, **settings):
        self.celery = Celery("pulse", set_as_current=False)
        self.settings = Settings(**settings)
        self.has_store = has_store
        self.done, self.fail, self.more = [], None, False
        self.swept = []
        self.claimed = Activity()
        self.store = SimpleNamespace(load=self.load, hasten=lambda *_: None)
        self.transport = SimpleNamespace(report=lambda *args: self.note("report"))

    def note(self, what):
        if self.fail is not None:
            raise self.fail
        self.done.append(what)

    def check_settings(self):
        """They are well."""

    def beat(self, worker, running, swept):
        self.note("beat")
        self.swept.append(swept)

    def farewell(self, worker):
        self.note("farewell")

    def sweeper(self):
        return SimpleNamespace(tick=lambda: (self.note("sweep"), Swept(more=self.more))[1])

    def coordinator(self, **_):
        return SimpleNamespace(handle=lambda saga_id, news: self.note(type(news).__name__))

    def load(self, saga_id):
        step = StepState(name="charge", status=StepStatus.DISPATCHED, action=self.claimed)
        return SagaState(id=saga_id, name="n", plan_hash="h", steps={("charge", 0): step})

    def living(self):
        return Living(workers=frozenset({"alive"}), known=frozenset({"alive", "dead"}), attempts={})


@pytest.fixture
def now():
    return [100.0]


def pulse_of(runtime, now, notices=None):
    return Pulse(runtime, "w@host:1", notices, clock=lambda: now[0])


def test_a_turn_beats_and_sweeps_when_it_is_time(now):
    runtime = Runtime(sweep_interval=1.0, heartbeat_interval=5.0)
    pulse = pulse_of(runtime, now)
    pulse.turn()
    assert runtime.done == ["beat", "sweep"]
    assert pulse.seconds_left() == 0.0
    pulse.turn()
    assert runtime.done == ["beat", "sweep", "beat"]
    assert 0.8 <= pulse.seconds_left() <= 1.2
    pulse.turn()
    assert len(runtime.done) == 3
    now[0] += 1.2
    pulse.turn()
    assert runtime.done == ["beat", "sweep", "beat", "sweep"]
    now[0] += 3.9
    pulse.turn()
    assert runtime.done.count("beat") == 3


def test_a_heartbeat_tells_when_the_sweeper_last_finished_a_round(now):
    runtime = Runtime(sweep_interval=1.0, heartbeat_interval=5.0)
    pulse = pulse_of(runtime, now)
    pulse.turn()
    pulse.turn()
    runtime.sweeper = lambda: SimpleNamespace(tick=lambda: (_ for _ in ()).throw(StoreUnavailable("away")))
    for _ in range(2):
        now[0] += 5.0
        pulse.turn()
    assert runtime.swept == [None, 0.0, 5.0, 10.0]


def test_a_full_sweep_is_followed_by_another_one_at_once(now):
    runtime = Runtime()
    runtime.more = True
    pulse = pulse_of(runtime, now)
    pulse.turn()
    assert pulse.seconds_left() == 0.0


def test_no_sweeper_where_it_is_switched_off(now):
    runtime = Runtime(sweeper=False)
    pulse = pulse_of(runtime, now)
    pulse.turn()
    assert runtime.done == ["beat"]


def test_an_outage_is_said_once_and_its_end_too(now, caplog):
    caplog.set_level(logging.INFO, "saga_celery")
    runtime = Runtime()
    pulse = pulse_of(runtime, now)
    runtime.fail = StoreUnavailable("away")
    rests = []
    for _ in range(3):
        now[0] += 10
        pulse.turn()
        rests.append(pulse.seconds_left())
    assert rests == [0.5, 1.0, 2.0]
    assert len([each for each in caplog.records if each.levelno == logging.WARNING]) == 2  # heartbeat and sweeper
    runtime.fail = None
    now[0] += 10
    pulse.turn()
    assert [each.getMessage() for each in caplog.records if each.levelno == logging.INFO] == [
        "the heartbeat of worker w@host:1 goes on",
        "the sweeper of worker w@host:1 goes on",
    ]


def test_no_exception_ends_the_thread():
    turns = threading.Semaphore(0)
    runtime = Runtime(sweep_interval=0.01, heartbeat_interval=0.01)
    runtime.fail = ValueError("a bug")
    pulse = Pulse(runtime, "w@host:1", on_turn=turns.release)
    pulse.start()
    for _ in range(2):
        assert turns.acquire(timeout=10)
        pulse.wake()
    runtime.fail = None
    pulse.wake()
    while "sweep" not in runtime.done:
        assert turns.acquire(timeout=10)
        pulse.wake()
    pulse.stop()
    assert runtime.done[-1] == "farewell"


# -------------------------------------------------------------------------------------------------------------- notices


def notices_of(runtime):
    return Notices(runtime.celery, Seat("w@host"), wake=lambda: None)


def test_a_notice_waits_for_the_database_and_is_not_lost(now):
    runtime = Runtime()
    notices = notices_of(runtime)
    notices._note(headers_of(outgoing("ok"), runtime.settings), "gone")
    pulse = pulse_of(runtime, now, notices)
    runtime.fail = StoreUnavailable("away")
    pulse.turn()
    runtime.fail = None
    pulse.turn()
    assert "AttemptLost" in runtime.done
    assert notices.take() is None


def test_a_worker_without_the_database_reports_its_notices(now):
    runtime = Runtime(has_store=False)
    notices = notices_of(runtime)
    notices._note(headers_of(outgoing("ok"), runtime.settings), "gone")
    pulse = pulse_of(runtime, now, notices)
    runtime.fail = PublishFailed("away")
    pulse.turn()
    runtime.fail = None
    pulse.turn()
    pulse.turn()
    assert runtime.done == ["report"]


@pytest.mark.parametrize("more", [{"delivery_info": {"redelivered": True}}, {"saga_resends": 1}, {"retries": 1}])
def test_a_later_copy_that_is_revoked_leaves_the_outcome_unknown(more):
    runtime = Runtime()
    notices = notices_of(runtime)
    request = SimpleNamespace(**{**headers_of(outgoing("ok"), runtime.settings), **more})
    sender = SimpleNamespace(app=runtime.celery)
    notices._revoked(sender, request, terminated=False, expired=True)
    assert isinstance(notices.take().outcome, AttemptLost)


def test_other_apps_and_other_failures_are_none_of_its_business():
    runtime = Runtime()
    notices = notices_of(runtime)
    notices._failed(SimpleNamespace(app=runtime.celery), "id", ValueError("the wrapper saw it"))
    notices._rejected(SimpleNamespace(app=None), SimpleNamespace(headers=headers_of(outgoing("ok"), runtime.settings)))
    notices._rejected(SimpleNamespace(app=runtime.celery), SimpleNamespace(headers={"saga_v": 1}))
    assert notices.take() is None


# --------------------------------------------------------------------------------------------------------------- claims


@pytest.mark.parametrize(("worker", "epoch", "twin", "expected"), [
    ("", 0, True, (False, False)),
    ("me", 1, True, None),
    ("me", 1, False, "lost"),
    ("me", 0, True, (False, True)),
    ("alive", 1, False, (True, False)),
    ("alive", 0, False, (False, True)),
    ("dead", 1, False, (False, False)),
    ("never seen", 1, False, (True, False)),
])  # fmt: skip
def test_who_may_run(worker, epoch, twin, expected):
    runtime = Runtime()
    runtime.claimed = Activity(attempt=1, epoch=epoch, worker=worker)
    news = claim(runtime, "saga-1", Begun(slot=SLOT, attempt=1, epoch=0, worker="me"), twin_here=twin)
    if isinstance(news, AttemptStarted):
        assert (news.rival_alive, news.own_retry) == expected
    else:
        assert expected == (None if news is None else "lost")


def request_of(message, *, redelivered=False):
    headers = {**headers_of(message, Settings()), "delivery_info": {"redelivered": redelivered}}
    return SimpleRequest(id=f"{id(headers)}", request_dict=headers)


class SimpleRequest(SimpleNamespace):
    __hash__ = object.__hash__


def test_a_twin_is_another_copy_in_the_same_hands():
    from celery.worker import state

    seat = Seat("w@host")
    sent = outgoing("ok")
    first, second, other = (
        request_of(sent),
        request_of(sent, redelivered=True),
        request_of(outgoing("ok"), redelivered=True),
    )
    state.reserved_requests.add(first)
    try:
        for each in (first, second, other):
            seat.received(each)
    finally:
        state.reserved_requests.discard(first)
    assert [each.request_dict["saga_twin"] for each in (first, second, other)] == [False, True, False]
    assert seat.headers_of(first.id)["saga_worker"] == seat.worker
    assert delivery_from(first.request_dict).saga_id == sent.saga_id


def test_a_task_that_sees_only_a_second_set_of_headers_sees_its_worker_all_the_same():
    """Sentry and others put one inside of the first; Celery then shows the task nothing else."""
    request = request_of(outgoing("ok"))
    request.request_dict["headers"] = dict(request.request_dict)
    seat = Seat("w@host")
    seat.received(request)
    seen = SimpleNamespace(headers=Context(request.request_dict).headers, hostname="w@host")
    assert worker_of(seen) == seat.worker
    assert not has_twin(seen)


@pytest.mark.parametrize(("safe", "resends", "redelivered", "runs"), [
    (True, 1, True, True),
    (False, 0, False, True),
    (False, 1, False, False),
    (False, 0, True, False),
])  # fmt: skip
def test_a_worker_that_can_not_claim_runs_no_copy_of_what_must_not_run_twice(safe, resends, redelivered, runs):
    reports = []
    runtime = Runtime()
    runtime.transport = SimpleNamespace(report=lambda queue, saga_id, report: reports.append(report))
    sent = outgoing("ok", safe=safe, claim=not safe, resends=resends)
    request = request_of(sent, redelivered=redelivered)
    delivery = delivery_from(request.request_dict)
    request.headers, request.delivery_info, request.retries = request.request_dict, {"redelivered": redelivered}, 0
    request.hostname = "w@host"

    grade = Reporting(runtime, delivery, request)
    granted = grade.begin()
    grade.end()

    assert (granted is not None) is runs
    assert [type(report) for report in reports] == ([Begun] if runs else [AttemptLost])


# ----------------------------------------------------------------------------------------------------- patience, queues


def failing(times, error):
    left = [times]

    def act():
        left[0] -= 1
        if left[0] >= 0:
            raise error
        return "done"

    return act


def test_holding_ends_with_the_lease(now):
    rested = []

    def rest(seconds):
        rested.append(seconds)
        now[0] += seconds

    options = {"on": StoreUnavailable, "what": "it", "clock": lambda: now[0], "rest": rest}
    assert hold(failing(3, StoreUnavailable()), until=110.0, **options) == "done"
    assert rested == [0.1, 0.2, 0.4]
    with pytest.raises(StoreUnavailable):
        hold(failing(99, StoreUnavailable()), until=110.0, **options)
    assert now[0] <= 110.0
    assert max(rested) == 2.0
    with pytest.raises(ValueError, match="bug"):
        hold(failing(1, ValueError("bug")), until=999.0, **options)


def test_a_soft_limit_that_strikes_after_the_body_does_not_lose_the_outcome(now):
    act = failing(1, SoftTimeLimitExceeded())
    assert hold(act, until=0.0, on=StoreUnavailable, what="it") == "done"


@pytest.mark.parametrize(("selected", "excluded", "coordinator", "consumed"), [
    ((), (), True, True),
    (("other",), (), True, True),
    (("other",), ("saga",), True, False),
    (("other",), (), False, False),
])  # fmt: skip
def test_the_coordinators_queue_is_consumed_unless_it_is_unwanted(selected, excluded, coordinator, consumed):
    runtime = Runtime(coordinator=coordinator)
    runtime.check_schema = lambda: None
    runtime.celery.amqp.queues.select(selected)
    names = SimpleNamespace(names=frozenset(excluded))
    step = type("Step", (WorkerStep,), {"process": runtime, "excluded_queues": names})
    step(SimpleNamespace(app=runtime.celery))
    assert ("saga" in runtime.celery.amqp.queues.consume_from) is consumed


def test_a_database_that_does_not_answer_keeps_no_worker_from_starting(caplog):
    runtime = Runtime()

    def check_schema():
        raise StoreUnavailable("away")

    runtime.check_schema = check_schema
    step = type("Step", (WorkerStep,), {"process": runtime, "excluded_queues": SimpleNamespace(names=frozenset())})
    step(SimpleNamespace(app=runtime.celery))
    assert "this worker waits for it" in caplog.text


# -------------------------------------------------------------------------------------------------------------- context


def test_context_headers_are_those_of_the_running_task():
    app = Celery("context", set_as_current=False, broker="memory://")
    found = []

    @app.task(name="starter", shared=False)
    def starter():
        found.append(capture(app, Settings()))

    assert capture(app, Settings()) == {}
    starter.apply(headers={"traceparent": "00-1", "baggage": 7, "secret": "x"})
    assert found == [{"traceparent": "00-1"}]
