"""Celery's own events of tasks that ran on: their worker's main process, which sends those of others, knows nothing of
them. They are sent under that worker's name, so that a monitor sees one worker and each of its tasks.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from celery import Celery
from celery.events.event import Event, get_exchange
from celery.exceptions import Ignore, Reject, Retry
from celery.utils.time import utcoffset
from kombu.utils.encoding import safe_repr, safe_str

from saga_celery.transport.aside import Aside

BATCH = "task.multi"
"""Routing key under which workers send several events in one message."""


class TaskEvents(Aside[dict[str, Any]]):
    """Sends events of tasks, in a thread."""

    what = "events of tasks"

    def _publish(self, said: Sequence[dict[str, Any]], producer: Any) -> None:
        conf: Any = self._celery.conf
        exchange = get_exchange(producer.connection, name=conf.event_exchange)
        producer.publish(
            list(said),
            routing_key=BATCH,
            exchange=exchange.name,
            declare=[exchange],
            serializer=conf.event_serializer,
            headers={"hostname": said[0]["hostname"]},
            delivery_mode=1,
        )


class Telling:
    """What is told of one task.

    Args:
        events: sends it.
        celery: the user's app.
        request: the task's request.
    """

    def __init__(self, events: TaskEvents, celery: Celery, request: Mapping[str, Any]) -> None:
        self._events = events
        app: Any = celery  # the stubs do not know `clock`
        self._clock = app.clock
        self._request = request
        self._untold: list[dict[str, Any]] = []

    def begin(self) -> None:
        """It came and began; told with its end, or when that does not come at once."""
        request = self._request
        self._note(
            "task-received",
            name=request.get("shadow") or request["task"],
            args=request.get("argsrepr"),
            kwargs=request.get("kwargsrepr"),
            root_id=request.get("root_id"),
            parent_id=request.get("parent_id"),
            retries=request.get("retries", 0),
            eta=None,
            expires=None,
        )
        self._note("task-started")

    def end(self, traced: Any) -> None:
        """Tell how it ended.

        Args:
            traced: what the task's tracer returned.
        """
        failure, info, runtime, result = traced
        raised = None if info is None else info.retval
        match raised:
            case None if info is None:
                self._note("task-succeeded", result=result, runtime=runtime)
            case Retry():
                self._note("task-retried", exception=safe_repr(raised.exc), traceback=safe_str(failure.traceback))
            case Reject():
                self._note("task-rejected")
            case Ignore():
                pass
            case _:
                self._note("task-failed", exception=safe_repr(raised), traceback=safe_str(failure.traceback))
        self.flush()

    def flush(self) -> None:
        """Tell what is not told yet."""
        untold, self._untold = self._untold, []
        self._events.say(*untold)

    def _note(self, kind: str, **told: Any) -> None:
        request, clock = self._request, self._clock.forward()
        event: dict[str, Any] = Event(
            kind,
            hostname=request["hostname"],
            utcoffset=utcoffset(),
            pid=os.getppid(),
            clock=clock,
            uuid=request["id"],
            **told,
        )
        self._untold.append(event)
