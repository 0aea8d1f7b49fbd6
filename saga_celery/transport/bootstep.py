"""What a Celery worker does for sagas besides running tasks: a step of its start-up."""

from __future__ import annotations

import logging
from typing import Any

from celery import bootsteps, signals
from kombu import Queue

from saga_celery.errors import NotConfigured, SchemaOutOfDate, StoreUnavailable
from saga_celery.transport.lifecycle_events import know_worker
from saga_celery.transport.notices import Notices
from saga_celery.transport.pulse import Pulse
from saga_celery.transport.runtime import Runtime
from saga_celery.transport.seat import Seat

logger = logging.getLogger("saga_celery")

EXIT_CONFIG = 78
"""EX_CONFIG: a supervisor that knows it does not start the worker over and over."""


def install_bootstep(runtime: Runtime) -> None:
    """Add the step to the app's worker.

    Args:
        runtime: the process; touched when a worker starts.
    """
    excluded = _Excluded(runtime)
    signals.celeryd_init.connect(excluded.note, weak=False)

    class SagaStep(WorkerStep):
        process = runtime
        excluded_queues = excluded

    runtime.celery.steps["worker"].add(SagaStep)


class _Excluded:
    """The queues that `-X` excludes, which Celery itself keeps nowhere."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.names: frozenset[str] = frozenset()

    def note(self, instance: Any = None, options: Any = None, **_: Any) -> None:
        if getattr(instance, "app", None) is self._runtime.celery:
            given = (options or {}).get("exclude_queues") or ()
            names = given.split(",") if isinstance(given, str) else given
            self.names = frozenset(name.strip() for name in names)


class WorkerStep(bootsteps.StartStopStep):  # type: ignore[misc,unused-ignore]
    """Consumes the coordinator's queue and runs the pulse."""

    requires = ("celery.worker.components:Pool",)
    process: Runtime
    excluded_queues: _Excluded
    pulse: Pulse | None = None

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._refuse_to_fail_later()
        self._consume_coordinators_queue(parent.app)

    def start(self, parent: Any) -> None:
        """The children are forked by now, so that none of them inherits the thread's locks."""
        know_worker(parent)
        seat = Seat(parent.hostname)
        notices = Notices(parent.app, seat, wake=lambda: pulse.wake())
        self.pulse = pulse = Pulse(self.process, seat.worker, notices)
        notices.connect()
        signals.worker_shutdown.connect(self._ended, sender=parent, weak=False)
        pulse.start()

    def stop(self, parent: Any) -> None:
        """Not yet: the pool finishes its tasks after this, and they would look as if their worker had died."""

    def _ended(self, **_: Any) -> None:
        if self.pulse is not None:
            self.pulse.stop()
            self.pulse = None

    def _refuse_to_fail_later(self) -> None:
        """What no message could be handled with is said once, now, and not for every message."""
        try:
            self.process.check_settings()
            if self.process.has_store:
                self.process.check_schema()
        except (NotConfigured, SchemaOutOfDate) as error:
            logger.critical("this worker does not start: %s", error)
            raise SystemExit(EXIT_CONFIG) from error
        except StoreUnavailable as error:
            logger.warning("the saga database does not answer (%s); this worker waits for it", error)

    def _consume_coordinators_queue(self, app: Any) -> None:
        settings = self.process.settings
        name = settings.queue
        if not (self.process.has_store and settings.coordinator) or name in self.excluded_queues.names:
            return
        queues = app.amqp.queues
        queues.select_add(queues[name] if name in queues or queues.create_missing else Queue(name, routing_key=name))
