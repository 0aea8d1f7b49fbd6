"""Reports: what a worker without the saga database tells the coordinator, as signed JSON text.

The text travels as a string inside the message, so that the signature covers exactly the bytes that are read, and
Celery's own JSON decoder finds nothing in a result that it would turn into another type.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from saga_celery.core.events import AttemptFailed, AttemptLost, AttemptStarted, AttemptSucceeded
from saga_celery.core.states import Failure, Slot
from saga_celery.engine import failures
from saga_celery.engine.packed import is_packed
from saga_celery.errors import MessageNotUnderstood
from saga_celery.settings import Settings
from saga_celery.transport import fields, payload

VERSION = 1
OVERHEAD = 65_536
"""Bytes that a report may have besides its result."""
SEALED_SIZE = 2
"""How many times as large a seal may be as what is sealed; Fernet's is 4/3."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A worker runs an attempt."""

    slot: Slot
    attempt: int
    epoch: int
    worker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRetry:
    """A task put itself back into the queue; it starts again in about `seconds`."""

    slot: Slot
    attempt: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Alive:
    """The task of an attempt is at work."""

    slot: Slot
    attempt: int
    worker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatched:
    """Nothing but the ids of an attempt: what the links of a foreign worker's message carry."""

    slot: Slot
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HookEnded:
    """A hook has run to its end."""

    event_id: str


Outcome = AttemptSucceeded | AttemptFailed | AttemptLost
AttemptReport = Begun | OwnRetry | Alive | Dispatched | Outcome
Report = AttemptReport | HookEnded
Envelope = dict[str, str]


# --------------------------------------------------------------------------------------------------------------- write


def seal(saga_id: str, report: Report, settings: Settings) -> Envelope:
    """Write a report, signed with the newest key when there is one."""
    written = {"v": VERSION, "saga": saga_id, **_written(report)}
    text = json.dumps(written, separators=(",", ":"), allow_nan=False)
    if not settings.hmac_keys:
        return {"text": text}
    key_id, secret = list(settings.hmac_keys.items())[-1]
    return {"text": text, "key": key_id, "mac": _mac(text, key_id, secret)}


def _written(report: Report) -> dict[str, Any]:
    if isinstance(report, HookEnded):
        return {"kind": "hook", "event": report.event_id}
    return {"slot": fields.plain(report.slot), "attempt": report.attempt, **_attempt_written(report)}


def _attempt_written(report: AttemptReport) -> dict[str, Any]:
    match report:
        case Begun():
            return {"kind": "begun", "epoch": report.epoch, "worker": report.worker}
        case OwnRetry():
            return {"kind": "again", "seconds": report.seconds}
        case Alive():
            return {"kind": "alive", "worker": report.worker}
        case Dispatched():
            return {"kind": "dispatched"}
        case AttemptSucceeded():
            return {"kind": "succeeded", "result": report.result, **_ran_written(report)}
        case AttemptLost():
            return {"kind": "lost", "reason": report.reason[: failures.LONGEST_MESSAGE]}
        case AttemptFailed():
            return {
                "kind": "failed",
                "failure": _failure_written(report.failure),
                "took_effect": report.took_effect,
                "retry_after": report.retry_after,
                "counts": report.counts,
                **({"parks": True} if report.parks else {}),
                **_ran_written(report),
            }


def _ran_written(report: AttemptSucceeded | AttemptFailed) -> dict[str, Any]:
    return {} if report.ran is None else {"ran": report.ran}


def _failure_written(failure: Failure) -> dict[str, Any]:
    return {
        "type": failure.type,
        "message": failure.message,
        "types": list(failure.types),
        "traceback": failure.traceback,
    }


def _mac(text: str, key_id: str, secret: str) -> str:
    return hmac.new(secret.encode(), f"{key_id}\n{text}".encode(), hashlib.sha256).hexdigest()


# ---------------------------------------------------------------------------------------------------------------- read


def unseal(saga_id: str, envelope: Any, settings: Settings) -> Report:
    """Check and read a report.

    Args:
        saga_id: the saga that the message is about.
        envelope: what came with it.
        settings: holds the keys and the limits.

    Raises:
        MessageNotUnderstood: it is not well formed, not signed, or signed with no key of ours.
    """
    if not isinstance(envelope, Mapping):
        raise MessageNotUnderstood("the report is no mapping")
    text = fields.prose(envelope.get("text"), SEALED_SIZE * settings.payload_limit + OVERHEAD, "the report")
    _check_signature(text, envelope, settings)
    written = _parsed(text)
    if written.get("v") != VERSION:
        raise MessageNotUnderstood(f"the report is not of version {VERSION}")
    if fields.text(written.get("saga"), fields.ID, "saga") != saga_id:
        raise MessageNotUnderstood("the report is about another saga")
    return _read(written, settings)


def _check_signature(text: str, envelope: Mapping[Any, Any], settings: Settings) -> None:
    if not settings.hmac_keys:
        return
    key_id, mac = envelope.get("key"), envelope.get("mac")
    secret = settings.hmac_keys.get(key_id) if isinstance(key_id, str) else None
    if secret is None or not isinstance(key_id, str):
        raise MessageNotUnderstood("the report is not signed with a key of saga_hmac_keys")
    if not isinstance(mac, str) or not hmac.compare_digest(_mac(text, key_id, secret).encode(), mac.encode()):
        raise MessageNotUnderstood("the signature of the report does not fit")


def _parsed(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise MessageNotUnderstood("the report is no JSON") from None
    if not isinstance(found, dict):
        raise MessageNotUnderstood("the report is no JSON object")
    return found


def _read(written: dict[str, Any], settings: Settings) -> Report:
    if written.get("kind") == "hook":
        return HookEnded(event_id=fields.text(written.get("event"), fields.ID, "event"))
    slot = fields.slot(written.get("slot"), "slot")
    attempt = fields.whole(written.get("attempt"), 1, "attempt")
    match written.get("kind"):
        case "begun":
            epoch = fields.whole(written.get("epoch"), 0, "epoch")
            worker = fields.text(written.get("worker"), fields.WORKER, "worker")
            return Begun(slot=slot, attempt=attempt, epoch=epoch, worker=worker)
        case "again":
            return OwnRetry(slot=slot, attempt=attempt, seconds=fields.seconds(written.get("seconds"), "seconds"))
        case "alive":
            worker = fields.text(written.get("worker"), fields.WORKER, "worker")
            return Alive(slot=slot, attempt=attempt, worker=worker)
        case "dispatched":
            return Dispatched(slot=slot, attempt=attempt)
        case "succeeded" if is_packed(written.get("result")):
            return AttemptSucceeded(slot=slot, attempt=attempt, result=written["result"], ran=_ran(written))
        case "succeeded":
            return succeeded(slot, attempt, written.get("result"), settings, ran=_ran(written))
        case "lost":
            reason = fields.prose(written.get("reason"), failures.LONGEST_MESSAGE, "reason")
            return AttemptLost(slot=slot, attempt=attempt, reason=reason)
        case "failed":
            return _failed(slot, attempt, written)
    raise MessageNotUnderstood("the report is of an unknown kind")


def succeeded(slot: Slot, attempt: int, result: Any, settings: Settings, *, ran: float | None = None) -> Outcome:
    """The news of a success, or of one whose result can not be stored."""
    try:
        plain = payload.plain(result, settings.payload_limit)
        return AttemptSucceeded(slot=slot, attempt=attempt, result=plain, ran=ran)
    except payload.Unstorable as error:
        failure = failures.failure_named(error.name, str(error), step=slot.step)
        return AttemptFailed(slot=slot, attempt=attempt, failure=failure, took_effect=True, ran=ran)


def _ran(written: Mapping[str, Any]) -> float | None:
    """Missing in reports of earlier releases."""
    return fields.seconds(written["ran"], "ran") if "ran" in written else None


def _failed(slot: Slot, attempt: int, written: dict[str, Any]) -> AttemptFailed:
    after = written.get("retry_after")
    return AttemptFailed(
        slot=slot,
        attempt=attempt,
        failure=_failure(written.get("failure"), slot.step),
        took_effect=fields.flag(written.get("took_effect"), "took_effect"),
        retry_after=None if after is None else fields.seconds(after, "retry_after"),
        counts=fields.flag(written.get("counts", True), "counts"),
        parks=fields.flag(written.get("parks", False), "parks"),
        ran=_ran(written),
    )


def _failure(written: Any, step: str) -> Failure:
    if not isinstance(written, dict):
        raise MessageNotUnderstood("the failure is no mapping")
    types = written.get("types")
    if not isinstance(types, list) or len(types) > failures.MOST_TYPES:
        raise MessageNotUnderstood("the types of the failure are no list")
    return Failure(
        type=fields.prose(written.get("type"), failures.LONGEST_NAME, "type"),
        message=fields.prose(written.get("message"), failures.LONGEST_MESSAGE, "message"),
        types=tuple(fields.prose(each, failures.LONGEST_NAME, "types") for each in types),
        traceback=fields.prose(written.get("traceback"), failures.LONGEST_TRACEBACK, "traceback"),
        step=step,
    )


def started(begun: Begun, *, rival_alive: bool, own_retry: bool) -> AttemptStarted:
    """The news of a begun attempt, with what the coordinator knows about other copies of it."""
    return AttemptStarted(
        slot=begun.slot, attempt=begun.attempt, worker=begun.worker, rival_alive=rival_alive, own_retry=own_retry
    )
