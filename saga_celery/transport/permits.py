"""What a worker's main process lets a child run on after a message: only the main process knows the queues, the rate
limits and the time limits of the worker as they stand.

The permit travels in the request, like everything that the main process tells its children.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from celery.concurrency.prefork import TaskPool

PERMIT = "saga_run_on"
"""Header: the permit; None where nothing may run on after the message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """What may run on after one message."""

    queues: frozenset[str]
    """Those that the worker consumes."""
    apart: frozenset[str] = frozenset()
    """Tasks that only the main process may start, for it keeps their rate limit or hard time limit."""

    @classmethod
    def of(cls, headers: Mapping[str, Any]) -> Self | None:
        """The permit of a message; None where it has none."""
        plain = headers.get(PERMIT)
        if not isinstance(plain, dict):
            return None
        return cls(queues=frozenset(plain["queues"]), apart=frozenset(plain["apart"]))


def permit_for(consumer: Any, request: Any) -> dict[str, list[str]] | None:
    """The permit for a message that arrives, as plain JSON, for a task's `retry()` sends its headers again.

    What runs after a message runs in the time that the pool allows for the message itself, and that may not be cut. And
    only the processes of a prefork pool run one message at a time.

    Args:
        consumer: Celery's consumer.
        request: Celery's worker request.
    """
    if not isinstance(consumer.pool, TaskPool) or _is_limited(consumer.controller, request):
        return None
    return {"queues": list(consumer.app.amqp.queues.consume_from), "apart": _apart(consumer)}


def _is_limited(controller: Any, request: Any) -> bool:
    task = request.task
    return any((*request.time_limits, task.time_limit, task.soft_time_limit)) or any(
        (controller.time_limit, controller.soft_time_limit)
    )


def _apart(consumer: Any) -> list[str]:
    """Limits may be set and lifted by remote control at any time."""
    limited = [name for name, bucket in consumer.task_buckets.items() if bucket]
    return limited + [name for name, task in consumer.app.tasks.items() if task.time_limit]
