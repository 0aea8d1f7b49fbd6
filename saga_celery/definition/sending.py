"""Sending an event to a saga: checked against the wait that it is for, and left in the saga's inbox."""

from __future__ import annotations

import difflib
from typing import Any

from saga_celery.core.events import EventSent
from saga_celery.core.plan import StepKind
from saga_celery.definition.definitions import Definition, StepDefinition
from saga_celery.definition.desk import Desk, current_desk
from saga_celery.definition.inputs import encode
from saga_celery.errors import InputRejected


def send(
    definition: Definition,
    saga_id: str,
    wait: str,
    event: Any,
    *,
    event_id: str | None,
    actor: str,
    session: Any | None,
    connection: Any | None,
    desk: Desk | None = None,
) -> None:
    """Leave an event in the inbox of a saga.

    Args:
        definition: of the saga's class.
        saga_id: the saga.
        wait: name of the step that waits for it.
        event: the event.
        event_id: what makes it the same event when it comes again; None: it is a new one.
        actor: who sends it.
        session: see `Wait.send`.
        connection: see `Wait.send`.
        desk: where the saga is; None: that of this process.

    Raises:
        InputRejected: the saga has no such wait, or the event is of another type.
        SagaNotFound: there is no such saga of this class.
        Refused: the saga has ended.
        EventConflict: another event was sent under this id before.
    """
    desk = desk or current_desk()
    limit = desk.settings.payload_limit
    news = event_for(definition, wait, event, event_id=event_id or "", actor=actor, limit=limit)
    names = (definition.name, *definition.former_names)
    desk.post(saga_id, news, names=names, session=session, connection=connection)


def event_for(definition: Definition, wait: str, event: Any, *, event_id: str, actor: str, limit: int) -> EventSent:
    """Check an event and make plain data of it.

    Args:
        definition: of the saga's class.
        wait: name of the step that waits for it.
        event: the event.
        event_id: its id.
        actor: who sends it.
        limit: most bytes as JSON text.

    Raises:
        InputRejected: the saga has no such wait, or the event is of another type.
    """
    found = _wait(definition, wait)
    payload = encode(found.result, event, f"the event for {definition.label}.{found.name}", limit)
    former = tuple(old for old, name in definition.former.items() if name == found.name)
    return EventSent(wait=found.name, formerly=former, event_id=event_id, payload=payload, actor=actor)


def _wait(definition: Definition, name: str) -> StepDefinition:
    waits = [planned.name for planned in definition.plan.steps if planned.kind is StepKind.WAIT]
    today = definition.former.get(name, name)
    if today in waits:
        return definition.steps[today]
    close = difflib.get_close_matches(name, waits, n=1)
    known = f"did you mean {close[0]!r}?" if close else f"it waits for: {', '.join(waits) or 'nothing'}"
    raise InputRejected(f"{definition.label} has no wait named {name!r}; {known}")
