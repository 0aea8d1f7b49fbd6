"""A message that is not published: what Celery would have sent, and the request that a worker would make of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from celery import Celery

from saga_celery.transport.seat import stamp

_OF_PUBLISHING_TEXT = """
exchange routing_key serializer compression retry retry_policy delivery_mode declare headers timeout confirm_timeout
"""
_OF_PUBLISHING = frozenset(_OF_PUBLISHING_TEXT.split())
"""What is told to the broker; the rest are properties of the message."""
_OF_THE_MESSAGE = ("root_id", "shadow", "ignore_result", "argsrepr", "kwargsrepr", "time_limit", "soft_time_limit")
"""What Celery writes into a message."""


class Envelope:
    """Stands where Celery expects a kombu producer, and keeps the one message that it is given.

    Args:
        queue: where the message would go.
    """

    def __init__(self, queue: str) -> None:
        self.connection = self
        self._queue = queue
        self._body: Any = None
        self._told: dict[str, Any] = {}

    @contextmanager
    def _reraise_as_library_errors(self) -> Iterator[None]:
        """A connection has this; there is none that could fail."""
        yield

    def publish(self, body: Any, **told: Any) -> None:
        """Keep the message; what follows it is the event that it was sent, and it was not."""
        if not self._told:
            self._body, self._told = body, told

    def fill(self, celery: Celery, name: str, args: Any, kwargs: Any, **call: Any) -> None:
        """Do what `send_task` does up to the message itself, for which nobody is asked.

        Args:
            celery: the user's app.
            name: of the task.
            args: its positional arguments.
            kwargs: the others.
            call: what else `send_task` is told.
        """
        headers, parent = call.pop("headers"), celery.current_worker_task
        made = celery.amqp.as_task_v2(
            call["task_id"],
            name,
            args,
            kwargs,
            reply_to=celery.thread_oid,
            parent_id=parent.request.id if parent is not None else None,
            **{each: call[each] for each in _OF_THE_MESSAGE if each in call},
        )
        self.publish(
            made.body,
            headers={**made.headers, **headers},
            exchange="",
            routing_key=self._queue,
            priority=call.get("priority"),
            **made.properties,
        )

    def request(self, hostname: str, stamps: Mapping[str, Any]) -> dict[str, Any]:
        """What the worker's main process and the pool make of the message when it arrives.

        Args:
            hostname: the worker's name.
            stamps: headers that the main process adds.
        """
        args, kwargs, embedded = self._body
        told = self._told
        properties = {name: value for name, value in told.items() if name not in _OF_PUBLISHING}
        request = {
            **told["headers"],
            "properties": properties,
            "reply_to": properties.get("reply_to"),
            "correlation_id": properties.get("correlation_id"),
            "hostname": hostname,
            "delivery_info": {
                "exchange": told["exchange"],
                "routing_key": told["routing_key"],
                "priority": properties.get("priority"),
                "redelivered": False,
            },
            "args": _copied(args),
            "kwargs": _copied(kwargs),
            "is_eager": False,
            **embedded,
        }
        for name, value in stamps.items():
            stamp(request, name, value)
        return request


def _copied(value: Any) -> Any:
    """As JSON would bring it: the task may change its arguments, and the stored message stays what it was."""
    if isinstance(value, Mapping):
        return {name: _copied(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_copied(part) for part in value]
    return value
