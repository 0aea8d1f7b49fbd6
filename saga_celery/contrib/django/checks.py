"""What `manage.py check` finds: settings with which the promise would not hold, each with what mends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections
from sqlalchemy.engine import make_url

from saga_celery.app import SagaApp
from saga_celery.app.framework import FrameworkDatabase
from saga_celery.contrib.django.executor import CursorExecutor, translated, waits_for_its_turn
from saga_celery.errors import NotConfigured, StoreError
from saga_celery.store.version import check_through

ROUTER = "saga_celery.contrib.django.routers.SagaRouter"
PAGE = "see docs/django.md"

Check = Callable[..., Iterator[CheckMessage]]


def register_checks() -> None:
    """Tell Django of them."""
    register(_listed(check_configuration), Tags.compatibility)
    register(_listed(check_database), Tags.compatibility)
    register(_listed(check_tables), Tags.database)


def _listed(check: Check) -> Callable[..., list[CheckMessage]]:
    @wraps(check)
    def listed(app_configs: Sequence[Any] | None, **options: Any) -> list[CheckMessage]:
        return list(check(**options))

    return listed


# ------------------------------------------------------------------------------------------------------- configuration


def check_configuration(**_: Any) -> Iterator[CheckMessage]:
    """Is there an app, and does it understand its settings?"""
    sagas = _sagas()
    if sagas is None:
        yield Error(
            "there is no SagaApp in this process, so no saga can be started",
            hint="add `SagaApp(app)` below the line that makes the Celery app, and import that app in the "
            "__init__.py of the project, as Celery's documentation has it",
            id="saga_celery.E001",
        )
        return
    try:
        found = sagas.settings
    except NotConfigured as problem:
        yield Error(str(problem), hint="mend the CELERY_SAGA_… setting of this name", id="saga_celery.E002")
        return
    if found.database_url:
        yield Warning(
            "CELERY_SAGA_DATABASE_URL is set, so starts do not join transaction.atomic()",
            hint=f"leave it out, and name one of DATABASES with CELERY_SAGA_DATABASE_ALIAS; {PAGE}",
            id="saga_celery.W002",
        )


# ------------------------------------------------------------------------------------------------------------ database


def check_database(**_: Any) -> Iterator[CheckMessage]:
    """Is the alias one that sagas can be kept in?"""
    alias = _alias()
    if alias is None:
        return
    if alias not in connections.settings:
        yield Error(
            f"CELERY_SAGA_DATABASE_ALIAS is {alias!r}, and DATABASES has no such alias",
            hint=f"one of: {', '.join(sorted(connections.settings))}",
            id="saga_celery.E003",
        )
        return
    yield from _engine(alias)
    yield from _times(alias)
    yield from _routers(alias)


def _engine(alias: str) -> Iterator[CheckMessage]:
    """Whether the workers can go there, and SQLite waits for its turn."""
    connection = connections[alias]
    try:
        url = _database().url
        make_url(url).get_dialect().import_dbapi()
    except NotConfigured as problem:
        yield Error(str(problem), hint=PAGE, id="saga_celery.E004")
    except (ImportError, ImproperlyConfigured) as problem:
        yield Error(
            f"workers and command line lack the driver for {alias!r}: {problem}",
            hint='pip install "saga-celery[postgres]" (psycopg 3), or "saga-celery[mysql]"',
            id="saga_celery.E005",
        )
    if connection.vendor == "sqlite" and not waits_for_its_turn(connection):
        yield Error(
            f"DATABASES[{alias!r}] begins its transactions deferred: a view that reads before it starts a saga would "
            'fail with "database is locked" whenever somebody else has written in between',
            hint=f'DATABASES[{alias!r}]["OPTIONS"] = {{"transaction_mode": "IMMEDIATE"}}',
            id="saga_celery.E006",
        )


def _times(alias: str) -> Iterator[CheckMessage]:
    zone = connections.settings[alias]["TIME_ZONE"]
    if connections[alias].vendor in ("sqlite", "mysql") and zone not in (None, "UTC"):
        yield Warning(
            f'DATABASES[{alias!r}]["TIME_ZONE"] is {zone!r}, but the times of sagas are stored in UTC there: '
            "the models would show wrong ones",
            hint=f'leave TIME_ZONE out of DATABASES[{alias!r}], or set it to "UTC"',
            id="saga_celery.W003",
        )


def _routers(alias: str) -> Iterator[CheckMessage]:
    if alias != DEFAULT_DB_ALIAS and ROUTER not in settings.DATABASE_ROUTERS:
        yield Warning(
            f"the sagas are in {alias!r}, but Django looks for their models in {DEFAULT_DB_ALIAS!r}",
            hint=f'DATABASE_ROUTERS = ["{ROUTER}"], or a router of your own that does the same',
            id="saga_celery.W004",
        )


# -------------------------------------------------------------------------------------------------------------- tables


def check_tables(databases: Sequence[str] | None = None, **_: Any) -> Iterator[CheckMessage]:
    """Do the tables fit this release? Asked where Django is to look into databases, as before `migrate`."""
    alias = _alias()
    if alias is None or alias not in (databases or ()) or alias not in connections.settings:
        return
    connection = connections[alias]
    try:
        with translated(connection):
            if connection.introspection.table_names():  # an empty one is about to be migrated
                check_through(CursorExecutor(connection))
    except StoreError as problem:
        yield Warning(
            str(problem).partition("; run:")[0],
            hint=f"{_database().migrate}; workers do not start before",
            id="saga_celery.W001",
        )


def _sagas() -> SagaApp | None:
    try:
        return SagaApp.current()
    except NotConfigured:
        return None


def _alias() -> str | None:
    """The alias that holds the sagas; None: none does, or the check of the configuration has said why it is unknown."""
    sagas = _sagas()
    try:
        return sagas.settings.database_alias if sagas is not None and not sagas.settings.database_url else None
    except NotConfigured:
        return None


def _database() -> FrameworkDatabase:
    database = SagaApp.current().framework_database
    assert database is not None  # noqa: S101 - asked for only where an alias holds the sagas
    return database
