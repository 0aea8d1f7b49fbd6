"""Inboxes: news that are left for a saga in whatever transaction their sender has open, and taken by a transition.

The same transaction makes the saga await a nudge, one for each piece of news, so that none of them lies there unseen.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from enum import Enum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from saga_celery.core.events import POSTED, EventSent, Posted
from saga_celery.core.states import SagaStatus
from saga_celery.engine.payloads import Payload
from saga_celery.engine.ports import Awaited, Due, InboxNews, inbox_slot
from saga_celery.errors import EventConflict, Refused, SagaNotFound
from saga_celery.store.clock import Clock, now
from saga_celery.store.codec import canonical, decoder, dumps, loads, to_json
from saga_celery.store.connections import Connections
from saga_celery.store.executors import Executor, Row
from saga_celery.store.names import check_name
from saga_celery.store.opening import opened
from saga_celery.store.payload_rows import keep_payloads, payload_rows
from saga_celery.store.rows import DONE, awaited_row
from saga_celery.store.schema import saga, saga_archive, saga_awaited, saga_inbox
from saga_celery.store.upsert import insert_if_absent

t = saga_inbox.c


class InboxRows:
    """Reads inboxes.

    Args:
        connections: the database.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def untaken(self, saga_id: str) -> list[InboxNews]:
        """What no transition has taken yet, the oldest first."""
        query = sa.select(t.id, t.body).where(t.saga_id == saga_id, sa.not_(t.taken)).order_by(t.at, t.id)

        def once() -> list[InboxNews]:
            with self._connections.autocommit() as connection:
                rows = connection.execute(query).all()
            return [news_from(saga_id, row.id, row.body) for row in rows]

        return self._connections.reconnected(once)


def deliver(
    executor: Executor,
    news: InboxNews,
    *,
    names: Collection[str],
    clock: Clock,
    nudge_after: float,
    payloads: Sequence[Payload] = (),
) -> SagaStatus:
    """Leave news for a saga that has not ended, within the transaction of whoever sends them.

    Args:
        executor: the transaction.
        news: what to leave; when it is there already, nothing is done.
        names: what the saga may be called.
        clock: whose time counts.
        nudge_after: seconds after which the sweeper looks whether some coordinator took them.
        payloads: what they refer to.

    Returns:
        Where the saga stands.

    Raises:
        SagaNotFound: there is no such saga.
        Refused: it has ended.
        EventConflict: other news have the same id.
        InputRejected: the id can not be stored.
    """
    check_name("event id", news.id)
    name, state = _addressee(executor, news.saga_id)
    if name not in names:
        raise SagaNotFound(f"saga {news.saga_id} is a {name}, no {' or '.join(names)}")
    if state not in DONE:
        leave(executor, [news], clock, nudge_after)
        if payloads:
            executor.write(keep_payloads(executor.dialect), payload_rows(payloads))
    elif _found(executor, news) is None:
        raise Refused(f"saga {news.saga_id} is {state.value} already; {_what(news.news)} would change nothing")
    return state


def _addressee(executor: Executor, saga_id: str) -> tuple[str, SagaStatus]:
    for table in (saga, saga_archive):
        rows = executor.read(sa.select(table.c.name, table.c.state).where(table.c.id == saga_id))
        if rows:
            break
    else:
        raise SagaNotFound(f"no saga has the id {saga_id!r}, or none that this transaction can see")
    return rows[0][0], SagaStatus(rows[0][1])


def _what(news: Posted) -> str:
    return f"an event for {news.wait}" if isinstance(news, EventSent) else "it"


def leave(executor: Executor, news: Iterable[InboxNews], clock: Clock, nudge_after: float) -> None:
    """Leave news in inboxes, within the transaction of whoever sends them; what is there already stays as it is.

    Args:
        executor: the transaction.
        news: what to leave.
        clock: whose time counts.
        nudge_after: seconds after which the sweeper looks whether some coordinator took them.

    Raises:
        EventConflict: other news have the same id.
    """
    every = list(news)
    # Inserted before they are looked for: a rival with the same id is waited for here, and told apart below. In this
    # order MariaDB locks nothing but the row itself.
    insert = insert_if_absent(executor.dialect, saga_inbox).values(at=now(clock))
    executor.write(insert, [_row(each) for each in every])
    untaken = [each for each in every if _found(executor, each) is _State.UNTAKEN]
    if untaken:
        awaited = insert_if_absent(executor.dialect, saga_awaited).values(**opened(clock))
        executor.write(awaited, [_awaited(each, nudge_after) for each in untaken])


def take(executor: Executor, saga_id: str, ids: Iterable[str]) -> None:
    """Note that a transition rests on news."""
    found = [t.saga_id == saga_id, t.id == sa.bindparam("taken_id")]
    executor.write(sa.update(saga_inbox).where(*found).values(taken=True), [{"taken_id": each} for each in ids])


def nudged_in_vain(saga_id: str) -> ColumnElement[bool]:
    """Condition on `saga_awaited`: a nudge of news that are not, or no longer, to be taken."""
    waiting = sa.exists().where(t.saga_id == saga_id, t.id == saga_awaited.c.step, sa.not_(t.taken))
    return sa.and_(saga_awaited.c.item == inbox_slot("").item, ~waiting)


class _State(Enum):
    """How far news in an inbox got."""

    UNTAKEN = False
    TAKEN = True


def _found(executor: Executor, news: InboxNews) -> _State | None:
    """Look for news; None: they are not there."""
    query = sa.select(t.body, t.taken).where(t.saga_id == news.saga_id, t.id == news.id)
    if executor.dialect == "mysql":  # a caller's transaction may be reading the database as it was long ago
        query = query.with_for_update()
    rows = executor.read(query)
    if not rows:
        return None
    if not _same(loads(rows[0][0]), loads(_body(news))):
        raise EventConflict(
            f"saga {news.saga_id} was sent something else under the id {news.id!r} before; one id is for one event"
        )
    return _State(bool(rows[0][1]))


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Tell whether news are the same again; an event is, whoever sends it, and also when its wait was renamed since."""
    if one["news"] != EventSent.__name__ or other["news"] != EventSent.__name__:
        return _decoded(one) == _decoded(other)  # releases differ in what they leave out
    names, others = ({each["wait"], *each.get("formerly", ())} for each in (one, other))
    return not names.isdisjoint(others) and _content(one) == _content(other)


def _content(body: dict[str, Any]) -> str:
    """What tells the contents of events apart: its fingerprint where that is packed."""
    return str(body.get("fingerprint") or canonical(body.get("payload")))


def _row(news: InboxNews) -> Row:
    return {"saga_id": news.saga_id, "id": news.id, "body": _body(news), "taken": False}


def _awaited(news: InboxNews, nudge_after: float) -> Row:
    due = Due(slot=inbox_slot(news.id), awaited=Awaited.NUDGE, seconds=nudge_after)
    return {"saga_id": news.saga_id, **awaited_row(due, 0)}


def _body(post: InboxNews) -> str:
    marked = {"fingerprint": post.fingerprint} if post.fingerprint else {}
    return dumps({"news": type(post.news).__name__, **to_json(post.news), **marked})


def news_from(saga_id: str, news_id: str, body: str) -> InboxNews:
    """News from their row."""
    return InboxNews(saga_id=saga_id, id=news_id, news=_decoded(loads(body)))


def _decoded(body: dict[str, Any]) -> Posted:
    kind: Any = POSTED[body["news"]]
    found: Posted = decoder(kind)(body)
    return found
