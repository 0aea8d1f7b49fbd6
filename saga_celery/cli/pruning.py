"""`saga prune` and `saga archive`: sagas that ended long ago leave."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import click

from saga_celery.app import SagaApp
from saga_celery.app.retention import BATCH, Left, Order, as_asked, as_configured, carry_out, is_configured
from saga_celery.cli import options, target
from saga_celery.cli.durations import duration
from saga_celery.cli.listing import refuse_unknown
from saga_celery.cli.screen import Screen
from saga_celery.core.states import SagaStatus
from saga_celery.store.rows import DONE

Command = Callable[..., Any]

BREATH = 0.1
"""Seconds between two transactions on SQLite, where whoever wants to write looks every 0.1 s whether it may."""


def _states(text: str) -> list[SagaStatus]:
    """States in which a saga is done, as a type for click's options."""
    found = [options.state(each.strip()) for each in text.split(",")]
    if wrong := [each for each in found if each not in DONE]:
        raise click.BadParameter(f"a saga that is {wrong[0].value} is not done, and stays; write {' or '.join(DONE)}")
    return found


def _filter(command: Command) -> Command:
    """The options of both commands."""
    for option in reversed(
        (
            click.option("--state", "states", type=_states, metavar="STATE[,STATE]", help="Only those that ended so."),
            click.option("--name", help="Only sagas of this name, with their child sagas."),
            click.option("--dry-run", is_flag=True, help="Only tell how many would leave."),
            click.option("--limit", type=click.IntRange(min=1), help="How many sagas at most."),
            click.option(
                "--batch",
                type=click.IntRange(min=1, max=5000),
                default=BATCH,
                show_default=True,
                help="How many in one transaction.",
            ),
            click.option("--json", "as_json", is_flag=True, help="One JSON object for each name."),
            click.pass_context,
        )
    ):
        command = option(command)
    return command


@click.command()
@click.option("--older-than", type=duration, metavar="LENGTH", help="Ended longer ago than this: 36h, 90d, 52w.")
@_filter
def prune(ctx: click.Context, older_than: timedelta | None, **chosen: Any) -> None:
    """Delete sagas that are completed or compensated and ended long ago, also from the archive.

    Without --older-than what saga_retention, saga_archive_after and the classes say is done now, which sweepers do
    bit by bit.
    """
    if older_than is not None:
        _leave(ctx, older_than, archives=False, **chosen)
        return
    if chosen["states"] or chosen["name"]:
        raise click.UsageError("--state and --name narrow down what is --older-than some length of time; give that too")
    sagas = target.sagas(ctx)
    if not is_configured(sagas):
        raise click.UsageError("how old? give --older-than 90d, or set saga_retention")
    sagas.check_schema()
    _carry_out(ctx, sagas, as_configured(sagas), **chosen)


@click.command()
@click.option(
    "--older-than", type=duration, metavar="LENGTH", required=True, help="Ended longer ago than this: 36h, 90d, 52w."
)
@_filter
def archive(ctx: click.Context, older_than: timedelta, **chosen: Any) -> None:
    """Move sagas that are completed or compensated and ended long ago into the archive: one small row each.

    `show` finds them there by id and key; lists and searches leave them out.
    """
    _leave(ctx, older_than, archives=True, **chosen)


def _leave(
    ctx: click.Context,
    older: timedelta,
    *,
    archives: bool,
    states: list[SagaStatus] | None,
    name: str | None,
    **chosen: Any,
) -> None:
    sagas = target.sagas(ctx)
    sagas.check_schema()
    if name is not None and name not in sagas.store.retention.names():
        refuse_unknown(sagas, name)
    orders = as_asked(sagas, older, name=name, states=states or (), archives=archives)
    _carry_out(ctx, sagas, orders, **chosen)


def _carry_out(
    ctx: click.Context,
    sagas: SagaApp,
    orders: Iterable[Order],
    *,
    dry_run: bool,
    limit: int | None,
    batch: int,
    as_json: bool,
    **others: Any,
) -> None:
    screen = target.screen(ctx, json=as_json)
    told: dict[tuple[str, bool], Left] = {}
    rest = BREATH if sagas.store.connections.dialect == "sqlite" and not dry_run else 0.0
    for left in carry_out(sagas, orders, batch=batch, limit=limit, dry_run=dry_run):
        time.sleep(rest)
        before = told.get((left.name, left.archived), Left(name=left.name, archived=left.archived, sagas=0, kept=0))
        told[left.name, left.archived] = Left(
            name=left.name,
            archived=left.archived,
            sagas=before.sagas + left.sagas,
            kept=before.kept + left.kept,
        )
    _tell(screen, list(told.values()), dry_run=dry_run)


def _tell(screen: Screen, told: list[Left], *, dry_run: bool) -> None:
    if screen.json:
        for each in told:
            verb = "archive" if each.archived else "delete"
            screen.record({"name": each.name, "verb": verb, "sagas": each.sagas, "kept": each.kept, "dry_run": dry_run})
        return
    for each in told:
        screen.say(_line(each, dry_run=dry_run))
    if not told:
        screen.note("no saga is that old")


def _line(each: Left, *, dry_run: bool) -> str:
    verb = "archived" if each.archived else "deleted"
    sagas = f"{each.sagas} saga{'' if each.sagas == 1 else 's'}"
    kept = f"; {each.kept} kept, as somebody may still need them" if each.kept else ""
    return f"{each.name}: {sagas} {f'would be {verb}' if dry_run else verb}{kept}"
