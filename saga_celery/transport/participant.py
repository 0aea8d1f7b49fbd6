"""The wrapper round a task's `run`: the one seat inside the process that did the work, and before the ack.

It acts only on messages of sagas. Plain calls of the same task never notice it.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import partial
from time import perf_counter
from typing import Any

from celery import signals
from celery.app.trace import build_tracer
from celery.exceptions import Retry

from saga_celery.errors import MessageNotUnderstood
from saga_celery.transport import wire
from saga_celery.transport.attempt_end import tell_listeners
from saga_celery.transport.grades import Grade, grade_of
from saga_celery.transport.hooks import attend
from saga_celery.transport.liveness import SIGNS, Signs
from saga_celery.transport.nudges import COORDINATE
from saga_celery.transport.outcomes import outcome_of, own_rest
from saga_celery.transport.reports import succeeded
from saga_celery.transport.runtime import Runtime
from saga_celery.transport.tracing import surroundings
from saga_celery.transport.wire import Delivery

logger = logging.getLogger("saga_celery")

_NOT_WRAPPED = ("celery.", "saga_celery.")
CARRIERS = (COORDINATE,)
"""Tasks of the library's own that send steps."""
_WRAPPED = "_saga_celery_wrapped"
_ENTERED = "_saga_celery_entered"

Body = Callable[[], Any]


class Participant:
    """Makes the tasks of an app report to their sagas.

    Args:
        runtime: this process; nothing of it is touched before a saga's message comes.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    # --------------------------------------------------------------------------------------------------------- install

    def install(self) -> None:
        """Wrap every task of the app: those that are there, and those that modules imported later bring."""
        app: Any = self._runtime.celery  # the stubs do not know `finalized`
        if app.finalized:
            self.wrap_all()
        else:
            app.on_after_finalize.connect(self._finalized, weak=False)
        signals.worker_init.connect(self._worker_begins, weak=False)
        signals.worker_process_init.connect(self._child_begins, weak=False)

    def _finalized(self, **_: Any) -> None:
        self.wrap_all()

    def _worker_begins(self, sender: Any, **_: Any) -> None:
        """All modules are imported now and no child is there yet."""
        if sender.app is self._runtime.celery:
            self.wrap_all()
            self._acknowledge_late()

    def _child_begins(self, sender: Any = None, **_: Any) -> None:
        """A child that was spawned has imported everything anew; one that was forked has its parent's connections."""
        self._runtime.dispose()
        self.wrap_all(hostname=sender)
        self._carry_all()

    def wrap_all(self, hostname: str | None = None) -> None:
        """Wrap what is not wrapped yet.

        Args:
            hostname: the worker's name, where tasks may already have been prepared for running.
        """
        app = self._runtime.celery
        for name, task in list(app.tasks.items()):
            if not name.startswith(_NOT_WRAPPED) and not hasattr(task.run, _WRAPPED):
                self._wrap(task)
                if getattr(task, "__trace__", None) is not None:
                    task.__trace__ = build_tracer(name, task, app.loader, hostname, app=app)

    def _carry_all(self) -> None:
        """The tracers of a child of a pool are built; where main processes run tasks they are built later, and anew."""
        for name, task in self._runtime.celery.tasks.items():
            if getattr(task, "__trace__", None) is not None and (hasattr(task.run, _WRAPPED) or name in CARRIERS):
                self._runtime.run_on.carry(name, task)

    def _wrap(self, task: Any) -> None:
        body = task.run

        @functools.wraps(body)
        def run(*args: Any, **kwargs: Any) -> Any:
            request = task.request
            if wire.is_hook(request.headers) and not hasattr(request, _ENTERED):
                setattr(request, _ENTERED, os.getpid())
                return attend(self._runtime, request, body, args, kwargs)
            if not wire.is_delivery(request.headers) or hasattr(request, _ENTERED):
                return body(*args, **kwargs)
            setattr(request, _ENTERED, os.getpid())  # the task may call its own function again
            return self.take(request, partial(self._call, body, request, args, kwargs))

        setattr(run, _WRAPPED, True)
        task.run = run

    def _acknowledge_late(self) -> None:
        """Celery's default is to forget a message before it runs; for named participants it is not."""
        patterns = self._runtime.settings.participants
        for name, task in self._runtime.celery.tasks.items():
            if any(fnmatchcase(name, pattern) for pattern in patterns):
                task.acks_late = task.reject_on_worker_lost = True

    # ------------------------------------------------------------------------------------------------------------ take

    def take(self, request: Any, body: Body) -> Any:
        """Run a delivery of a saga.

        Args:
            request: the task's request.
            body: the task's own code.

        Returns:
            What the body returned; None when it was not run.
        """
        try:
            delivery = wire.delivery_from(request.headers)
        except MessageNotUnderstood as error:
            wire.drop(f"message {request.id} of task {request.task}", error)
            return None
        grade = grade_of(self._runtime, delivery, request)
        attempt = grade.begin()
        if attempt is None:
            logger.info("a copy of %s of saga %s does not run: nobody waits for it", delivery.slot, delivery.saga_id)
            return None
        setattr(request, SIGNS, Signs(grade, delivery.timeout))
        try:
            return self._run(grade, delivery, attempt, body, request)
        finally:
            grade.end()

    def _call(self, body: Callable[..., Any], request: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What a message can not be read for is a failure before the body, so without effect."""
        opened, named = self._runtime.payloads.opened_call(request.headers["saga_id"], args, kwargs)
        return body(*opened, **named)

    def _run(self, grade: Grade, delivery: Delivery, attempt: int, body: Body, request: Any) -> Any:
        """BaseException passes: a process that is being killed settles nothing."""
        slot, began = delivery.slot, perf_counter()
        try:
            with surroundings(delivery, attempt, request.headers):
                result = body()
        except Retry as again:
            grade.again(attempt, own_rest(again, self._runtime.celery.now()))
            raise
        except Exception as error:
            outcome = outcome_of(error, slot, attempt, ran=_since(began))
            tell_listeners(request, outcome)
            if outcome is not None:
                grade.settle(outcome)
            raise
        grade.settle(succeeded(slot, attempt, result, self._runtime.settings, ran=_since(began)))
        return result


def _since(began: float) -> float:
    """Seconds; a history needs no more than tenths of milliseconds."""
    return round(perf_counter() - began, 4)
