"""The task `saga_celery.start`: a saga started by a message, so that celery beat can start one every night.

    beat_schedule = {
        "nightly": {"task": "saga_celery.start", "schedule": crontab(hour=2), "args": ["shop.nightly", {"full": True}]},
    }

Beat may fire twice: two of them run by mistake, or a message is delivered again. A message that is delivered again
starts nothing, as its id is the key. Against two messages for one night give a key that names the night:
`"kwargs": {"key": "nightly-%Y-%m-%d"}`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from celery import Task
from celery.exceptions import Reject

from saga_celery.definition.registry import find
from saga_celery.engine.log_fields import SAGA_NAME, about
from saga_celery.errors import InputRejected, StoreError
from saga_celery.transport.patience import hold

if TYPE_CHECKING:
    from saga_celery.app.saga_app import SagaApp

logger = logging.getLogger("saga_celery")

START = "saga_celery.start"
OPTIONS = ("tags", "lock", "if_locked", "priority", "if_exists")
"""What may stand in the message besides name, input and key; as in `Saga.start`."""
PATIENCE = 20.0
"""Seconds for which a message waits in the worker's hands for the database; then it goes back to the queue."""
PAUSE = 1.0
"""Seconds before a message goes back, so that it does not spin."""


def register_start(sagas: SagaApp) -> None:
    """Add the task to the user's app. It goes to the coordinator's queue, whose workers know the database.

    Args:
        sagas: the app; its settings are read when a message is sent or comes.
    """

    class StartTask(Task):  # type: ignore[type-arg] # it is generic for type checkers only
        """Routed like a nudge, wherever it is sent from."""

        @property
        def queue(self) -> str:
            return sagas.settings.queue

    @sagas.celery.task(
        name=START,
        base=StartTask,
        bind=True,
        shared=False,
        acks_late=True,
        reject_on_worker_lost=True,
        ignore_result=True,
        max_retries=None,
    )
    def start(self: Any, /, name: str, data: Any = None, *, key: str | None = None, **options: Any) -> None:
        unknown = options.keys() - OPTIONS
        if unknown:
            raise InputRejected(f"{START}: {sorted(unknown)} are none of its options: key, {', '.join(OPTIONS)}")
        _held(name, lambda: _start(sagas, name, data, key, self.request.id, options))


def _start(sagas: SagaApp, name: str, data: Any, key: str | None, message_id: str, options: Any) -> None:
    own_key = f"message-{message_id}" if key is None else key_at(key, sagas)
    handle = find(name).start(data, key=own_key, **options)
    became = "is started" if handle.created else "was started already"
    logger.info("saga %s %s %s", name, handle.id, became, extra=about(handle.id, name))


def key_at(template: str, sagas: SagaApp) -> str:
    """A key with the time in it, as `strftime` takes it: by the database's clock, in the time zone of the app."""
    return sagas.store.queries.now().astimezone(sagas.celery.timezone).strftime(template)


def _held(name: str, start: Callable[[], None]) -> None:
    """Hold the message while the database is away; when that takes too long, give it back to the queue."""
    try:
        hold(start, until=time.monotonic() + PATIENCE, on=StoreError, what=f"the start of a saga {name}")
    except StoreError as error:
        logger.error(
            "the message that starts a saga %s goes back to the queue: %s", name, error, extra={SAGA_NAME: name}
        )
        time.sleep(PAUSE)
        raise Reject(error, requeue=True) from error
