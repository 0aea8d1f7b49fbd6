"""The SQL of the barrier's rows. All of it runs in the transaction that the effect runs in."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from saga_celery.core.states import Failure, Slot
from saga_celery.errors import StoredFailure
from saga_celery.store.barrier.connection import BarrierConnection
from saga_celery.store.barrier.passage import Passage
from saga_celery.store.barrier.table import PURGED, SlotState, saga_barrier
from saga_celery.store.clock import db_now
from saga_celery.store.upsert import insert_if_absent

_row = saga_barrier.c


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenSlot:
    """A slot that somebody was faster to take."""

    state: SlotState
    barred_attempts: int | None
    result: str | None
    failure: str | None
    not_after: datetime | None

    def answer(self) -> Any:
        """The result as the first run stored it."""
        return None if self.result is None else json.loads(self.result)

    def stored_failure(self) -> StoredFailure:
        """The failure that the first run ended with."""
        kept = json.loads(self.failure or "{}")
        return StoredFailure(kept.get("type", ""), kept.get("message", ""), tuple(kept.get("types", ())))

    def keeps_out(self, attempt: int | None) -> bool:
        """Tell whether a bar holds against an attempt of the action."""
        return self.barred_attempts is None or (attempt is not None and attempt <= self.barred_attempts)


class Slots:
    """The rows of one saga's step, seen by one delivery.

    Args:
        connection: in a transaction.
        passage: the delivery.
    """

    def __init__(self, connection: BarrierConnection, passage: Passage) -> None:
        self._connection = connection
        self._passage = passage

    def take(self, slot: Slot, state: SlotState, *, barred_attempts: int | None = None) -> bool:
        """Take a slot, unless it is taken; waits for the end of another transaction that is about to.

        On PostgreSQL above READ COMMITTED, and on MariaDB where three meet, the wait may end with an error that
        `BarrierConnection.given_up` knows.
        """
        values = {
            **self._address(slot),
            "state": state.value,
            "barred_attempts": barred_attempts,
            "created_at": db_now(),
            "not_after": self._passage.not_after,
        }
        return self._connection.change(self._insert_or_ignore().values(**values)) == 1

    def read(self, slot: Slot) -> TakenSlot | None:
        """Read a slot that is taken; None when it is so no longer."""
        query = sa.select(_row.state, _row.barred_attempts, _row.result, _row.failure, _row.not_after).where(
            *self._at(slot)
        )
        if self._connection.dialect in ("mysql", "mariadb"):
            query = query.with_for_update(read=True)  # a plain read might be shown an older snapshot
        found = self._connection.first(query)
        return None if found is None else _taken(found)

    def store_result(self, slot: Slot, result: Any) -> bool:
        """Keep the result of the run that took the slot; False when its transaction is gone."""
        return self._settle(slot, state=SlotState.DONE.value, result=json.dumps(result, allow_nan=False))

    def store_failure(self, slot: Slot, failure: Failure) -> bool:
        """Keep the failure of the run that took the slot; False when its transaction is gone."""
        return self._settle(slot, state=SlotState.FAILED.value, failure=_kept(failure))

    def end_attempt(self, slot: Slot, attempt: int, failure: Failure) -> bool:
        """Let a bar keep out an attempt that failed, and those before it; False when no such bar is there."""
        open_to = [_row.state == SlotState.BARRED.value, _row.barred_attempts <= attempt]
        ended = sa.update(saga_barrier).where(*self._at(slot), *open_to)
        return self._connection.change(ended.values(barred_attempts=attempt, failure=_kept(failure))) == 1

    def reopen(self, slot: Slot, attempt: int) -> bool:
        """Take a slot that is barred for earlier attempts only."""
        open_to = [_row.state == SlotState.BARRED.value, _row.barred_attempts < attempt]
        opened = sa.update(saga_barrier).where(*self._at(slot), *open_to)
        free = {"state": SlotState.OPEN.value, "barred_attempts": None, "failure": None}
        return self._connection.change(opened.values(**free)) == 1

    def bar_further(self, slot: Slot, attempts: int | None) -> None:
        """Let a bar keep out later attempts, too; None: all of them."""
        barred = sa.update(saga_barrier).where(*self._at(slot), _row.state == SlotState.BARRED.value)
        self._connection.change(barred.values(barred_attempts=attempts, failure=None))

    def keep_longer(self, slot: Slot, taken: TakenSlot) -> None:
        """Note that this message may have copies for longer than the one that took the slot."""
        later = self._passage.not_after
        if later is not None and taken.not_after is not None and taken.not_after < later:
            self._connection.change(sa.update(saga_barrier).where(*self._at(slot)).values(not_after=later))

    def is_late(self) -> bool:
        """Tell whether the message is out of date by the participant's database."""
        limit = self._passage.not_after
        if limit is None:
            return False
        # The bound value goes through a column's type, so that SQLite compares text of one form.
        found = self._connection.first(sa.select(db_now() > sa.bindparam("not_after", limit, _row.not_after.type)))
        return found is not None and bool(found[0])

    def may_be_purged(self) -> bool:
        """Tell whether a row of this saga that is not there may have been purged."""
        address = [_row[name] == value for name, value in PURGED.items()]
        found = self._connection.first(sa.select(_row.created_at).where(*address))
        if found is None:
            return False
        started = _time_of(self._passage.saga_id)
        return started is None or started <= found[0]

    def _insert_or_ignore(self) -> Any:
        match self._connection.dialect:
            case "postgresql" | "sqlite" as dialect:
                return insert_if_absent(dialect, saga_barrier)
            case _:
                return sa.insert(saga_barrier).prefix_with("IGNORE")

    def _settle(self, slot: Slot, **values: str) -> bool:
        opened = sa.update(saga_barrier).where(*self._at(slot), _row.state == SlotState.OPEN.value)
        return self._connection.change(opened.values(**values)) == 1

    def _address(self, slot: Slot) -> dict[str, Any]:
        return {
            "saga_id": self._passage.saga_id,
            "step": slot.step,
            "item": slot.item,
            "generation": slot.generation,
            "direction": slot.direction.value,
        }

    def _at(self, slot: Slot) -> list[ColumnElement[bool]]:
        return [_row[name] == value for name, value in self._address(slot).items()]


def _kept(failure: Failure) -> str:
    return json.dumps({"type": failure.type, "message": failure.message, "types": failure.types})


def _taken(found: Sequence[Any]) -> TakenSlot:
    state, barred_attempts, result, failure, not_after = found
    return TakenSlot(
        state=SlotState(state), barred_attempts=barred_attempts, result=result, failure=failure, not_after=not_after
    )


def _time_of(saga_id: str) -> datetime | None:
    """When a saga was started, if its id tells: a UUID version 7."""
    try:
        known = uuid.UUID(saga_id)
    except ValueError:
        return None
    return datetime.fromtimestamp((known.int >> 80) / 1000, UTC) if known.version == 7 else None
