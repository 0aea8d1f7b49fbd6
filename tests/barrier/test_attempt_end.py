"""An attempt that failed: the task's wrapper tells the barrier, once nobody will run that attempt again."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import celery
import pytest
from celery.exceptions import Reject, SoftTimeLimitExceeded
from sqlalchemy.orm import Session

from saga_celery.app.barrier import barrier
from saga_celery.app.payloads import payloads_of
from saga_celery.core.events import AttemptFailed, AttemptLost, AttemptSucceeded
from saga_celery.core.states import Direction
from saga_celery.settings import Settings
from saga_celery.transport.participant import Participant as Wrapper
from tests.barrier.participant import Participant
from tests.barrier.test_forms import headers

LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC).timestamp()


class Hiccup(Exception):
    """The next attempt may succeed."""


class Service:
    """A worker that only reports, in this process: its tasks are wrapped as in a real one."""

    def __init__(self, participant: Participant) -> None:
        self.participant = participant
        self.app = celery.Celery("participant", broker="memory://", set_as_current=True)
        self.app.conf.task_store_eager_result = False
        self.reported: list[Any] = []
        transport = SimpleNamespace(report=lambda queue, saga_id, report: self.reported.append(report))
        settings = Settings()
        runtime: Any = SimpleNamespace(
            celery=self.app,
            settings=settings,
            has_store=False,
            transport=transport,
            payloads=payloads_of(settings, None),
        )
        self.wrapper = Wrapper(runtime)

    def task(self, body: Callable[[Session], Any], **options: Any) -> Any:
        made = self.app.task(name="book", shared=False, **options)(barrier(self.participant.session)(body))
        self.app.finalize()
        self.wrapper.wrap_all()
        return made

    def failing(self, error: Exception, *, times: int = 1_000, **options: Any) -> Any:
        """A task that fails so many times before it books."""
        runs = iter(range(times))

        def book(session: Session) -> str:
            self.participant.write_into(session, "booked")
            if next(runs, None) is not None:
                raise error
            return "booked"

        return self.task(book, **options)

    def deliver(self, task: Any, *, attempt: int = 1, direction: Direction = Direction.ACTION, **more: Any) -> Any:
        task.apply(headers={**headers(self.participant, direction, attempt), **more})
        return self.reported[-1] if self.reported else None


@pytest.fixture
def service(participant: Participant) -> Iterator[Service]:
    service = Service(participant)
    yield service
    service.app.close()


def test_a_copy_of_a_failed_attempt_does_not_run_and_reports_the_same_failure(service: Service) -> None:
    task = service.failing(Hiccup("no line"), times=1)
    first, copy = service.deliver(task), service.deliver(task)
    assert isinstance(first, AttemptFailed)
    assert isinstance(copy, AttemptFailed)
    assert (copy.failure.type, copy.failure.message) == (first.failure.type, "no line")
    assert service.participant.effects == []

    assert isinstance(service.deliver(task, attempt=2), AttemptSucceeded)
    assert isinstance(service.deliver(task), AttemptSucceeded)
    assert service.participant.effects == ["booked"]


def test_the_tasks_own_retry_is_the_same_attempt_and_may_pass(service: Service) -> None:
    task = service.failing(Hiccup(), times=2, autoretry_for=(Hiccup,), default_retry_delay=0, max_retries=5)
    assert isinstance(service.deliver(task), AttemptSucceeded)
    assert service.participant.effects == ["booked"]


def test_when_its_own_retries_are_used_up_the_attempt_is_over(service: Service) -> None:
    task = service.failing(Hiccup(), times=3, autoretry_for=(Hiccup,), default_retry_delay=0, max_retries=2)
    assert isinstance(service.deliver(task), AttemptFailed)
    assert service.participant.slots == {("action", 1): "barred"}


@pytest.mark.parametrize("error", [SoftTimeLimitExceeded(), Reject("busy", requeue=True), Reject("never")])
def test_what_is_no_failure_ends_no_attempt(service: Service, error: Exception) -> None:
    service.deliver(service.failing(error, times=1))
    assert service.participant.slots == {}
    assert not any(isinstance(report, AttemptFailed) for report in service.reported)


@pytest.mark.parametrize("direction", [Direction.COMPENSATION, Direction.PROBE])
def test_a_compensation_and_a_probe_that_failed_may_run_again(service: Service, direction: Direction) -> None:
    participant = service.participant
    participant.deliver(participant.action, participant.write("done"))
    task = service.failing(Hiccup(), times=1)
    assert isinstance(service.deliver(task, direction=direction), AttemptFailed)
    assert isinstance(service.deliver(task, direction=direction), AttemptSucceeded)
    assert participant.effects == (["done", "booked"] if direction is Direction.COMPENSATION else ["done"])


def test_the_failure_is_reported_also_when_the_barrier_can_not_be_told(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*_: object) -> None:
        raise ConnectionError("the database is away")

    monkeypatch.setattr("saga_celery.store.barrier.crossings.end_attempt", away)
    assert isinstance(service.deliver(service.failing(Hiccup())), AttemptFailed)
    assert "could not be told" in caplog.text


def test_a_message_that_is_out_of_date_leaves_the_outcome_unknown(service: Service) -> None:
    """A younger copy of the same attempt may be under way, so it is no failure."""
    task = service.failing(Hiccup(), times=0)
    late = service.deliver(task, saga_not_after=LONG_AGO)
    assert isinstance(late, AttemptLost)
    assert "out of date" in late.reason
    assert (service.participant.effects, service.participant.slots) == ([], {})
    assert isinstance(service.deliver(task), AttemptSucceeded)


def test_a_task_that_put_itself_back_may_rest_beyond_the_date(service: Service) -> None:
    task = service.failing(Hiccup(), times=0)
    task.apply(headers={**headers(service.participant), "saga_not_after": LONG_AGO}, retries=1)
    assert isinstance(service.reported[-1], AttemptSucceeded)
