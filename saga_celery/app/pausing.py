"""Pausing and unpausing, checked and written into the log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from saga_celery.engine.ports import Pause, PauseKind
from saga_celery.errors import InputRejected, Refused
from saga_celery.store.columns import NAME

if TYPE_CHECKING:
    from saga_celery.app.saga_app import SagaApp

logger = logging.getLogger("saga_celery")


def pause(app: SagaApp, *, name: str | None, task: str | None, reason: str, actor: str) -> Pause:
    """See `SagaApp.pause`."""
    kind, what = _meant(name, task)
    _need(reason, "pause")
    app.check_schema()
    made, is_new = app.store.pauses.begin(kind, what, actor=actor, reason=reason)
    if is_new:
        logger.warning("%s %s is paused by %s: %s", kind.value, what, actor, reason)
    return made


def unpause(app: SagaApp, *, name: str | None, task: str | None, reason: str, actor: str) -> None:
    """See `SagaApp.unpause`."""
    kind, what = _meant(name, task)
    _need(reason, "unpause")
    app.check_schema()
    if not app.store.pauses.end(kind, what):
        paused = ", ".join(f"{each.kind.value} {each.name}" for each in app.store.pauses.all())
        raise Refused(f"{kind.value} {what!r} is not paused; paused are: {paused or 'none'}")
    logger.warning("%s %s is unpaused by %s: %s", kind.value, what, actor, reason)


def _meant(name: str | None, task: str | None) -> tuple[PauseKind, str]:
    if (name is None) == (task is None):
        raise InputRejected("say what is meant: name= of the sagas, or task= to which the messages go; one of the two")
    kind, what = (PauseKind.TASK, task or "") if name is None else (PauseKind.NAME, name)
    if not what.strip() or len(what) > NAME:
        raise InputRejected(f"{kind.value}={what!r}: a name, or a pattern of names, of 1 to {NAME} characters")
    return kind, what


def _need(reason: str, verb: str) -> None:
    if not reason.strip():
        raise Refused(f"{verb}: say why, for whoever is on call next")
