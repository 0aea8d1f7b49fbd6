"""What a worker has in hand, for its heartbeat."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from celery import Celery
from celery.worker import state

from saga_celery.engine.ports import Running
from saga_celery.errors import MessageNotUnderstood
from saga_celery.transport.seat import in_hand
from saga_celery.transport.wire import Delivery, delivery_from, is_delivery


def running(celery: Celery, worker: str) -> list[Running]:
    """The attempts that this worker's main process knows to be running or waiting for a free child.

    Args:
        celery: tells the time as Celery noted the starts.
        worker: identity of the worker.
    """
    now = celery.now().timestamp()
    return [found for request in in_hand() for found in _attempts(request, worker, now)]


def _attempts(request: Any, worker: str, now: float) -> Iterator[Running]:
    headers = request.request_dict
    if not is_delivery(headers):
        return
    try:
        delivery = delivery_from(headers)
    except MessageNotUnderstood:
        return  # the participant says so when it runs
    started = request in state.active_requests
    seconds = max(now - request.time_start, 0.0) if started and request.time_start else 0.0
    for attempt in _possible(delivery, headers):
        yield Running(
            saga_id=delivery.saga_id,
            slot=delivery.slot,
            attempt=attempt,
            worker=worker,
            started=started,
            seconds=seconds,
        )


def _possible(delivery: Delivery, headers: dict[str, Any]) -> tuple[int, ...]:
    """A later copy may have taken over from a dead worker, and the next attempt with it; only the child knows."""
    redelivered = bool((headers.get("delivery_info") or {}).get("redelivered"))
    if redelivered or delivery.resends:
        return (delivery.attempt, delivery.attempt + 1)
    return (delivery.attempt,)
