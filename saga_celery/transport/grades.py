"""The two ways in which a worker with saga code settles an attempt.

*In place*: it has the saga database and the saga's class, and commits outcome and transition itself, before the ack.
*Reporting*: it has only the broker, and tells a coordinator.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any, Protocol

from celery.exceptions import Reject

from saga_celery.core.events import AttemptClaimed, AttemptLost, AttemptSucceeded, News
from saga_celery.core.states import Direction
from saga_celery.engine.wanted import wanted
from saga_celery.errors import PublishFailed, StoreError
from saga_celery.transport import wire
from saga_celery.transport.aftermath import hasten_rest
from saga_celery.transport.claims import claim
from saga_celery.transport.patience import LONGEST_REST, hold
from saga_celery.transport.reports import Alive, Begun, Outcome, OwnRetry, Report
from saga_celery.transport.runtime import Runtime
from saga_celery.transport.seat import has_twin, runs_on, worker_of
from saga_celery.transport.wire import Delivery

logger = logging.getLogger("saga_celery")

CLAIM_PATIENCE = 20.0
"""Seconds for which a worker waits for the database before the body; then the message goes back to the queue."""
SHORT_BODY = 1.0
"""Seconds that a body may run before a reporting worker says that it began."""


class Grade(Protocol):
    """How one delivery is settled."""

    def begin(self) -> int | None:
        """Ask to run; the attempt that was granted, or None when another copy has it or nobody waits for it."""
        ...

    def settle(self, outcome: Outcome) -> None:
        """Make the outcome known; holds it while that fails, and never raises for it."""
        ...

    def again(self, attempt: int, seconds: float) -> None:
        """Make known that the task put itself back into the queue."""
        ...

    def alive(self) -> bool:
        """Make known that the body is at work; False when nobody waits for it any more."""
        ...

    def end(self) -> None:
        """The body is over, in whatever way."""
        ...


def grade_of(runtime: Runtime, delivery: Delivery, request: Any) -> Grade:
    """The best grade that this worker is capable of."""
    if runtime.has_store and runtime.has_plan(delivery.saga_name, delivery.plan_hash):
        return InPlace(runtime, delivery, request)
    return Reporting(runtime, delivery, request)


class _Lease:
    """The time until which an outcome is worth holding on to: a little less than the attempt may take."""

    def __init__(self, delivery: Delivery) -> None:
        self._timeout = delivery.timeout
        self._seconds = delivery.timeout - min(LONGEST_REST, delivery.timeout * 0.1)
        self.renew()

    def renew(self) -> None:
        """Count from now."""
        now = time.monotonic()
        self.end, self.over = now + self._seconds, now + self._timeout


class InPlace:
    """Commits in the worker itself."""

    def __init__(self, runtime: Runtime, delivery: Delivery, request: Any) -> None:
        self._runtime = runtime
        self._delivery = delivery
        self._request = request
        self._worker = worker_of(request)
        self._lease = _Lease(delivery)
        self._keeper = runtime.run_on.keeper if runs_on(request) else None

    def begin(self) -> int | None:
        """Claim where another copy may have run or must not run; a safe step's first delivery needs none."""
        attempt = self._granted()
        if attempt is not None and self._keeper is not None:
            self._keeper.watch(self)
        return attempt

    def _granted(self) -> int | None:
        if not _must_claim(self._delivery, self._request):
            return self._delivery.attempt
        until = time.monotonic() + CLAIM_PATIENCE
        try:
            return hold(
                self._claim_or_leave, until=until, on=StoreError, what=f"the claim for {_named(self._delivery)}"
            )
        except StoreError as error:
            raise Reject(error, requeue=True) from error

    def _claim_or_leave(self) -> int | None:
        attempt = self._claim()
        if attempt is None and _comes_again(self._request):
            hasten_rest(self._runtime, self._delivery.saga_id, self._delivery)
        return attempt

    def _claim(self) -> int | None:
        delivery = self._delivery
        begun = Begun(slot=delivery.slot, attempt=delivery.attempt, epoch=delivery.epoch, worker=self._worker)
        news = claim(self._runtime, delivery.saga_id, begun, twin_here=has_twin(self._request))
        if news is None:
            return None
        handled = self._runtime.coordinator(parks_render_failures=False).handle(delivery.saga_id, news)
        for fact in handled.facts if handled else ():
            if isinstance(fact, AttemptClaimed) and (fact.slot, fact.worker) == (delivery.slot, self._worker):
                self._request.headers.update({wire.ATTEMPT: fact.attempt, wire.EPOCH: fact.epoch})
                return fact.attempt
        return None

    def settle(self, outcome: Outcome) -> None:
        """Commit; if that can not be done in time, a coordinator is asked to do it."""
        self.end()
        what = f"the outcome of {_named(self._delivery)}"
        try:
            hold(lambda: self._commit(outcome), until=self._lease.end, on=StoreError, what=what)
        except Exception:
            logger.exception("%s can not be stored here; it is handed to a coordinator", what)
            _hand_over(self._runtime, self._delivery, outcome, until=0.0)

    def _commit(self, outcome: Outcome) -> None:
        saga_id = self._delivery.saga_id
        self._runtime.store.keep_up(saga_id, self._delivery.version)
        news = interpreted(self._runtime, saga_id, outcome)
        self._runtime.coordinator(parks_render_failures=False).handle(saga_id, news)

    def again(self, attempt: int, seconds: float) -> None:
        """Let the sweeper expect the next start later."""
        self.end()
        what = f"the retry of {_named(self._delivery)}"
        try:
            hold(lambda: self._await_again(attempt, seconds), until=self._lease.end, on=StoreError, what=what)
        except Exception:
            logger.exception("%s can not be noted; its lease decides", what)

    def _await_again(self, attempt: int, seconds: float) -> None:
        within = seconds + self._runtime.settings.queue_grace
        self._runtime.store.await_again(self._delivery.saga_id, self._delivery.slot, attempt, within)

    def alive(self) -> bool:
        """Extend the lease and look whether the saga still wants this."""
        self._lease.renew()
        try:
            return self.extend() and self._is_wanted()
        except StoreError as failure:
            logger.warning("a sign of life of %s is not noted: %s", _named(self._delivery), failure)
            return True

    def extend(self) -> bool:
        """Count the attempt's time from now; False when it is nobody's or another worker's."""
        delivery = self._delivery
        return self._runtime.store.extend(delivery.saga_id, delivery.slot, self._attempt, self._worker)

    def _is_wanted(self) -> bool:
        store, slot = self._runtime.store, self._delivery.slot
        state = store.load(self._delivery.saga_id)
        return state is not None and wanted(store.plan(state.plan_hash), state, slot, self._attempt, self._worker)

    @property
    def _attempt(self) -> int:
        """The one that was granted."""
        return int(self._request.headers[wire.ATTEMPT])

    def is_over(self) -> bool:
        """The lease has run out."""
        return time.monotonic() >= self._lease.over

    def lose(self) -> None:
        """What the sweeper does at the end of a lease; it can not see this one's."""
        reason = f"no outcome within {self._delivery.timeout:g} s"
        lost = AttemptLost(slot=self._delivery.slot, attempt=self._attempt, reason=reason)
        self._runtime.coordinator(parks_render_failures=False).handle(self._delivery.saga_id, lost)

    def end(self) -> None:
        """No sign of life is needed any more."""
        if self._keeper is not None:
            self._keeper.leave()


class Reporting:
    """Tells a coordinator; the report may get lost, so the step must bear to run twice or be asked for."""

    def __init__(self, runtime: Runtime, delivery: Delivery, request: Any) -> None:
        self._runtime = runtime
        self._delivery = delivery
        self._request = request
        self._lease = _Lease(delivery)
        self._alarm: threading.Timer | None = None

    def begin(self) -> int | None:
        """Say at once that it began where the coordinator waits for that, and of a short body not at all.

        A worker without the database can not claim. So of a step that must not run twice it runs the first delivery
        only; whether an earlier copy ran nobody can tell it, and that is what it reports of any other.
        """
        if not self._delivery.safe and _may_be_a_copy(self._delivery, self._request):
            self._refuse_copy()
            return None
        if _must_claim(self._delivery, self._request):
            self._say_begun()
        else:
            self._alarm = threading.Timer(SHORT_BODY, self._say_begun)
            self._alarm.daemon = True
            self._alarm.start()
        return self._delivery.attempt

    def _refuse_copy(self) -> None:
        delivery = self._delivery
        reason = "a copy of the message came to a worker that can not claim it, and the step is not safe to run twice"
        lost = AttemptLost(slot=delivery.slot, attempt=delivery.attempt, reason=reason)
        _hand_over(self._runtime, delivery, lost, until=self._lease.end)

    def _say_begun(self) -> None:
        delivery = self._delivery
        worker = worker_of(self._request)
        begun = Begun(slot=delivery.slot, attempt=delivery.attempt, epoch=delivery.epoch, worker=worker)
        try:
            self._runtime.transport.report(delivery.report_to, delivery.saga_id, begun)
        except PublishFailed as failure:
            extra = wire.about_delivery(delivery)
            logger.warning("the start of %s is not reported: %s", _named(delivery), failure, extra=extra)
        else:
            self._request.headers[wire.EPOCH] = delivery.epoch + 1  # a retry() of the task knows of this claim

    def settle(self, outcome: Outcome) -> None:
        """Report; held while the broker is away, until shortly before the lease ends."""
        _hand_over(self._runtime, self._delivery, outcome, until=self._lease.end)

    def again(self, attempt: int, seconds: float) -> None:
        """Report that the task comes back."""
        news = OwnRetry(slot=self._delivery.slot, attempt=attempt, seconds=seconds)
        _hand_over(self._runtime, self._delivery, news, until=self._lease.end)

    def alive(self) -> bool:
        """Report it; whether anybody still waits for it a worker without the database is not told."""
        self._lease.renew()
        delivery = self._delivery
        alive = Alive(slot=delivery.slot, attempt=delivery.attempt, worker=worker_of(self._request))
        try:
            self._runtime.transport.report(delivery.report_to, delivery.saga_id, alive)
        except PublishFailed as failure:
            logger.warning("a sign of life of %s is not reported: %s", _named(delivery), failure)
        return True

    def end(self) -> None:
        """The start is no news any more."""
        if self._alarm is not None:
            self._alarm.cancel()


def interpreted(runtime: Runtime, saga_id: str, outcome: Outcome) -> News:
    """The outcome as the machine takes it: what a probe returned is first given to the saga's code."""
    if isinstance(outcome, AttemptSucceeded) and outcome.slot.direction is Direction.PROBE:
        return runtime.interpret(saga_id, outcome.slot, outcome.attempt, outcome.result)
    return outcome


def _must_claim(delivery: Delivery, request: Any) -> bool:
    """A first delivery of what may run twice needs no claim; anything that may be a second copy does."""
    return delivery.claim or _may_be_a_copy(delivery, request) or (delivery.epoch > 0 and request.retries > 0)


def _may_be_a_copy(delivery: Delivery, request: Any) -> bool:
    return delivery.resends > 0 or _comes_again(request)


def _comes_again(request: Any) -> bool:
    return bool((request.delivery_info or {}).get("redelivered"))


def _hand_over(runtime: Runtime, delivery: Delivery, report: Report, *, until: float) -> None:
    what = f"the report of {_named(delivery)}"
    try:
        hold(
            lambda: runtime.transport.report(delivery.report_to, delivery.saga_id, report),
            until=until,
            on=PublishFailed,
            what=what,
        )
    except Exception:
        logger.exception("%s is let go: its outcome will count as unknown", what)


def _named(delivery: Delivery) -> str:
    place = f"{delivery.slot.step}[{delivery.slot.item}]" if delivery.slot.item else delivery.slot.step
    return f"saga {delivery.saga_id}, {delivery.slot.direction.value} of {place}, attempt {delivery.attempt}"
