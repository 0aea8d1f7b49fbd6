"""What a worker's main process tells its children about a delivery, and what it remembers of it.

The main process alone sees every copy of a message that this worker has in hand. It writes what the participant must
know into the request as it arrives, which works for prefork, threads and solo alike, forked or spawned.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from weakref import WeakValueDictionary

from celery.worker import state

WORKER = "saga_worker"
"""Header: identity of the worker's main process."""
TWIN = "saga_twin"
"""Header: another copy of the same attempt is in this worker's hands."""
RUNS_ON = "saga_runs_on"
"""Header: no message brought this run, so the main process does not know of it."""


class Seat:
    """The main process of a worker."""

    def __init__(self, hostname: str) -> None:
        self.worker = f"{hostname}:{os.getpid()}"
        self._requests: WeakValueDictionary[str, Any] = WeakValueDictionary()

    def received(self, request: Any) -> None:
        """Mark a saga's delivery before the pool gets it.

        Args:
            request: Celery's worker request.
        """
        headers = request.request_dict
        twin = _may_have_twin(headers) and any(_same(headers, other) for other in _in_hand() if other is not request)
        stamp(headers, TWIN, twin)
        stamp(headers, WORKER, self.worker)
        stamp(headers, RUNS_ON, False)  # its task may have put itself back into the queue: now there is a message
        self._requests[request.id] = request

    def headers_of(self, task_id: str) -> Mapping[str, Any] | None:
        """The headers of a delivery that is still in hand."""
        request = self._requests.get(task_id)
        return None if request is None else request.request_dict


def stamp(headers: dict[str, Any], name: str, value: Any) -> None:
    """Write something into a request that arrives, for the process that runs it.

    Args:
        headers: those of the message. Instrumentations such as Sentry's put a second set inside, and where there is
            one the task sees nothing else.
        name: of the header.
        value: plain.
    """
    headers[name] = value
    inner = headers.get("headers")
    if isinstance(inner, dict):
        inner[name] = value


def worker_of(request: Any) -> str:
    """Identity of the worker that runs a task, seen from inside the task."""
    stamped = (request.headers or {}).get(WORKER)
    return stamped if isinstance(stamped, str) else f"{request.hostname}:{os.getpid()}"


def runs_on(request: Any) -> bool:
    """Whether the process runs it by itself, after the message that it was given."""
    return (request.headers or {}).get(RUNS_ON) is True


def has_twin(request: Any) -> bool:
    """Whether the worker has another copy in hand; supposed where nobody has looked."""
    return (request.headers or {}).get(TWIN) is not False


def in_hand() -> list[Any]:
    """Every request that this worker has taken and not finished."""
    return _in_hand()


def _in_hand() -> list[Any]:
    for _ in range(10):
        try:
            return list({id(each): each for each in (*state.reserved_requests, *state.active_requests)}.values())
        except RuntimeError:  # the main thread changed the sets meanwhile
            continue
    return []


def _may_have_twin(headers: Mapping[str, Any]) -> bool:
    return bool((headers.get("delivery_info") or {}).get("redelivered")) or headers.get("saga_resends") != 0


def _same(headers: Mapping[str, Any], other: Any) -> bool:
    others = other.request_dict
    return all(headers.get(name) == others.get(name) for name in ("saga_id", "saga_slot", "saga_attempt"))
