"""The lifecycle of sagas as Celery's own events, for whoever listens to those: `celery events`, Flower, a receiver.

They are named as the signals, with a dash: `saga-completed`. Never `task-…`: of such a name Celery's monitors would
make a task, and a worker that does not exist.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from weakref import ReferenceType, WeakKeyDictionary, ref

from celery import Celery

from saga_celery.core.states import Failure
from saga_celery.engine.coordinator import Handled
from saga_celery.engine.occurrences import Occurrence, occurrences
from saga_celery.engine.redaction import Redaction
from saga_celery.transport.aside import Aside

EVENTS = "saga_events"
"""Header: the worker's main process sends events of tasks, which only that process knows."""
LONGEST = 500
"""Characters of a text that an event tells."""
_PREFIX = "saga_"
_UNTOLD = ("result",)
"""Values of the user's are nobody's business in a monitor."""

_workers: WeakKeyDictionary[Celery, ReferenceType[Any]] = WeakKeyDictionary()


class Event(NamedTuple):
    """What is sent."""

    type: str
    hostname: str | None
    """The worker's name; None: this process is none."""
    fields: Mapping[str, Any]


class LifecycleEvents(Aside[Event]):
    """Tells what becomes of sagas, while events are on."""

    what = "events"

    def tell(self, handled: Handled, redaction: Redaction) -> None:
        """Have the events of a transition sent; returns at once and never fails.

        Args:
            handled: the saga after it, and its facts.
            redaction: tells what is hidden in texts.
        """
        host = _host(self._celery)
        self.say(*(Event(name, host, fields) for name, fields in _events(handled, redaction)))

    def _publish(self, said: Sequence[Event], producer: Any) -> None:
        for each in said:
            with self._celery.events.Dispatcher(
                producer.connection, each.hostname, channel=producer.channel, buffer_while_offline=False
            ) as dispatcher:
                dispatcher.send(each.type, **each.fields)


def _events(handled: Handled, redaction: Redaction) -> Iterator[tuple[str, dict[str, Any]]]:
    state = handled.state
    about = {"saga_id": state.id, "saga_name": state.name, "version": state.version}
    for each in occurrences(state, handled.facts):
        if each.event.startswith(_PREFIX):
            yield each.event.replace("_", "-"), {**about, **_told(each, redaction)}


def _told(what: Occurrence, redaction: Redaction) -> dict[str, Any]:
    return {name: _short(value, redaction) for name, value in what.details.items() if name not in _UNTOLD}


def _short(value: Any, redaction: Redaction) -> Any:
    if isinstance(value, Failure):
        return value.type[:LONGEST]
    return redaction.text(value)[:LONGEST] if isinstance(value, str) else value


# ----------------------------------------------------------------------------------------------------------- on or off


def events_are_on(celery: Celery) -> bool:
    """Tell whether this process sends events: its worker does (`-E`, `enable_events` of Flower and of the remote
    control), or `worker_send_task_events` is set, which counts for processes that are no workers as well.
    """
    task = celery.current_worker_task
    stamp = (task.request.headers or {}).get(EVENTS) if task is not None else None
    if isinstance(stamp, bool):
        return stamp
    worker = _worker(celery)
    if worker is not None:
        return consumer_sends(getattr(worker, "consumer", None))
    return bool(celery.conf.worker_send_task_events)


def consumer_sends(consumer: Any) -> bool:
    """Tell whether the main process of a worker sends events of tasks now.

    Args:
        consumer: Celery's consumer; None: it has none yet.
    """
    dispatcher = getattr(consumer, "event_dispatcher", None)
    return dispatcher is not None and dispatcher.enabled and (not dispatcher.groups or "task" in dispatcher.groups)


def know_worker(worker: Any) -> None:
    """Remember the worker whose main process this is.

    Args:
        worker: Celery's worker.
    """
    _workers[worker.app] = ref(worker)


def _worker(celery: Celery) -> Any | None:
    found = _workers.get(celery)
    return None if found is None else found()


def _host(celery: Celery) -> str | None:
    task = celery.current_worker_task
    if task is not None and task.request.hostname:
        return str(task.request.hostname)
    worker = _worker(celery)
    return None if worker is None else str(worker.hostname)
