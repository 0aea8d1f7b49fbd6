"""Everything that is known of one saga."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from saga_celery.app.reading.family import Family, family_of
from saga_celery.app.reading.pauses import covering
from saga_celery.app.saga_app import SagaApp
from saga_celery.core.plan import Plan
from saga_celery.core.states import Message, Slot
from saga_celery.engine.admission import Standing
from saga_celery.engine.ports import Awaited, Pause
from saga_celery.store.views import HistoryEntry, Snapshot, Suspension


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Everything that is known of a saga at one moment, as it may be shown."""

    found: Snapshot
    plan: Plan
    history: Sequence[HistoryEntry]
    now: datetime
    pauses: Sequence[Pause] = ()
    """All that there are."""
    suspension: Suspension | None = None
    standing: Standing | None = None
    """What it waits for before it begins."""
    family: Family = field(default_factory=Family)
    queues: Mapping[Slot, str] = field(default_factory=dict)
    """Where the messages went that no worker has begun with."""

    def holding(self) -> list[Pause]:
        """Those that keep back what this saga waits for."""
        return covering(self.pauses, self.found.saga.name, self._awaited_tasks())

    def _awaited_tasks(self) -> Iterator[str]:
        if self.found.awaited:
            yield ""  # before its first message as well, it is held by its name
        for wait in self.found.awaited:
            step = self.found.state.step(wait.slot.step, wait.slot.item)
            message = step.activity(wait.slot.direction).message if step else None
            if message is not None:
                yield message.task


def unbegun(found: Snapshot) -> Iterator[tuple[Slot, Message]]:
    """The messages that were sent, and that no worker has begun with."""
    for wait in found.awaited:
        step = found.state.step(wait.slot.step, wait.slot.item)
        message = step.activity(wait.slot.direction).message if step else None
        if wait.awaited is Awaited.START and message is not None:
            yield wait.slot, message


def case_of(sagas: SagaApp, saga_id: str, *, whole: bool = False) -> Case:
    """Look up everything of a saga; what is redacted is hidden.

    Args:
        sagas: where it is.
        saga_id: its id.
        whole: values that are kept apart are read, too.

    Raises:
        SagaNotFound: there is none.
    """
    queries, display = sagas.store.queries, sagas.display(whole=whole)
    found = queries.snapshot(saga_id)
    return Case(
        found=replace(found, state=display.shown(saga_id, found.state)),
        plan=sagas.store.plan(found.state.plan_hash),
        history=[display.shown(saga_id, entry) for entry in queries.history(saga_id)],
        now=queries.now(),
        pauses=sagas.store.pauses.all(),
        suspension=queries.suspensions([found.saga]).get(saga_id),
        standing=sagas.store.queues.standings([saga_id]).get(saga_id),
        family=family_of(sagas.store, found.state),
        queues={slot: sagas.transport.queue_of(message) for slot, message in unbegun(found)},
    )
