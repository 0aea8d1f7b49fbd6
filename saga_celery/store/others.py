"""What a transition writes beside its own saga: news it took, news for other sagas, and children. Most write none."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from saga_celery.engine.admission import Terms
from saga_celery.engine.coordinator import NUDGE_GRACE
from saga_celery.engine.ports import Change, NewChild
from saga_celery.store.clock import Clock
from saga_celery.store.executors import ConnectionExecutor
from saga_celery.store.inbox import leave, take
from saga_celery.store.starts import NewSaga, insert


def touches_others(change: Change) -> bool:
    """Tell whether there is anything to write."""
    return bool(change.taken or change.posts or change.children)


def write_others(connection: Connection, change: Change, clock: Clock) -> None:
    """Write it, in the transaction that stores the transition."""
    executor = ConnectionExecutor(connection)
    if change.taken:
        take(executor, change.before.id, change.taken)
    if change.posts:
        leave(executor, change.posts, clock, NUDGE_GRACE)
    if change.children:
        new = [_new_saga(child) for child in change.children]
        insert(executor, new, clock=clock, nudge_after=NUDGE_GRACE, plans=[child.plan for child in change.children])


def _new_saga(child: NewChild) -> NewSaga:
    return NewSaga(
        id=child.id,
        name=child.name,
        plan=child.plan,
        input=child.input,
        timeout=child.timeout,
        headers=child.headers,
        parent=child.parent,
        priority=child.priority,
        terms=Terms(max_running=child.max_running),
        shares_lock_of=child.parent.id if child.shares_lock else None,
    )
