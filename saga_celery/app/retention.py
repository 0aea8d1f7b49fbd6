"""What has been kept long enough leaves: as settings and classes say, or as somebody asks for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from saga_celery.core.states import SagaStatus
from saga_celery.definition import registry
from saga_celery.definition.undo_windows import undo_window
from saga_celery.engine.log_fields import about
from saga_celery.errors import UnknownSaga
from saga_celery.store.retention import Old, Place, Portion
from saga_celery.store.rows import DONE

if TYPE_CHECKING:
    from saga_celery.app.saga_app import SagaApp

logger = logging.getLogger("saga_celery")

BATCH = 200
"""Families of sagas that leave in one transaction."""
FOR_EVER = 100 * 365 * 86_400.0
"""Seconds; what is to be kept for longer is never looked for."""

Step = Callable[[Old, int, Place | None], Portion]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Which sagas leave, and where to."""

    name: str
    """Of the saga at the top of a family."""
    older: Mapping[SagaStatus, float]
    """Of those that ended so, the ones that ended more seconds ago than this."""
    younger: float | None = None
    """Only those that ended less than so many seconds ago; the others are deleted."""
    archives: bool = False
    """They go into the archive; else they are deleted, also from there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What became of some sagas of a name."""

    name: str
    archived: bool
    """They went into the archive; else they were deleted."""
    sagas: int
    kept: int
    """Families that are old enough, and stay: see docs/retention.md."""


def is_configured(app: SagaApp) -> bool:
    """Tell whether anything ever leaves by itself."""
    settings = app.settings
    if settings.retention is not None or settings.archive_after is not None:
        return True
    return any(saga.definition().retention is not None for saga in registry.registered().values())


def as_configured(app: SagaApp) -> Iterator[Order]:
    """What leaves by itself. Sagas whose class is not known here are left to those who know how long to keep them."""
    archive_after = _seconds(app.settings.archive_after)
    for name in _names(app):
        if not _is_known(app, name):
            continue
        retention = _retention(app, name)
        if retention < FOR_EVER:
            yield Order(name=name, older=_within_undo_windows(name, retention, DONE))
        if archive_after < retention:
            older = _within_undo_windows(name, archive_after, DONE)
            yield Order(name=name, older=older, younger=retention, archives=True)


def as_asked(
    app: SagaApp, older: timedelta, *, name: str | None, states: Collection[SagaStatus], archives: bool
) -> Iterator[Order]:
    """What somebody wants to leave, whatever settings and classes say.

    Args:
        app: where they are.
        older: they ended longer ago.
        name: of this name only.
        states: those that ended so; empty: in either way.
        archives: they go into the archive; else they are deleted.
    """
    for each in [name] if name is not None else _names(app):
        yield Order(
            name=each, older=_within_undo_windows(each, older.total_seconds(), states or DONE), archives=archives
        )


def carry_out(
    app: SagaApp, orders: Iterable[Order], *, batch: int = BATCH, limit: int | None = None, dry_run: bool = False
) -> Iterator[Left]:
    """Have sagas leave, in one short transaction at each step of the iterator.

    Args:
        app: where they are.
        orders: which.
        batch: families in one transaction, at most.
        limit: sagas in all, where no family is larger; None: all of them.
        dry_run: only tell what would leave.

    Raises:
        StoreError: the database failed; what has left before is gone.
    """
    room = _Room(left=limit)
    for order in orders:
        for step in _steps(app, order, dry_run):
            for portion in _portions(step, _old(app, order), _begin(app, order), batch, room):
                if not (order.archives or dry_run):
                    _forget_payloads(app, portion.ids)
                if portion.ids or portion.kept:
                    yield Left(name=order.name, archived=order.archives, sagas=len(portion.ids), kept=portion.kept)


@dataclass(slots=True)
class _Room:
    """How many sagas may still leave; None: as many as like."""

    left: int | None

    def of(self, batch: int) -> int:
        """How many may leave at once."""
        return batch if self.left is None else min(batch, self.left)

    def take(self, sagas: int) -> None:
        """Note that so many left; a family may be larger than what is left of the room."""
        if self.left is not None:
            self.left = max(self.left - sagas, 0)


def _portions(step: Step, old: Old | None, behind: Place | None, batch: int, room: _Room) -> Iterator[Portion]:
    while old is not None and room.of(batch):
        portion = step(old, room.of(batch), behind)
        room.take(len(portion.ids))
        yield portion
        if portion.behind is None:
            return
        behind = portion.behind


def _steps(app: SagaApp, order: Order, dry_run: bool) -> list[Step]:
    rows = app.store.retention
    if order.archives:
        return [rows.preview if dry_run else rows.archive]
    return [rows.preview, rows.preview_archived] if dry_run else [rows.delete, rows.delete_archived]


def _old(app: SagaApp, order: Order) -> Old | None:
    """By the clock that wrote their ends; None: nothing is so old."""
    now: datetime = app.store.queries.now()
    before = {state: now - timedelta(seconds=age) for state, age in order.older.items() if age < FOR_EVER}
    return Old(name=order.name, before=before) if before else None


def _begin(app: SagaApp, order: Order) -> Place | None:
    """Where a walk begins."""
    if order.younger is None or order.younger >= FOR_EVER:
        return None
    return app.store.queries.now() - timedelta(seconds=order.younger), ""


def _forget_payloads(app: SagaApp, saga_ids: Iterable[str]) -> None:
    """Those in the saga database went with their sagas; another store is told after the commit."""
    if app.payloads.with_transition:
        return
    for saga_id in saga_ids:
        try:
            app.payloads.forget(saga_id)
        except Exception:  # a store of the user's own, which may raise whatever it likes
            logger.exception(
                "saga %s is deleted, but its payloads are left in saga_payload_store", saga_id, extra=about(saga_id)
            )


# --------------------------------------------------------------------------------------------------------------- rules


def _names(app: SagaApp) -> list[str]:
    return sorted({*app.store.tallies.names(), *app.store.retention.names()})


def _is_known(app: SagaApp, name: str) -> bool:
    """Its class is here, or it is a chain, which has none."""
    if registry.is_registered(name):
        return True
    plan_hash = app.store.retention.plan_hash(name)
    return plan_hash is not None and app.has_plan(name, plan_hash)


def _retention(app: SagaApp, name: str) -> float:
    own = registry.find(name).definition().retention if registry.is_registered(name) else None
    return _seconds(app.settings.retention) if own is None else own


def _within_undo_windows(name: str, older: float, states: Collection[SagaStatus]) -> dict[SagaStatus, float]:
    """What may still be undone stays until that is over."""
    try:
        window = undo_window(name) or 0.0
    except UnknownSaga:
        window = 0.0
    return {state: max(older, window) if state is SagaStatus.COMPLETED else older for state in states}


def _seconds(span: float | timedelta | None) -> float:
    if span is None:
        return FOR_EVER
    return span.total_seconds() if isinstance(span, timedelta) else float(span)
