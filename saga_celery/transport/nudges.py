"""Nudges: the coordinators' smallest messages. A start of many sagas sends many, and a great many share messages.

Celery makes one, which is not sent: those that are sent are copies of it under ids of their own. All else that becomes
of a message stays Celery's business: its routes and options, its signals, `task-sent` events, the queue's declaration.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from celery import Celery
from celery.app.amqp import task_message
from celery.app.routes import MapRoute
from celery.utils import uuid
from kombu.utils.functional import maybe_evaluate

from saga_celery.settings import Settings
from saga_celery.transport.publishing import is_plain
from saga_celery.transport.tracing import passed_on

COORDINATE = "saga_celery.coordinate"
COORDINATE_MANY = "saga_celery.coordinate_many"

MOST_TOGETHER = 20
"""Sagas in one message at most: what one worker does in a row before it takes another message."""
AT_ONCE = 20
"""Messages share sagas only where there are more than these: so many workers find something to do."""


class Nudges:
    """Publishes nudges.

    Args:
        celery: the user's app; its routes and options hold.
        settings: the checked configuration; names the coordinators' queue.
    """

    def __init__(self, celery: Celery, settings: Settings) -> None:
        self._celery = celery
        self._queue = settings.queue
        self._moulds: dict[tuple[int, str, int | None], _Mould] = {}

    def publish(self, producer: Any, saga_ids: Sequence[str], priority: int | None) -> None:
        """Publish nudges for these sagas.

        Args:
            producer: kombu's.
            saga_ids: the sagas.
            priority: of the messages; None: the default of the app.
        """
        together = min(MOST_TOGETHER, len(saga_ids) // AT_ONCE)
        if together > 1:
            parts = (list(saga_ids[first : first + together]) for first in range(0, len(saga_ids), together))
            self._publish(producer, COORDINATE_MANY, parts, priority)
        else:
            self._publish(producer, COORDINATE, saga_ids, priority)

    def _publish(self, producer: Any, task: str, arguments: Iterable[Any], priority: int | None) -> None:
        """Publish one message to a task for each of its arguments."""
        options = {} if priority is None else {"priority": priority}
        if self._may_differ():
            for each in arguments:
                self._send(self._celery.send_task, producer, task, each, headers=self._headers(each), **options)
            return
        mould, sender = self._mould(producer, task, priority, options), self._celery.thread_oid
        for each in arguments:
            message = mould.copy(each, sender)
            self._celery.amqp.send_task_message(producer, task, message, headers=self._headers(each), **mould.options)

    def _headers(self, argument: Any) -> dict[str, Any] | None:
        """What a trace needs of a message by which the saga under way tells of itself; such a message tells of one."""
        return (passed_on(self._celery, argument) or None) if isinstance(argument, str) else None

    def _may_differ(self) -> bool:
        """Whether a message may be unlike the others: by a router that is code, or by who has wrapped Celery."""
        if not is_plain(self._celery):
            return True
        router: Any = self._celery.amqp.router
        return not all(isinstance(maybe_evaluate(route), MapRoute) for route in router.routes)

    def _mould(self, producer: Any, task: str, priority: int | None, options: dict[str, Any]) -> _Mould:
        """It names the process; one that is made inside a task names that as well, and is not kept."""
        if self._celery.current_worker_task is not None:
            return self._cast(producer, task, options)
        place = (os.getpid(), task, priority)
        if place not in self._moulds:
            self._moulds[place] = self._cast(producer, task, options)
        return self._moulds[place]

    def _cast(self, producer: Any, task: str, options: dict[str, Any]) -> _Mould:
        model: Any = _Model(self._celery)
        self._send(partial(Celery.send_task, model), producer, task, "", **options)
        made: _Mould = model.amqp.made[0]
        return made

    def _send(self, send: Callable[..., Any], producer: Any, task: str, argument: Any, **options: Any) -> None:
        send(
            task,
            [argument],
            producer=producer,
            queue=self._queue,
            ignore_result=True,
            add_to_parent=False,
            serializer="json",
            retry=False,
            **options,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mould:
    """A nudge that names no saga yet."""

    message: Any
    """What Celery made."""
    options: dict[str, Any]
    """How it is to be sent."""

    def copy(self, argument: Any, sender: str) -> Any:
        """The same about a saga, or several, as a task of its own.

        Args:
            argument: the id of the saga, or a list of them.
            sender: the calling thread, as Celery names it.
        """
        made, shown, own_id = self.message, repr([argument]), uuid()
        root_id = own_id if made.headers["root_id"] == made.headers["id"] else made.headers["root_id"]
        event = made.sent_event and {**made.sent_event, "uuid": own_id, "root_id": root_id, "args": shown}
        return task_message(
            headers={**made.headers, "id": own_id, "root_id": root_id, "argsrepr": shown},
            properties={**made.properties, "correlation_id": own_id, "reply_to": sender},
            body=([argument], *made.body[1:]),
            sent_event=event,
        )


class _Model:
    """A Celery app that makes its messages as another one does, but sends none.

    Args:
        celery: the other one.
    """

    def __init__(self, celery: Celery) -> None:
        self._celery = celery
        self.amqp = _ModelAMQP(celery.amqp)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._celery, name)


class _ModelAMQP:
    def __init__(self, amqp: Any) -> None:
        self._amqp = amqp
        self.made: list[_Mould] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._amqp, name)

    def send_task_message(self, producer: Any, name: str, message: Any, **options: Any) -> None:
        """Keep it in place of sending it."""
        self.made.append(_Mould(message=message, options=options))
