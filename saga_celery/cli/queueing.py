"""`saga locks`: who holds what, and who waits for it."""

from __future__ import annotations

from datetime import datetime

import click

from saga_celery.app.reading.durations import spoken
from saga_celery.app.reading.excerpt import excerpt
from saga_celery.cli import styles, target
from saga_celery.cli.table import Cell, Table
from saga_celery.store.queues import Holder, LimitQueue, LockQueue

MOST_NAMED = 3
"""Waiters of one lock that are named in the table."""


@click.command("locks")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_context
def list_locks(ctx: click.Context, as_json: bool) -> None:
    """List locks and limits: which sagas hold them, and which wait."""
    sagas, screen = target.sagas(ctx), target.screen(ctx, json=as_json)
    sagas.check_schema()
    locks, limits, now = sagas.store.queues.locks(), sagas.store.queues.limits(), sagas.store.queries.now()
    if as_json:
        for lock in locks:
            screen.record(_lock_record(lock))
        for limit in limits:
            screen.record(_limit_record(limit))
        return
    if locks:
        screen.show([_lock_table(locks, now)])
    if limits:
        screen.show([_limit_table(limits)])
    screen.note(f"{_counted(len(locks), 'lock')}, {_counted(len(limits), 'limit')} in use")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


# --------------------------------------------------------------------------------------------------------------- locks


def _lock_table(locks: list[LockQueue], now: datetime) -> Table:
    return Table(
        columns=("lock", "held by", "name", "state", "for", "waiting"),
        whole=("held by",),
        rows=tuple(row for lock in locks for row in _lock_rows(lock, now)),
    )


def _lock_rows(lock: LockQueue, now: datetime) -> list[tuple[Cell, ...]]:
    name, waiting = excerpt(lock.lock, 40), _named(lock.waiters)
    if not lock.holders:
        return [(name, "nobody yet", "", "", "", waiting)]
    first, *others = [_held(holder, now) for holder in lock.holders]
    return [(name, *first, waiting), *(("", *other, "shares it") for other in others)]


def _held(holder: Holder, now: datetime) -> tuple[Cell, ...]:
    since = spoken((now - holder.since).total_seconds())
    return (holder.saga_id, holder.name, styles.saga_state(holder.status), since)


def _named(waiters: tuple[str, ...]) -> str:
    named = ", ".join(waiters[:MOST_NAMED])
    return f"{named} and {len(waiters) - MOST_NAMED} more" if len(waiters) > MOST_NAMED else named


def _lock_record(lock: LockQueue) -> dict[str, object]:
    holders = [
        {"id": each.saga_id, "name": each.name, "state": each.status, "since": each.since} for each in lock.holders
    ]
    return {"lock": lock.lock, "holders": holders, "waiters": lock.waiters}


# -------------------------------------------------------------------------------------------------------------- limits


def _limit_table(limits: list[LimitQueue]) -> Table:
    return Table(
        columns=("name", "under way", "limit", "waiting"),
        rows=tuple((each.name, str(each.running), str(each.limit), str(each.waiting)) for each in limits),
    )


def _limit_record(limit: LimitQueue) -> dict[str, object]:
    return {"name": limit.name, "running": limit.running, "limit": limit.limit, "waiting": limit.waiting}
