"""Which hooks are told of what: those of the saga's class and those of `saga_hooks`, with what they are told."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from saga_celery.core.events import Fact
from saga_celery.core.states import Failure, SagaState
from saga_celery.definition import registry
from saga_celery.definition.hooks import Hooks
from saga_celery.engine.occurrences import Occurrence, occurrences
from saga_celery.engine.packed import APART, is_packed
from saga_celery.engine.ports import Delivery
from saga_celery.store.codec import dumps
from saga_celery.store.deliveries import Labels

LARGEST_RESULT = 16_384
"""Characters of a result's JSON text; a larger one is left out, for hooks get a summary."""


class ClassHooks:
    """Looks hooks up in the classes that are registered in this process.

    Args:
        everywhere: those of all sagas.
        labels: reads key, tags and the database's time.
        grace: seconds until a hook that did not run to its end is sent again.
        is_chain: tells of the hash of a plan whether it is a chain's; may raise `StoreError`.
    """

    def __init__(
        self, everywhere: Hooks, labels: Callable[[str], Labels], grace: float, is_chain: Callable[[str], bool]
    ) -> None:
        self._everywhere = everywhere
        self._is_chain = is_chain
        self._labels = labels
        self._grace = grace

    def deliveries(self, state: SagaState, version: int, facts: Sequence[Fact]) -> Sequence[Delivery]:
        """What a transition tells to whom; one without a task stands for the hooks of a class that is not known here.

        Raises:
            StoreError: the database failed.
        """
        own = self._own(state)
        if own is not None and not own and not self._everywhere:
            return ()
        found = [(each, task) for each in occurrences(state, facts) for task in self._tasks(own, each.event)]
        if not found:
            return ()
        labels = self._labels(state.id)
        return [
            self._delivery(_base(f"{state.id}/{version}/{each.place}"), state, version, labels, each, task)
            for each, task in found
        ]

    def standstill(self, state: SagaState, what: Occurrence) -> Sequence[Delivery]:
        """Whom an event is told that comes of no transition; each time it has an id of its own.

        Raises:
            StoreError: the database failed.
        """
        tasks = self._tasks(self._own(state), what.event)
        if not tasks:
            return ()
        labels = self._labels(state.id)
        base = _base(f"{state.id}/{state.version}/{what.event}/{labels.now.isoformat()}")
        return [self._delivery(base, state, state.version, labels, what, task) for task in tasks]

    def _own(self, state: SagaState) -> Hooks | None:
        """Those of the saga's class, and none of a chain, which has no class; None: some other process has it."""
        own = _hooks_of(state.name)
        return {} if own is None and self._is_chain(state.plan_hash) else own

    def _tasks(self, own: Hooks | None, event: str) -> Collection[str]:
        of_class = ("",) if own is None else own.get(event, ())
        return dict.fromkeys((*of_class, *self._everywhere.get(event, ()))).keys()

    def _delivery(
        self, base: uuid.UUID, state: SagaState, version: int, labels: Labels, what: Occurrence, task: str
    ) -> Delivery:
        delivery = Delivery(
            id=str(base),
            saga_id=state.id,
            event=what.event,
            task="",
            payload={
                "id": str(base),
                "event": what.event,
                "saga_id": state.id,
                "saga_name": state.name,
                "version": version,
                "key": labels.key,
                "tags": dict(labels.tags),
                "at": labels.now.isoformat(),
                **_plain(what.details),
            },
            headers=state.headers,
            seconds=self._grace,
        )
        return _addressed(delivery, task) if task else delivery

    def resolved(self, delivery: Delivery) -> Sequence[Delivery] | None:
        """Whom a delivery without a task is for; None when the saga's class is not known here either."""
        own = _hooks_of(delivery.payload["saga_name"])
        if own is None:
            return None
        fresh = replace(delivery, tries=1, seconds=self._grace)
        return [_addressed(fresh, task) for task in own.get(delivery.event, ())]


def _base(place: str) -> uuid.UUID:
    """What the event ids of an event are made of."""
    return uuid.uuid5(uuid.NAMESPACE_OID, place)


def _hooks_of(saga_name: str) -> Hooks | None:
    return registry.find(saga_name).definition().hooks if registry.is_registered(saga_name) else None


def _addressed(delivery: Delivery, task: str) -> Delivery:
    """Each hook has an event id of its own, which follows from the event and the hook, whoever works it out."""
    own_id = str(uuid.uuid5(uuid.UUID(delivery.id), task))
    return replace(delivery, id=own_id, task=task, payload={**delivery.payload, "id": own_id})


def _plain(details: Mapping[str, Any]) -> dict[str, Any]:
    return dict(_summed_up(details))


def _summed_up(details: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in details.items():
        if isinstance(value, Failure):
            yield name, {"type": value.type, "message": value.message, "step": value.step}
        elif name == "result":
            too_large = (is_packed(value) and APART in value) or len(dumps(value)) > LARGEST_RESULT
            yield name, None if too_large else value
            yield "result_left_out", too_large
        else:
            yield name, value
