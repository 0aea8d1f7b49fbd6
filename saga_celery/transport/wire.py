"""What a step's message carries besides the task's own arguments: headers that begin with `saga_`."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from saga_celery.core.states import Slot
from saga_celery.engine.log_fields import about
from saga_celery.engine.ports import Delivery as HookDelivery
from saga_celery.engine.ports import Outgoing
from saga_celery.errors import MessageNotUnderstood
from saga_celery.settings import Settings
from saga_celery.transport import fields

logger = logging.getLogger("saga_celery")

VERSION = 1
MARK = "saga_v"
"""The header by which a message of a saga is known."""
STEP = "saga_step"
ITEM = "saga_item"
DIRECTION = "saga_direction"
ATTEMPT = "saga_attempt"
EPOCH = "saga_epoch"
NOT_AFTER = "saga_not_after"
SAGA_VERSION = "saga_version"
HOOK_MARK = "saga_hook_v"
"""The header by which the message of a hook is known."""

_SENTRY_WRITES = "sentry-propagate-traces"
"""Header that Sentry's instrumentation takes off again; where there is none, it stays and says nothing."""

dropped: Counter[str] = Counter()
"""How many messages were not understood, by the reason; for metrics."""

_CELERYS_OWN_TEXT = """
lang task id shadow eta expires group group_index retries timelimit root_id parent_id argsrepr kwargsrepr origin
ignore_result replaced_task_nesting stamped_headers stamps reply_to delivery_info properties args kwargs chord chain
callbacks errbacks hostname compression headers
"""
_CELERYS_OWN = frozenset(_CELERYS_OWN_TEXT.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The saga's side of a message in a participant's hands."""

    saga_id: str
    saga_name: str
    plan_hash: str
    slot: Slot
    attempt: int
    epoch: int
    """Of the latest claim that the sender knew of; a higher one in the store was claimed since."""
    resends: int
    claim: bool
    """The attempt must be claimed before it runs, even on the first delivery."""
    safe: bool
    """It is safe to run twice."""
    timeout: float
    report_to: str
    """Queue of the coordinator."""
    action_generation: int = 1
    """Generation of the action that a compensation or a probe is about."""
    action_attempt: int = 1
    """Its latest attempt."""
    not_after: datetime | None = None
    """Aware. A barrier refuses to begin an action later than this; None: it has no date."""
    version: int = 0
    """The least version that the saga has by now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HookMessage:
    """The saga's side of a hook's message in a worker's hands."""

    saga_id: str
    event_id: str
    report_to: str
    """Queue of the coordinator."""


def headers_of(message: Outgoing, settings: Settings, not_after: datetime | None = None) -> dict[str, Any]:
    """The headers of a step's message: the saga's own, and those of the start that are allowed to travel.

    Args:
        message: the message.
        settings: the checked configuration.
        not_after: aware; when an action is too late to begin. None: the message gets no date.
    """
    dated = {} if not_after is None else {NOT_AFTER: not_after.timestamp()}
    return {
        **_traced(_context(message.headers, settings)),
        MARK: VERSION,
        "saga_id": message.saga_id,
        "saga_name": message.saga_name,
        STEP: message.slot.step,  # these three for whoever reads headers; it is the slot that is gone by
        ITEM: message.slot.item,
        DIRECTION: message.slot.direction.value,
        "saga_slot": fields.plain(message.slot),
        ATTEMPT: message.attempt,
        EPOCH: message.epoch,
        "saga_resends": message.resends,
        "saga_claim": message.claim,
        "saga_safe": message.safe,
        "saga_plan": message.plan_hash,
        "saga_timeout": message.timeout,
        "saga_report_to": settings.queue,
        "saga_action": [message.action_generation, message.action_attempt],
        SAGA_VERSION: message.version,
        **dated,
    }


def hook_headers_of(delivery: HookDelivery, settings: Settings) -> dict[str, Any]:
    """The headers of a hook's message."""
    return {
        **_traced(_context(delivery.headers, settings)),
        HOOK_MARK: VERSION,
        "saga_id": delivery.saga_id,
        "saga_name": delivery.payload["saga_name"],
        "saga_event": delivery.event,
        "saga_event_id": delivery.id,
        "saga_report_to": settings.queue,
    }


def is_hook(headers: Mapping[str, Any] | None) -> bool:
    """Tell whether a message claims to be for a hook."""
    return bool(headers) and HOOK_MARK in (headers or {})


def hook_from(headers: Mapping[str, Any]) -> HookMessage:
    """Read the headers of a hook's message.

    Raises:
        MessageNotUnderstood: it is none, or one of another release.
    """
    if headers.get(HOOK_MARK) != VERSION:
        raise MessageNotUnderstood(f"version {str(headers.get(HOOK_MARK))[:20]} of the message is not {VERSION}")
    return HookMessage(
        saga_id=fields.text(headers.get("saga_id"), fields.ID, "saga_id"),
        event_id=fields.text(headers.get("saga_event_id"), fields.ID, "saga_event_id"),
        report_to=fields.text(headers.get("saga_report_to"), fields.QUEUE, "saga_report_to"),
    )


def _context(headers: Mapping[str, str], settings: Settings) -> dict[str, str]:
    """A header of the start may never pass itself off as one of Celery's or ours."""
    allowed = {name for name in settings.context_headers if not name.startswith("saga_")} - _CELERYS_OWN
    return {name: value for name, value in headers.items() if name in allowed}


def _traced(context: dict[str, str]) -> dict[str, Any]:
    """Sentry would write its trace anew, that of whoever sends, over the one that the saga was started in."""
    return {**context, _SENTRY_WRITES: False} if "sentry-trace" in context else dict(context)


def is_delivery(headers: Mapping[str, Any] | None) -> bool:
    """Tell whether a message claims to belong to a saga."""
    return bool(headers) and MARK in (headers or {})


def delivery_from(headers: Mapping[str, Any]) -> Delivery:
    """Read the headers of a step's message.

    Raises:
        MessageNotUnderstood: it is none, or one of another release.
    """
    if headers.get(MARK) != VERSION:
        raise MessageNotUnderstood(f"version {str(headers.get(MARK))[:20]} of the message is not {VERSION}")
    generation, attempt = fields.pair(headers.get("saga_action"), "saga_action")
    return Delivery(
        saga_id=fields.text(headers.get("saga_id"), fields.ID, "saga_id"),
        saga_name=fields.text(headers.get("saga_name"), fields.NAME, "saga_name"),
        plan_hash=fields.text(headers.get("saga_plan"), fields.HASH, "saga_plan"),
        slot=fields.slot(headers.get("saga_slot"), "saga_slot"),
        attempt=fields.whole(headers.get(ATTEMPT), 1, ATTEMPT),
        epoch=fields.whole(headers.get(EPOCH), 0, EPOCH),
        resends=fields.whole(headers.get("saga_resends"), 0, "saga_resends"),
        claim=fields.flag(headers.get("saga_claim"), "saga_claim"),
        safe=fields.flag(headers.get("saga_safe"), "saga_safe"),
        timeout=fields.seconds(headers.get("saga_timeout"), "saga_timeout"),
        report_to=fields.text(headers.get("saga_report_to"), fields.QUEUE, "saga_report_to"),
        action_generation=generation,
        action_attempt=attempt,
        not_after=fields.moment(headers[NOT_AFTER], NOT_AFTER) if NOT_AFTER in headers else None,
        version=fields.whole(headers.get(SAGA_VERSION, 0), 0, SAGA_VERSION),
    )


def about_delivery(delivery: Delivery) -> dict[str, Any]:
    """The fields of a log record about a delivery, for threads in which no task runs."""
    return about(delivery.saga_id, delivery.saga_name, slot=delivery.slot, attempt=delivery.attempt)


def drop(what: str, reason: MessageNotUnderstood) -> None:
    """Count and log a message that is not understood; nothing else ever becomes of it."""
    dropped[str(reason)] += 1
    logger.error("%s is dropped: %s", what, reason)
