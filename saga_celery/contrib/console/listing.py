"""Lists of sagas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from saga_celery.app import SagaApp
from saga_celery.app.reading.pauses import record as pause_record
from saga_celery.app.reading.plain import plain
from saga_celery.app.reading.row_record import row_record
from saga_celery.contrib.console.criteria import Criteria, criteria
from saga_celery.contrib.console.parameters import wanted
from saga_celery.contrib.console.trouble import first_troubles, troubles
from saga_celery.core.states import SagaStatus
from saga_celery.errors import InputRejected
from saga_celery.store.views import SagaRow

MOST_STUCK = 20
"""Stuck sagas that are told of with all that holds them up and what can be done: each has to be read as a whole."""
MOST_NAMES = 200
"""Names to choose from."""


def sagas(app: SagaApp, parameters: Mapping[str, str]) -> dict[str, Any]:
    """Sagas, the newest first; above the first page up to 20 that are stuck, each with why and what can be done.

    Args:
        app: where they are.
        parameters: `name`, `state`, `tag` (name=value, of several name=value,name=value), `search` (an id or the
            beginning of one, or a key), `stuck`, `suspended` (1), `since` and `until` (ISO 8601 with a zone, or a
            length of time such as `2h`), `limit`, and `after`, the `next` of the page before.

    Returns:
        `sagas`, each with its `tags`, and `why` it is stuck, or null; `stuck`, `pauses`; `search`: `exact` where a key
        was looked for, which is found as a whole only; and `next`: null on the last page. Where a tag is very common, a
        page may be short, or empty, and not be the last one: it went back to `looked_back_to`.

    Raises:
        InputRejected: a parameter is unknown, or has a value that can not be.
        SagaNotFound: the saga of `after` is gone.
    """
    app.check_schema()
    asked, queries = wanted(parameters), app.store.queries
    sought = criteria(app, asked)
    last = None if asked.after is None else queries.row(asked.after)
    page = queries.page(asked.limit, after=last, **sought)
    first = asked.after is None and asked.search is None and not asked.stuck
    found: dict[str, Any] = plain(
        {
            "sagas": _listed(app, page.sagas),
            "stuck": _with_troubles(
                app, _stuck(app, sought) if first else page.sagas[:MOST_STUCK] if asked.stuck else []
            ),
            "pauses": [pause_record(each) for each in app.store.pauses.all()],
            "search": None if asked.search is None else "exact",
            "next": page.end and page.end.id,
            "looked_back_to": page.end and page.end.created_at,
            "now": queries.now(),
        }
    )
    return found


def counts(app: SagaApp, parameters: Mapping[str, str]) -> dict[str, Any]:
    """How many sagas there are by state, and what they are called.

    Those that are open are counted one by one. Of those that have ended there may be millions: they are counted up to a
    bound, and `more` says that there are more.

    Args:
        app: where they are.
        parameters: `name`, of which alone to count.

    Returns:
        `counts`: of each state that some saga is in `state`, `count`, `more`; `names`: at most 200.

    Raises:
        InputRejected: another parameter is given.
    """
    app.check_schema()
    if unknown := [name for name in parameters if name != "name"]:
        raise InputRejected(f"there is no parameter {unknown[0]!r} of counts; known is: name")
    tallies = app.store.tallies
    by_state = tallies.by_state(name=parameters.get("name") or None)
    return {
        "counts": [
            {"state": status.value, "count": each.count, "more": each.more} for status, each in by_state.items()
        ],
        "names": tallies.names(MOST_NAMES),
    }


def _stuck(app: SagaApp, sought: Criteria) -> Sequence[SagaRow]:
    stuck: Criteria = {**sought, "stuck": True}
    return app.store.queries.page(MOST_STUCK, **stuck).sagas


def _listed(app: SagaApp, rows: Sequence[SagaRow]) -> list[dict[str, Any]]:
    tags, why = app.store.queries.tags([row.id for row in rows]), first_troubles(app, rows)
    return [
        {**record, "tags": tags.get(row.id, {}), "why": why.get(row.id)}
        for row, record in zip(rows, _records(app, rows), strict=True)
    ]


def _records(app: SagaApp, rows: Sequence[SagaRow]) -> list[dict[str, Any]]:
    suspensions = app.store.queries.suspensions(rows)
    standings = app.store.queues.standings([row.id for row in rows if row.status is SagaStatus.PENDING])
    return [row_record(row, suspensions.get(row.id), standings.get(row.id)) for row in rows]


def _with_troubles(app: SagaApp, rows: Sequence[SagaRow]) -> list[dict[str, Any]]:
    why = troubles(app, rows)
    return [{**record, "troubles": why[record["id"]]} for record in _records(app, rows)]
