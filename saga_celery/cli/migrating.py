"""`saga migrate`: create the tables, or bring them to this release's form.

What makes them is imported where it is used: Alembic takes longer to import than most commands take to run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click
import sqlalchemy as sa

from saga_celery.app.chance import draw
from saga_celery.cli import target
from saga_celery.cli.options import database
from saga_celery.cli.screen import Screen
from saga_celery.errors import Refused
from saga_celery.store.connections import Connections
from saga_celery.store.version import check as check_tables
from saga_celery.store.version import head, pending

BARRIER_URL = "SAGA_BARRIER_DATABASE_URL"


@click.command()
@click.option("--sql", "as_sql", is_flag=True, help="Print the statements that create the tables; change nothing.")
@click.option("--check", is_flag=True, help="Change nothing; exit with 3 when the tables do not fit this release.")
@click.option("--barrier", is_flag=True, help="Only the barrier's table, in a service's own database.")
@click.option(
    "--database",
    metavar="URL",
    type=database,
    envvar=BARRIER_URL,
    help=f"With --barrier: SQLAlchemy URL of that database. Also from ${BARRIER_URL}, which hides its password.",
)
@click.pass_context
def migrate(ctx: click.Context, as_sql: bool, check: bool, barrier: bool, database: sa.URL | None) -> None:
    """Create the tables of the saga database, or bring them to this release's form. May be run at any time."""
    if as_sql and check:
        raise click.UsageError("--sql and --check exclude each other")
    if barrier:
        _barrier(target.screen(ctx), _given(database), as_sql=as_sql, check=check)
    elif _typed(ctx, "database"):
        raise click.UsageError("--database goes with --barrier; that of the sagas is the setting saga_database_url")
    else:
        _sagas(ctx, as_sql=as_sql, check=check)


def _given(database: sa.URL | None) -> sa.URL:
    if database is None:
        raise click.UsageError(f"--barrier needs the service's own database: add --database URL, or set {BARRIER_URL}")
    return database


def _typed(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE


def _sagas(ctx: click.Context, *, as_sql: bool, check: bool) -> None:
    sagas, screen = target.sagas(ctx), target.screen(ctx)
    connections = sagas.store.connections
    if sagas.migrate_command and not check:
        raise Refused(f"here the tables are made by the framework's own migrations; run: {sagas.migrate_command}")
    if as_sql:
        from saga_celery.store.migrate import sql

        click.echo(sql(connections.dialect))
    elif check:
        check_tables(connections)
        screen.say(f"the tables are at version {head()}, as this release needs them")
    elif pending(connections):
        from saga_celery.store.migrate import migrate as migrate_tables

        migrate_tables(connections)
        screen.say(f"the tables are at version {head()} now")
    else:
        screen.say(f"the tables are at version {head()} already")


def _barrier(screen: Screen, url: sa.URL, *, as_sql: bool, check: bool) -> None:
    from saga_celery.store.barrier.migration import barrier_sql, check_barrier, migrate_barrier

    if as_sql:
        click.echo(barrier_sql(url.get_dialect()()), nl=False)
        return
    with _connected(url) as connections:
        if check:
            check_barrier(connections)
            screen.say("the barrier's table is as this release needs it")
        elif migrate_barrier(connections):
            screen.say("the barrier's table is as this release needs it now")
        else:
            screen.say("the barrier's table is as this release needs it already")


@contextmanager
def _connected(url: sa.URL) -> Iterator[Connections]:
    connections = Connections(url, chance=draw)
    try:
        yield connections
    finally:
        connections.dispose()
