"""Lists of sagas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from saga_celery.app import SagaApp
from saga_celery.app.reading.pauses import record as pause_record
from saga_celery.app.reading.plain import plain
from saga_celery.app.reading.row_record import row_record
from saga_celery.contrib.console.parameters import Wanted, wanted
from saga_celery.contrib.console.trouble import troubles
from saga_celery.core.states import SagaStatus
from saga_celery.errors import SagaNotFound
from saga_celery.store.views import SagaRow

MOST_STUCK = 20
"""Stuck sagas that stand above the list."""


def sagas(app: SagaApp, parameters: Mapping[str, str]) -> dict[str, Any]:
    """Sagas, the newest first; above the first page those that are stuck, each with why and what can be done.

    Args:
        app: where they are.
        parameters: `name`, `state`, `tag` (name=value), `search` (an id or a key), `stuck`, `suspended` (1), `limit`,
            and `after`, the `next` of the page before.

    Returns:
        `sagas`, `stuck`, `pauses`, and `next`: null on the last page.

    Raises:
        InputRejected: a parameter is unknown, or has a value that can not be.
        SagaNotFound: the saga of `after` is gone.
    """
    app.check_schema()
    asked = wanted(parameters)
    rows = _found(app, asked, limit=asked.limit + 1)
    page, more = rows[: asked.limit], len(rows) > asked.limit
    first = asked.after is None and asked.search is None and not asked.stuck
    stuck = _found(app, asked, limit=MOST_STUCK, stuck=True) if first else page if asked.stuck else []
    found: dict[str, Any] = plain(
        {
            "sagas": _records(app, page),
            "stuck": _with_troubles(app, stuck),
            "pauses": [pause_record(each) for each in app.store.pauses.all()],
            "next": page[-1].id if more else None,
            "now": app.store.queries.now(),
        }
    )
    return found


def counts(app: SagaApp) -> dict[str, Any]:
    """How many sagas there are, by name and state. It counts all of them, so a page asks for it now and then only."""
    app.check_schema()
    found = [
        {"name": each.name, "state": each.status.value, "count": each.count} for each in app.store.queries.counts()
    ]
    return {"counts": found}


def _found(app: SagaApp, asked: Wanted, *, limit: int, stuck: bool = False) -> list[SagaRow]:
    queries = app.store.queries
    if asked.search is not None and (row := _by_id(app, asked.search)) is not None:
        return [row]
    return queries.find(
        name=asked.name,
        status=asked.status,
        key=asked.search,
        tags=asked.tags,
        stuck=stuck or asked.stuck,
        suspended=asked.suspended,
        limit=limit,
        after=None if asked.after is None else queries.row(asked.after),
    )


def _by_id(app: SagaApp, saga_id: str) -> SagaRow | None:
    try:
        return app.store.queries.row(saga_id)
    except SagaNotFound:
        return None


def _records(app: SagaApp, rows: Sequence[SagaRow]) -> list[dict[str, Any]]:
    suspensions = app.store.queries.suspensions(rows)
    standings = app.store.queues.standings([row.id for row in rows if row.status is SagaStatus.PENDING])
    return [row_record(row, suspensions.get(row.id), standings.get(row.id)) for row in rows]


def _with_troubles(app: SagaApp, rows: Sequence[SagaRow]) -> list[dict[str, Any]]:
    why = troubles(app, rows)
    return [{**record, "troubles": why[record["id"]]} for record in _records(app, rows)]
