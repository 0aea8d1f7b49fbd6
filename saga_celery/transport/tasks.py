"""The coordinator's tasks. The library's own messages come in here."""

from __future__ import annotations

import logging
import time
from typing import Any

from celery.exceptions import Reject

from saga_celery.core.events import AttemptLost, AttemptStarted, Nudged
from saga_celery.engine.log_fields import about
from saga_celery.errors import AlertNotDelivered, MessageNotUnderstood, StoreError
from saga_celery.transport import fields, wire
from saga_celery.transport.aftermath import hasten_rest
from saga_celery.transport.alerts import ALERT
from saga_celery.transport.claims import claim
from saga_celery.transport.grades import interpreted
from saga_celery.transport.hooks import attend
from saga_celery.transport.nudges import COORDINATE, COORDINATE_MANY
from saga_celery.transport.patience import hold
from saga_celery.transport.publisher import FOREIGN_FAILED, FOREIGN_SUCCEEDED
from saga_celery.transport.reports import Alive, Begun, Dispatched, HookEnded, OwnRetry, Report, succeeded, unseal
from saga_celery.transport.runtime import Runtime

logger = logging.getLogger("saga_celery")

PATIENCE = 20.0
"""Seconds for which a message waits in the worker's hands for the database; then it goes back to the queue."""
PAUSE = 1.0
"""Seconds before a message goes back, so that it does not spin."""
ENDED = "the task on a foreign queue ended, outcome unknown"


def register(runtime: Runtime) -> None:
    """Add the coordinator's tasks to the user's app.

    Args:
        runtime: this process; touched when a message comes.
    """
    desk = Desk(runtime)
    task = runtime.celery.task
    options: dict[str, Any] = {
        "shared": False,
        "acks_late": True,
        "reject_on_worker_lost": True,
        "ignore_result": True,
        "max_retries": None,
        "typing": False,
    }

    @task(name=COORDINATE, **options)
    def coordinate(saga_id: Any = None, report: Any = None) -> None:
        desk.take(saga_id, report)

    @task(name=COORDINATE_MANY, **options)
    def coordinate_many(saga_ids: Any = None) -> None:
        desk.take_many(saga_ids)

    @task(name=ALERT, bind=True, throws=(AlertNotDelivered,), **options)
    def alert(self: Any, event: Any = None, webhook: Any = 1) -> None:
        try:
            attend(runtime, self.request, runtime.alert, (event,), {"webhook": webhook})
        except AlertNotDelivered as failure:
            logger.warning("%s; the alert is sent again", failure)
            raise

    @task(name=FOREIGN_SUCCEEDED, **options)
    def foreign_succeeded(result: Any = None, saga_id: Any = None, ids: Any = None) -> None:
        desk.take_foreign(saga_id, ids, lambda sent: desk.succeeded(sent, result))

    @task(name=FOREIGN_FAILED, **options)
    def foreign_failed(saga_id: Any = None, ids: Any = None) -> None:
        desk.take_foreign(saga_id, ids, lambda sent: AttemptLost(slot=sent.slot, attempt=sent.attempt, reason=ENDED))


class Desk:
    """Reads what comes in and hands it to the coordinator.

    Args:
        runtime: this process.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def take(self, saga_id: Any, envelope: Any) -> None:
        """Deal with a nudge, or with a report."""
        try:
            name = fields.text(saga_id, fields.ID, "saga_id")
            report = None if envelope is None else unseal(name, envelope, self._runtime.settings)
        except MessageNotUnderstood as error:
            wire.drop("a message to the coordinator", error)
            return
        self._hold(name, report)

    def take_many(self, saga_ids: Any) -> None:
        """Deal with the nudges of several sagas.

        The message goes back as a whole, as soon as one of them has to wait for the database: a nudge too many is
        harmless.
        """
        if not isinstance(saga_ids, list):
            wire.drop("a message to the coordinator", MessageNotUnderstood("its sagas are no list"))
            return
        failed: list[Exception] = []
        for saga_id in saga_ids:
            try:
                self.take(saga_id, None)
            except Reject:
                raise
            except Exception as error:  # a mistake in one saga's code is not the others' business
                logger.exception("saga %s: its nudge failed", saga_id)
                failed.append(error)
        if failed:
            raise failed[0]

    def take_foreign(self, saga_id: Any, envelope: Any, make: Any) -> None:
        """Deal with what a foreign worker's link brought."""
        try:
            name = fields.text(saga_id, fields.ID, "saga_id")
            sent = unseal(name, envelope, self._runtime.settings)
            if not isinstance(sent, Dispatched):
                raise MessageNotUnderstood("the link carries no ids of an attempt")
        except MessageNotUnderstood as error:
            wire.drop("a message from a foreign worker", error)
            return
        self._hold(name, make(sent))

    def succeeded(self, sent: Dispatched, result: Any) -> Report:
        """The news of a foreign worker's result."""
        return succeeded(sent.slot, sent.attempt, result, self._runtime.settings)

    def _hold(self, saga_id: str, report: Report | None) -> None:
        """A report of a worker without the database can not be made again, so it is never let go for an outage."""
        try:
            if not self._runtime.has_store:
                raise StoreError("this worker consumes the coordinator's queue, but has no saga_database_url")
            hold(
                lambda: self._handle(saga_id, report),
                until=time.monotonic() + PATIENCE,
                on=StoreError,
                what=f"a message about saga {saga_id}",
                extra=about(saga_id),
            )
        except StoreError as error:
            logger.error("a message about saga %s goes back to the queue: %s", saga_id, error, extra=about(saga_id))
            time.sleep(PAUSE)
            raise Reject(error, requeue=True) from error

    def _handle(self, saga_id: str, report: Report | None) -> None:
        if self._comes_again():
            hasten_rest(self._runtime, saga_id)
        if isinstance(report, OwnRetry):
            within = report.seconds + self._runtime.settings.queue_grace
            self._runtime.store.await_again(saga_id, report.slot, report.attempt, within)
            return
        if isinstance(report, Alive):
            self._runtime.store.extend(saga_id, report.slot, report.attempt, report.worker)
            return
        if isinstance(report, HookEnded):
            self._runtime.hook_ended(report.event_id)
            return
        coordinator = self._runtime.coordinator(parks_render_failures=True)
        match report:
            case None:
                coordinator.handle(saga_id, Nudged())
            case Begun():
                news = self._started(saga_id, report)
                if news is not None:
                    coordinator.handle(saga_id, news)
            case Dispatched():
                wire.drop("a message to the coordinator", MessageNotUnderstood("ids of an attempt without an outcome"))
            case _:
                coordinator.handle(saga_id, interpreted(self._runtime, saga_id, report))

    def _comes_again(self) -> bool:
        """The process that had the message before may have died, and with it what it ran on."""
        task = self._runtime.celery.current_worker_task
        return task is not None and bool((task.request.delivery_info or {}).get("redelivered"))

    def _started(self, saga_id: str, begun: Begun) -> AttemptStarted | AttemptLost | None:
        """A reporting worker does not wait for leave; what it says is noted where nothing speaks against it."""
        return claim(self._runtime, saga_id, begun)
