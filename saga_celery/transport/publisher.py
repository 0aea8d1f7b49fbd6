"""Publishing: one plain Celery message for each attempt, nudges for the coordinator, and reports to it."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from celery import Celery

from saga_celery.core.states import Direction, Message, Slot, step_label
from saga_celery.engine.log_fields import about
from saga_celery.engine.payloads import Payloads
from saga_celery.engine.ports import Delivery, Outgoing
from saga_celery.engine.redaction import Redaction
from saga_celery.errors import PayloadUnavailable, PayloadUnreadable, PublishFailed, StoreError
from saga_celery.settings import Settings
from saga_celery.transport import wire
from saga_celery.transport.alerts import hook_message
from saga_celery.transport.broker import Broker
from saga_celery.transport.envelopes import Envelope
from saga_celery.transport.nudges import COORDINATE, Nudges
from saga_celery.transport.publishing import only_celery_publishes
from saga_celery.transport.reports import Dispatched, Report, seal
from saga_celery.transport.shown import shown_call
from saga_celery.transport.tracing import Anchor, anchor_of, passed_on

logger = logging.getLogger("saga_celery")

FOREIGN_SUCCEEDED = "saga_celery.foreign_succeeded"
FOREIGN_FAILED = "saga_celery.foreign_failed"

A_FEW = 3
"""More messages than this go out in one batch, where the transport has such a thing."""

_STEERED_BY_US_TEXT = """
eta countdown link link_error chain chord group_id group_index task_id root_id parent_id reply_to retries retry
retry_policy producer connection router publisher headers shadow ignore_result add_to_parent serializer task_type
route_name result_cls
"""
_STEERED_BY_US = frozenset(_STEERED_BY_US_TEXT.split())
"""Options that a stored message has no say in."""

_WORD = {Direction.ACTION: "", Direction.COMPENSATION: " (compensation)", Direction.PROBE: " (probe)"}


class CeleryTransport:
    """The broker as the engine sees it.

    Args:
        celery: the user's app; its routes, queues and serializers hold.
        settings: the checked configuration.
        time: tells the saga database's time, by which messages are dated; None: they carry no date.
        payloads: opens arguments for workers that can not, and packs reports; None: everything lies open.
    """

    def __init__(
        self,
        celery: Celery,
        settings: Settings,
        time: Callable[[], datetime] | None = None,
        payloads: Payloads | None = None,
    ) -> None:
        self._celery = celery
        self._settings = settings
        self._time = time
        self._payloads = payloads
        self._redaction = Redaction(settings.redact)
        self._broker = Broker(celery)
        self._nudges = Nudges(celery, settings)

    # ----------------------------------------------------------------------------------------------------------- steps

    def send(self, messages: Sequence[Outgoing]) -> None:
        """Publish messages to participants; one that no queue takes does not keep back the others.

        Raises:
            PublishFailed: not all of them went out.
        """
        not_after = self._not_after()
        if refused := self._broker.use(lambda producer: self._publish_all(producer, messages, not_after)):
            raise PublishFailed(refused[0])

    def envelope(self, message: Outgoing, queue: str) -> Envelope:
        """The message as it would be published, for a process that runs it itself.

        Args:
            message: the message.
            queue: where it would go.

        Raises:
            PublishFailed: it could not be sent either.
        """
        envelope: Any = Envelope(queue)
        if only_celery_publishes(self._celery):
            send = partial(envelope.fill, self._celery)
        else:
            send = partial(self._celery.send_task, producer=envelope)
        if refused := self._send_all(send, [message], self._not_after()):
            raise PublishFailed(refused[0])
        filled: Envelope = envelope
        return filled

    def options_of(self, message: Outgoing) -> Mapping[str, Any]:
        """What the message would be sent with, those of its task included."""
        return _options(message.message, self._known(message.message.task), message.priority)

    def _not_after(self) -> datetime | None:
        """When an action that is sent now comes too late; each resend has a date of its own."""
        if self._time is None:
            return None
        try:
            now = self._time()
        except StoreError as error:
            raise PublishFailed(f"messages can not be dated: {error}") from error
        return now + timedelta(seconds=self._settings.message_lifetime - self._settings.clock_skew)

    def _publish_all(self, producer: Any, messages: Sequence[Outgoing], not_after: datetime | None) -> list[str]:
        with _batch(producer, len(messages)):
            return self._send_all(partial(self._celery.send_task, producer=producer), messages, not_after)

    def _send_all(
        self, send: Callable[..., Any], messages: Sequence[Outgoing], not_after: datetime | None
    ) -> list[str]:
        refused = []
        anchors = self._anchors(messages)
        for message in messages:
            try:
                self._send_one(send, message, not_after, anchors[message.saga_id])
            except (LookupError, TypeError, ValueError, PayloadUnreadable, PayloadUnavailable) as error:
                logger.exception(
                    "saga %s: step %s can not be sent",
                    message.saga_id,
                    message.slot.step,
                    extra=_about(message),
                )
                refused.append(f"step {message.slot.step} can not be sent: {error!r}")
        return refused

    def _anchors(self, messages: Sequence[Outgoing]) -> dict[str, Anchor]:
        """What one saga sends at once belongs to one place of its trace."""
        sagas = {each.saga_id: each for each in messages}
        return {
            saga_id: anchor_of(self._celery, saga_id, each.saga_name, each.headers) for saga_id, each in sagas.items()
        }

    def _send_one(
        self, send: Callable[..., Any], outgoing: Outgoing, not_after: datetime | None, anchor: Anchor
    ) -> None:
        message = outgoing.message
        task = self._known(message.task)
        args, kwargs = self._arguments(outgoing.saga_id, message)
        headers = {**wire.headers_of(outgoing, self._settings, not_after), **anchor.headers}
        with anchor.active():
            send(
                message.task,
                args,
                kwargs,
                task_id=task_id(outgoing.saga_id, outgoing.slot, outgoing.attempt, outgoing.resends),
                root_id=outgoing.saga_id,
                task_type=task,
                shadow=f"{outgoing.saga_name}/{step_label(*outgoing.slot[:2])}{_WORD[outgoing.slot.direction]}",
                headers=headers,
                ignore_result=True,
                add_to_parent=False,
                serializer="json",
                retry=False,
                **shown_call(task, args, kwargs, self._redaction, headers),
                **self._links(outgoing),
                **_options(message, task, outgoing.priority),
            )

    def _arguments(self, saga_id: str, message: Message) -> tuple[list[Any], dict[str, Any]]:
        """What is packed stays so; only where no seat is, that would open it, the broker gets to see it."""
        if self._payloads is not None and self.is_foreign(message):
            return self._payloads.opened_call(saga_id, message.args, message.kwargs)
        return list(message.args), dict(message.kwargs)

    def _known(self, name: str) -> Any | None:
        """The task, when it is registered here, for the options that `apply_async` would take from it."""
        return self._celery.tasks.get(name)

    # ----------------------------------------------------------------------------------------------------------- hooks

    def deliver(self, delivery: Delivery) -> None:
        """Publish a hook's task; its only argument is the payload.

        Raises:
            PublishFailed: the broker can not be reached.
            LookupError: no queue takes it.
        """
        self._broker.use(lambda producer: self._deliver(producer, delivery))

    def _deliver(self, producer: Any, delivery: Delivery) -> None:
        message, headers = hook_message(delivery, self._settings), wire.hook_headers_of(delivery, self._settings)
        task, name = self._known(message.task), delivery.payload["saga_name"]
        anchor = anchor_of(self._celery, delivery.saga_id, name, delivery.headers)
        with anchor.active():
            self._celery.send_task(
                message.task,
                [self._told(delivery)],
                dict(message.kwargs),
                producer=producer,
                task_id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{delivery.id}/{delivery.tries}")),
                root_id=delivery.saga_id,
                task_type=task,
                shadow=f"{name}/{delivery.event} (hook)",
                headers={**headers, **anchor.headers},
                ignore_result=True,
                add_to_parent=False,
                serializer="json",
                retry=False,
                argsrepr=f"({{'id': {delivery.id!r}, …}},)",  # inputs and outcomes stay out of logs and events
                kwargsrepr=repr({name: headers[name] for name in ("saga_id", "saga_name", "saga_event")}),
                **_options(message, task),
            )

    def _told(self, delivery: Delivery) -> dict[str, Any]:
        payload = dict(delivery.payload)
        if self._payloads is None or self.confirms(delivery):
            return payload
        opened: dict[str, Any] = self._payloads.opened_parts(delivery.saga_id, payload)
        return opened

    def confirms(self, delivery: Delivery) -> bool:
        """Tell whether the hook's worker has saga code, and so tells when the task has run to its end."""
        return not self.is_foreign(hook_message(delivery, self._settings))

    # --------------------------------------------------------------------------------------------------------- foreign

    def is_foreign(self, message: Message) -> bool:
        """Tell whether the message goes to a worker that has no saga code."""
        return bool(self._settings.foreign_queues) and self._queue_of(message) in self._settings.foreign_queues

    def _links(self, outgoing: Outgoing) -> dict[str, Any]:
        """The one place where links are attached: nobody else would tell what became of the attempt."""
        if not self.is_foreign(outgoing.message):
            return {}
        ids = Dispatched(slot=outgoing.slot, attempt=outgoing.attempt)
        args = (outgoing.saga_id, seal(outgoing.saga_id, ids, self._settings))
        return {
            "link": self._celery.signature(FOREIGN_SUCCEEDED, args=args, options=self._own_options()),
            "link_error": self._celery.signature(
                FOREIGN_FAILED, args=args, options=self._own_options(), immutable=True
            ),
        }

    def _own_options(self) -> dict[str, Any]:
        return {"queue": self._settings.queue, "ignore_result": True}

    # -------------------------------------------------------------------------------------------------- to coordinators

    def nudge(self, saga_ids: Sequence[str], priority: int | None = None) -> None:
        """Ask some coordinator to look at these sagas.

        Args:
            saga_ids: the sagas.
            priority: what `apply_async(priority=…)` takes; None: the default of the app.

        Raises:
            PublishFailed: the broker did not take the messages.
        """
        self._broker.use(lambda producer: self._nudge_all(producer, saga_ids, priority))

    def _nudge_all(self, producer: Any, saga_ids: Sequence[str], priority: int | None) -> None:
        with _batch(producer, len(saga_ids)):
            self._nudges.publish(producer, saga_ids, priority)

    def report(self, queue: str, saga_id: str, report: Report) -> None:
        """Tell a coordinator what became of an attempt.

        Args:
            queue: the coordinator's queue, as the step's message named it.
            saga_id: the saga.
            report: what to tell.

        Raises:
            PublishFailed: the broker did not take the report.
        """
        envelope = seal(saga_id, self._packed(saga_id, report), self._settings)
        self._broker.use(lambda producer: self._tell(producer, queue, saga_id, envelope))

    def _packed(self, saga_id: str, report: Report) -> Report:
        packer = self._payloads.packer() if self._payloads is not None else None
        if packer is None:
            return report
        try:
            packed = packer.news(saga_id, report)
            packer.taken()
        except PayloadUnavailable as error:
            raise PublishFailed(f"the report can not be packed: {error}") from error
        return packed

    def _tell(self, producer: Any, queue: str, saga_id: str, envelope: Any) -> None:
        self._celery.send_task(
            COORDINATE,
            [saga_id, envelope],
            producer=producer,
            queue=queue,
            headers=passed_on(self._celery, saga_id) or None,
            ignore_result=True,
            add_to_parent=False,
            serializer="json",
            retry=False,
            argsrepr=f"({saga_id!r},)",  # outcomes stay out of logs and events
        )

    # ---------------------------------------------------------------------------------------------------------- queues

    def backlog(self, message: Message | None = None) -> int:
        """How many messages wait in the queue that this one goes to; None: in the coordinators' own queue.

        0 when the broker can not tell.
        """
        try:
            queue = self._settings.queue if message is None else self._queue_of(message)
            return self._broker.use(lambda producer: _length(producer, queue)) if queue else 0
        except Exception as error:
            logger.debug("the length of the queue of %s is not known: %r", message.task if message else "sagas", error)
            return 0

    def queue_of(self, message: Message) -> str:
        """The queue that a message goes to, by the routes of this process; empty: they do not tell."""
        try:
            return self._queue_of(message)
        except Exception as error:  # a router is the user's code, and a question shall not end by its mistake
            logger.debug("the queue of %s is not known: %r", message.task, error)
            return ""

    def _queue_of(self, message: Message) -> str:
        """Where Celery's own routing sends the message."""
        task = self._known(message.task)
        options = _options(message, task)
        route = self._celery.amqp.router.route(options, message.task, tuple(message.args), dict(message.kwargs), task)
        queue = route.get("queue")
        return str(getattr(queue, "name", queue) or route.get("routing_key") or "")


def _about(sent: Outgoing) -> dict[str, Any]:
    return about(sent.saga_id, sent.saga_name, slot=sent.slot, attempt=sent.attempt, headers=sent.headers)


def task_id(saga_id: str, slot: Slot, attempt: int, resends: int = 0) -> str:
    """The id of the task that an attempt is, as Celery and Flower know it.

    The same message sent twice is the same task; each resend is another one.

    Args:
        saga_id: the saga.
        slot: the activity.
        attempt: its attempt.
        resends: how many times it was sent before.
    """
    place = "/".join(map(str, slot))
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{saga_id}/{place}/{attempt}/{resends}"))


def _options(message: Message, task: Any | None, priority: int | None = None) -> dict[str, Any]:
    """What `apply_async` would send with it: the task's own options, over them the saga's priority, and over all those
    of the stored message.
    """
    of_task: Mapping[str, Any] = task._get_exec_options() if task is not None else {}
    of_saga = {} if priority is None else {"priority": priority}
    merged = {**{name: value for name, value in of_task.items() if value is not None}, **of_saga, **message.options}
    return {name: value for name, value in merged.items() if name not in _STEERED_BY_US}


def _batch(producer: Any, count: int) -> AbstractContextManager[Any]:
    """Kombu before 5.7 has no batches; there each message goes out by itself."""
    if count <= A_FEW or not hasattr(producer, "batch"):
        return nullcontext()
    batch: AbstractContextManager[Any] = producer.batch()
    return batch


def _length(producer: Any, queue: str) -> int:
    channel = producer.connection.channel()  # of its own: AMQP closes the one on which a queue is not found
    try:
        return int(channel.queue_declare(queue=queue, passive=True).message_count)
    except producer.connection.channel_errors:
        return 0
    finally:
        with suppress(Exception):
            channel.close()
