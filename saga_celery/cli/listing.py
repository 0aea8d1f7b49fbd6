"""`saga list`: which sagas there are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import click

from saga_celery.app import SagaApp
from saga_celery.app.reading.durations import spoken
from saga_celery.app.reading.excerpt import excerpt
from saga_celery.app.reading.pauses import sentence as pause_sentence
from saga_celery.app.reading.row_record import row_record
from saga_celery.app.reading.standing import sentence as standing_sentence
from saga_celery.cli import options, styles, target
from saga_celery.cli.durations import duration
from saga_celery.cli.exits import Trouble
from saga_celery.cli.table import Cell, Table, doubtful
from saga_celery.core.states import SagaStatus
from saga_celery.definition.registry import registered
from saga_celery.engine.admission import Standing
from saga_celery.store.views import SagaRow, Suspension


@click.command("list")
@click.option("--name", help="Only sagas of this name.")
@click.option("--state", type=options.state, metavar="STATE", help="Only sagas in this state.")
@click.option("--tag", "tags", type=options.tag, multiple=True, metavar="NAME=VALUE", help="Only with this tag.")
@click.option("--key", help="Only sagas that were started with this key.")
@click.option("--since", type=duration, metavar="LENGTH", help="Only those started within this time: 90s, 2h, 3d.")
@click.option("--stuck", is_flag=True, help="Only what waits for a person, or should have moved and did not.")
@click.option("--suspended", is_flag=True, help="Only what is suspended.")
@click.option("--parent", metavar="ID", help="Only the children of this saga.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="How many at most.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_context
def list_sagas(
    ctx: click.Context,
    name: str | None,
    state: SagaStatus | None,
    tags: tuple[tuple[str, str], ...],
    key: str | None,
    since: timedelta | None,
    stuck: bool,
    suspended: bool,
    parent: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List sagas, the newest first."""
    options.refuse_rival_tags(tags)
    sagas, screen = target.sagas(ctx), target.screen(ctx, json=as_json)
    sagas.check_schema()
    now = sagas.store.queries.now()
    rows = sagas.store.queries.find(
        name=name,
        status=state,
        key=key,
        tags=dict(tags),
        since=now - since if since else None,
        stuck=stuck,
        suspended=suspended,
        parent=parent,
        limit=limit + 1,
    )
    if not rows and name:
        refuse_unknown(sagas, name)
    rows, more = rows[:limit], len(rows)
    suspensions = sagas.store.queries.suspensions(rows)
    standings = sagas.store.queues.standings([row.id for row in rows if row.status is SagaStatus.PENDING])
    if as_json:
        for row in rows:
            screen.record(row_record(row, suspensions.get(row.id), standings.get(row.id)))
        return
    if rows:
        screen.show([_table(rows, suspensions, standings, now)])
    for each in sagas.store.pauses.all():
        screen.note(pause_sentence(each, now))
    screen.note(_summary(more, limit))


def _table(
    rows: list[SagaRow], suspensions: Mapping[str, Suspension], standings: Mapping[str, Standing], now: datetime
) -> Table:
    return Table(
        columns=("id", "name", "key", "state", "age", "moved", ""),
        whole=("id",),
        rows=tuple(
            (
                row.id,
                row.name,
                excerpt(row.key or "", 40),
                styles.saga_state(row.status),
                spoken((now - row.created_at).total_seconds()),
                f"{spoken((now - row.updated_at).total_seconds())} ago",
                _flags(row, suspensions.get(row.id), standings.get(row.id), now),
            )
            for row in rows
        ),
    )


def _flags(row: SagaRow, suspension: Suspension | None, standing: Standing | None, now: datetime) -> Cell:
    found = flags(row, suspension)
    found += [standing_sentence(standing, now)] if standing is not None else []
    return doubtful(", ".join(found)) if found else ""


def flags(row: SagaRow, suspension: Suspension | None) -> list[str]:
    """What is to be said of a saga beside its state."""
    by = f" by {excerpt(suspension.actor)}: {excerpt(suspension.reason)}" if suspension else ""
    words = ((f"suspended{by}", row.suspended), ("overdue", row.overdue), ("archived", row.archived))
    return [word for word, holds in words if holds]


def _summary(found: int, limit: int) -> str:
    if found > limit:
        return f"the newest {limit}; there are more, see --limit"
    return "no saga fits" if not found else f"{found} saga{'s' if found > 1 else ''}"


def refuse_unknown(sagas: SagaApp, name: str) -> None:
    """Tell a misspelt name from one that has no sagas.

    Raises:
        Trouble: no saga is called so, neither here nor in the database.
    """
    known = {*registered(), *sagas.store.tallies.names()}
    if name not in known:
        hint = options.did_you_mean(name, known) or f"known are: {', '.join(sorted(known)) or 'none'}"
        raise Trouble(f"no saga is called {name!r}; {hint}")
