"""Running on: the process that has just settled a step runs the next one itself, as if its message had come.

The transition that sends the next step is stored as always, and what it awaits with it; only the message stays here.
Whatever becomes of this process, the sweeper finds the saga as it would find it had the message been lost.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial, wraps
from typing import Any

from celery import Celery
from celery.app.trace import LOG_RECEIVED
from celery.exceptions import Reject

from saga_celery.core.states import Message
from saga_celery.engine.log_fields import about
from saga_celery.engine.ports import Outgoing
from saga_celery.errors import PublishFailed
from saga_celery.settings import Settings
from saga_celery.transport.envelopes import Envelope
from saga_celery.transport.keeper import Keeper
from saga_celery.transport.lifecycle_events import EVENTS
from saga_celery.transport.may_run_on import can_run, is_wanted
from saga_celery.transport.permits import Permit
from saga_celery.transport.publisher import CeleryTransport
from saga_celery.transport.seat import RUNS_ON, TWIN, WORKER
from saga_celery.transport.soft_limits import soft_limit
from saga_celery.transport.task_events import TaskEvents, Telling

logger = logging.getLogger("saga_celery")
received = logging.getLogger("celery.worker.strategy")
"""Where Celery itself logs that a task has come."""

Trace = Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A message that did not go out."""

    message: Outgoing
    envelope: Envelope
    soft_limit: float | None
    """Seconds."""


class RunOn:
    """What one process keeps and runs. It acts only where tasks run one after the other: in the children of a pool.

    Args:
        celery: the user's app.
        settings: the checked configuration.
        transport: the broker.
        has_plan: tells whether this process has a saga's class with this very graph.
        clock: a monotonic clock.
    """

    def __init__(
        self,
        celery: Celery,
        *,
        settings: Callable[[], Settings],
        transport: Callable[[], CeleryTransport],
        has_plan: Callable[[str, str], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._celery = celery
        self._settings = settings
        self._transport = transport
        self._has_plan = has_plan
        self._clock = clock
        self._events = TaskEvents(celery)
        self.keeper = Keeper(self._events.flush)  # a body that lasts is seen while it runs
        self._traces: dict[str, Trace] = {}
        self._carrier: _Carrier | None = None

    # ---------------------------------------------------------------------------------------------------------- tracers

    def carry(self, name: str, task: Any) -> None:
        """Let what a task's message leads to run on after it.

        Args:
            name: of the task.
            task: a task whose tracer is built.
        """
        trace: Trace = task.__trace__
        self._traces[name] = trace

        @wraps(trace)
        def carried(uuid: str, args: Any, kwargs: Any, request: Any = None) -> Any:
            permit = Permit.of(request or {})
            if permit is None:
                return trace(uuid, args, kwargs, request)
            return self._carry(permit, request, partial(trace, uuid, args, kwargs, request))

        task.__trace__ = carried

    def _carry(self, permit: Permit, request: Mapping[str, Any], run: Callable[[], Any]) -> Any:
        self._carrier = carrier = _Carrier(permit, request)
        try:
            done = run()
            while (kept := carrier.take()) is not None:
                self._run(kept, carrier)
        except Exception:
            if (kept := carrier.take()) is not None:
                self._publish(kept.message)
            raise
        finally:
            self._carrier = None
            self._events.flush()
        return done

    # ------------------------------------------------------------------------------------------------------------- keep

    def keeps(self, messages: Sequence[Outgoing]) -> bool:
        """Keep what would be sent, to run it here; only one message, for of several each may have a process.

        Args:
            messages: what a transition that is committed sends.

        Returns:
            False: it has to be sent.
        """
        carrier = self._carrier
        if carrier is None or len(messages) != 1 or not carrier.is_free or self._is_late(carrier):
            return False
        (message,) = messages
        if not is_wanted(message, self._settings().run_on):
            return False
        transport = self._transport()
        options, queue = transport.options_of(message), transport.queue_of(message.message)
        if queue not in carrier.permit.queues or not self._may(message, options, carrier.permit):
            return False
        try:
            envelope = transport.envelope(message, queue)
        except PublishFailed:  # said when it is sent
            return False
        carrier.keep(Kept(message=message, envelope=envelope, soft_limit=options.get("soft_time_limit")))
        return True

    def _may(self, message: Outgoing, options: Mapping[str, Any], permit: Permit) -> bool:
        transport = self._transport()
        return (
            message.message.task in self._traces
            and can_run(message.message, options, permit, self._celery)
            and not transport.is_foreign(message.message)
            and self._has_plan(message.saga_name, message.plan_hash)
        )

    def _is_late(self, carrier: _Carrier) -> bool:
        began = carrier.began
        return began is not None and self._clock() - began >= self._settings().run_on_slice

    # -------------------------------------------------------------------------------------------------------------- run

    def _run(self, kept: Kept, carrier: _Carrier) -> None:
        """Nothing that happens here is the business of the message before: it is settled."""
        if carrier.began is None:
            carrier.began = self._clock()
        message = kept.message
        try:
            traced = self._traced(kept, kept.envelope.request(carrier.hostname, carrier.stamps))
        except Exception:
            logger.exception("%s of saga %s could not be run on", message.slot, message.saga_id, extra=_about(message))
            self._publish(replace(message, claim=True))
        else:
            if traced.info is not None and _wants_requeue(traced.info.retval):
                self._publish(replace(message, claim=True))

    def _traced(self, kept: Kept, request: dict[str, Any]) -> Any:
        """What the pool would do, and the worker's main process before and after it."""
        name = kept.message.message.task
        telling = self._announced(self._celery.tasks[name], request)
        with soft_limit(kept.soft_limit, f"{request['shadow']}[{request['id']}]"):
            traced = self._traces[name](request["id"], request["args"], request["kwargs"], request)
        if telling is not None:
            telling.end(traced)
        return traced

    def _announced(self, task: Any, request: dict[str, Any]) -> Telling | None:
        """What the worker's main process would say of a message that comes."""
        if received.isEnabledFor(logging.INFO):
            shown = {"args": request["argsrepr"], "kwargs": request["kwargsrepr"], "eta": None}
            about_task = {"id": request["id"], "name": request["shadow"], **shown}
            received.info(LOG_RECEIVED, about_task, extra={"data": about_task})
        if not (request.get(EVENTS) and task.send_events):
            return None
        telling = Telling(self._events, self._celery, request)
        telling.begin()
        return telling

    def _publish(self, message: Outgoing) -> None:
        try:
            self._transport().send([message])
        except PublishFailed as failure:
            logger.warning("saga %s: a message is sent later: %s", message.saga_id, failure, extra=_about(message))


class _Carrier:
    """The message that this process was given, and what is to be run after it."""

    def __init__(self, permit: Permit, request: Mapping[str, Any]) -> None:
        self.permit = permit
        self.hostname = str(request.get("hostname") or "")
        self.stamps = {WORKER: request.get(WORKER), EVENTS: request.get(EVENTS), TWIN: False, RUNS_ON: True}
        self.began: float | None = None
        """When the first step ran on."""
        self._thread = threading.get_ident()
        self._kept: Kept | None = None

    @property
    def is_free(self) -> bool:
        """Nothing is kept, and whoever asks is the thread that will run it."""
        return self._kept is None and self._thread == threading.get_ident()

    def keep(self, kept: Kept) -> None:
        """Have it run next."""
        self._kept = kept

    def take(self) -> Kept | None:
        """What is to be run next, taken out."""
        kept, self._kept = self._kept, None
        return kept


class Diverted:
    """The broker, as far as messages are not kept.

    Args:
        transport: the broker.
        run_on: keeps messages.
        share: called with the sagas whose messages go out, to whichever process.
    """

    def __init__(self, transport: CeleryTransport, run_on: RunOn, share: Callable[[Iterable[str]], None]) -> None:
        self._transport = transport
        self._run_on = run_on
        self._share = share

    def send(self, messages: Sequence[Outgoing]) -> None:
        """Keep, or publish, messages to participants."""
        if not self._run_on.keeps(messages):
            self._share({message.saga_id for message in messages})
            self._transport.send(messages)

    def nudge(self, saga_ids: Sequence[str], priority: int | None = None) -> None:
        """Ask some coordinator to look at these sagas."""
        self._transport.nudge(saga_ids, priority)

    def is_foreign(self, message: Message) -> bool:
        """Tell whether the message goes to a worker that has no saga code."""
        return self._transport.is_foreign(message)

    def backlog(self, message: Message | None = None) -> int:
        """How many messages wait in the queue that this one goes to."""
        return self._transport.backlog(message)


def _about(message: Outgoing) -> dict[str, Any]:
    return about(
        message.saga_id, message.saga_name, slot=message.slot, attempt=message.attempt, headers=message.headers
    )


def _wants_requeue(raised: Any) -> bool:
    return isinstance(raised, Reject) and bool(vars(raised)["requeue"])
