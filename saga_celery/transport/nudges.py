"""Nudges: the coordinators' smallest messages, of which a start of many sagas sends many.

Celery makes one, which is not sent: those that are sent are copies of it under ids of their own. All else that becomes
of a message stays Celery's business: its routes and options, its signals, `task-sent` events, the queue's declaration.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from celery import Celery
from celery.app.amqp import task_message
from celery.app.routes import MapRoute
from celery.utils import uuid
from kombu.utils.functional import maybe_evaluate

from saga_celery.settings import Settings
from saga_celery.transport.tracing import passed_on

COORDINATE = "saga_celery.coordinate"


class Nudges:
    """Publishes nudges.

    Args:
        celery: the user's app; its routes and options hold.
        settings: the checked configuration; names the coordinators' queue.
    """

    def __init__(self, celery: Celery, settings: Settings) -> None:
        self._celery = celery
        self._queue = settings.queue
        self._moulds: dict[tuple[int, int | None], _Mould] = {}

    def publish(self, producer: Any, saga_ids: Sequence[str], priority: int | None) -> None:
        """Publish one nudge for each of these sagas.

        Args:
            producer: kombu's.
            saga_ids: the sagas.
            priority: of the messages; None: the default of the app.
        """
        options = {} if priority is None else {"priority": priority}
        if self._may_differ():
            for saga_id in saga_ids:
                headers = passed_on(self._celery, saga_id) or None
                self._send(self._celery.send_task, producer, saga_id, headers=headers, **options)
            return
        mould, sender = self._mould(producer, priority, options), self._celery.thread_oid
        for saga_id in saga_ids:
            message = mould.copy(saga_id, sender)
            headers = passed_on(self._celery, saga_id) or None
            self._celery.amqp.send_task_message(producer, COORDINATE, message, headers=headers, **mould.options)

    def _may_differ(self) -> bool:
        """Whether a message may be unlike the others: by a router that is code, or by who has wrapped Celery."""
        send: Any = self._celery.send_task
        if send.__module__ != Celery.__module__ or hasattr(send, "__wrapped__") or self._celery.conf.task_protocol != 2:
            return True
        router: Any = self._celery.amqp.router
        return not all(isinstance(maybe_evaluate(route), MapRoute) for route in router.routes)

    def _mould(self, producer: Any, priority: int | None, options: dict[str, Any]) -> _Mould:
        """It names the process; one that is made inside a task names that as well, and is not kept."""
        if self._celery.current_worker_task is not None:
            return self._cast(producer, options)
        place = (os.getpid(), priority)
        if place not in self._moulds:
            self._moulds[place] = self._cast(producer, options)
        return self._moulds[place]

    def _cast(self, producer: Any, options: dict[str, Any]) -> _Mould:
        model: Any = _Model(self._celery)
        self._send(partial(Celery.send_task, model), producer, "", **options)
        made: _Mould = model.amqp.made[0]
        return made

    def _send(self, send: Callable[..., Any], producer: Any, saga_id: str, **options: Any) -> None:
        send(
            COORDINATE,
            [saga_id],
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
    """A nudge without its saga."""

    message: Any
    """What Celery made."""
    options: dict[str, Any]
    """How it is to be sent."""

    def copy(self, saga_id: str, sender: str) -> Any:
        """The same for a saga, as a task of its own.

        Args:
            saga_id: the saga.
            sender: the calling thread, as Celery names it.
        """
        made, shown, own_id = self.message, repr([saga_id]), uuid()
        root_id = own_id if made.headers["root_id"] == made.headers["id"] else made.headers["root_id"]
        event = made.sent_event and {**made.sent_event, "uuid": own_id, "root_id": root_id, "args": shown}
        return task_message(
            headers={**made.headers, "id": own_id, "root_id": root_id, "argsrepr": shown},
            properties={**made.properties, "correlation_id": own_id, "reply_to": sender},
            body=([saga_id], *made.body[1:]),
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
