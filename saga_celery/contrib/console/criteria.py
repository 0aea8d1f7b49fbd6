"""What a browser asks for, as the store is asked for it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import TypedDict

from saga_celery.app import SagaApp
from saga_celery.contrib.console.parameters import Moment, Wanted
from saga_celery.core.states import SagaStatus
from saga_celery.errors import InputRejected


class Criteria(TypedDict):
    """Arguments of `Queries.find` and `Queries.tally`."""

    name: str | None
    status: SagaStatus | None
    tags: Mapping[str, str]
    since: datetime | None
    until: datetime | None
    stuck: bool
    suspended: bool
    ids: Collection[str] | None


def criteria(app: SagaApp, asked: Wanted) -> Criteria:
    """Look up what is searched for, and what time a length of time means.

    Raises:
        InputRejected: a length of time reaches further back than time does.
    """
    queries = app.store.queries
    lengths = any(isinstance(each, timedelta) for each in (asked.since, asked.until))
    now = queries.now() if lengths else None
    return Criteria(
        name=asked.name,
        status=asked.status,
        tags=asked.tags,
        since=_moment(asked.since, now),
        until=_moment(asked.until, now),
        stuck=asked.stuck,
        suspended=asked.suspended,
        ids=None if asked.search is None else _meant_by(app, asked.search, asked.name),
    )


def _meant_by(app: SagaApp, text: str, name: str | None) -> list[str]:
    names = app.store.tallies.names() if name is None else [name]
    return app.store.queries.meant_by(text, names)


def _moment(given: Moment | None, now: datetime | None) -> datetime | None:
    """By the database's clock, which wrote the times of the sagas."""
    if not isinstance(given, timedelta) or now is None:
        return given if isinstance(given, datetime) else None
    try:
        return now - given
    except OverflowError:
        raise InputRejected(f"{given.days} days ago there was no time; write a shorter length") from None
