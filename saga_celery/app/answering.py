"""Answering a wait on behalf of a person: as plain JSON, to a saga whose class this process may not have."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

from saga_celery.app.chance import new_id
from saga_celery.app.saga_app import SagaApp
from saga_celery.core.events import EventSent
from saga_celery.core.plan import StepKind
from saga_celery.core.states import SagaStatus
from saga_celery.definition.registry import find, is_registered
from saga_celery.definition.sending import event_for
from saga_celery.errors import InputRejected
from saga_celery.store.views import SagaRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An event that was sent."""

    wait: str
    event_id: str
    state: SagaStatus
    """Where the saga stood then."""


def answer(sagas: SagaApp, saga: SagaRow, wait: str, event: Any, *, actor: str, event_id: str = "") -> Answered:
    """Send an event to a wait of a saga.

    It is checked against the type of the wait where this process has the saga's class; see `is_checked`.

    Args:
        sagas: where the saga is.
        saga: the saga.
        wait: the step that waits, or will.
        event: the answer as JSON.
        actor: who answers.
        event_id: there is one event of this id for the saga; empty: a new one.

    Raises:
        InputRejected: there is no such wait, or the event is of another type.
        Refused: the saga has ended.
        EventConflict: another event has the same id.
    """
    sent = _event(sagas, saga, wait, event, event_id=event_id or new_id(), actor=actor)
    state = sagas.desk.post(saga.id, sent, names=[saga.name], session=None, connection=None)
    return Answered(wait=sent.wait, event_id=sent.event_id, state=state)


def is_checked(saga: SagaRow) -> bool:
    """Whether an event for this saga is checked against the type of its wait."""
    return is_registered(saga.name)


def _event(sagas: SagaApp, saga: SagaRow, wait: str, event: Any, *, event_id: str, actor: str) -> EventSent:
    if is_checked(saga):
        definition, limit = find(saga.name).definition(), sagas.settings.payload_limit
        return event_for(definition, wait, event, event_id=event_id, actor=actor, limit=limit)
    _check_wait(sagas, saga, wait)
    return EventSent(wait=wait, event_id=event_id, payload=event, actor=actor)


def _check_wait(sagas: SagaApp, saga: SagaRow, wait: str) -> None:
    """The plan that is stored with the saga knows its waits, if not their types."""
    state = sagas.store.queries.snapshot(saga.id).state
    waits = [step.name for step in sagas.store.plan(state.plan_hash).steps if step.kind is StepKind.WAIT]
    if wait not in waits:
        close = difflib.get_close_matches(wait, waits, n=1)
        known = f"did you mean {close[0]!r}?" if close else f"it waits for: {', '.join(waits) or 'nothing'}"
        raise InputRejected(f"{saga.name} has no wait named {wait!r}; {known}")
