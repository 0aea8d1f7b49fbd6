"""`saga start`: start a saga by hand."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NoReturn

import click

from saga_celery.app.reading.sentences import cause
from saga_celery.cli import options, target
from saga_celery.cli.durations import duration
from saga_celery.cli.exits import Exit, Trouble
from saga_celery.cli.options import json_value
from saga_celery.core.states import SagaStatus
from saga_celery.definition.desk import Snapshot
from saga_celery.definition.registry import find
from saga_celery.definition.terms import CHOICES, MOST_PRIORITY, IfLocked


@click.command()
@click.argument("name")
@click.option("--input", "data", type=json_value, required=True, help="The input as JSON: text, @file or -.")
@click.option("--key", help="There is one saga of this name with this key.")
@click.option("--tag", "tags", type=options.tag, multiple=True, metavar="NAME=VALUE", help="To find it by; repeatable.")
@click.option("--lock", help="Hold this while it is open; wait while another saga has it.")
@click.option("--if-locked", type=click.Choice(CHOICES), default="queue", show_default=True, help="Wait, or refuse.")
@click.option("--priority", type=click.IntRange(0, MOST_PRIORITY), help="Of its messages, and in queues.")
@click.option("--at", type=options.moment, metavar="TIME", help="Begin then: 2030-01-31T06:00+01:00.")
@click.option("--delay", type=duration, metavar="LENGTH", help="Begin after this time: 90s, 2h, 3d.")
@click.option("--wait", "seconds", type=click.FloatRange(min=0), metavar="SECONDS", help="Wait for its end.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def start(
    ctx: click.Context,
    name: str,
    data: Any,
    key: str | None,
    tags: tuple[tuple[str, str], ...],
    lock: str | None,
    if_locked: IfLocked,
    priority: int | None,
    at: datetime | None,
    delay: timedelta | None,
    seconds: float | None,
    as_json: bool,
) -> None:
    """Start the saga NAME.

    With --wait: 0 when it completed, 3 when it was undone or waits for a person, 4 when the time ran out.
    """
    sagas, screen = target.sagas(ctx), target.screen(ctx, json=as_json)
    handle = find(name).start(
        data, key=key, tags=dict(tags), lock=lock, if_locked=if_locked, priority=priority, at=at, delay=delay
    )
    if not as_json:
        screen.show([handle.id])
    if not handle.created:
        screen.note(f"nothing was started: this saga has the key {key!r} already")
    if seconds is not None:
        sagas.desk.wait(handle.id, seconds)
    ended = handle.snapshot() if seconds is not None else None
    if as_json:
        state, result = (ended.state, sagas.display().shown(handle.id, ended.result)) if ended else (None, None)
        screen.record({"id": handle.id, "name": name, "created": handle.created, "state": state, "result": result})
    if ended is not None:
        if ended.state is not SagaStatus.COMPLETED:
            _not_completed(ended, seconds)
        if not as_json:
            screen.say(ended.state.value)


def _not_completed(found: Snapshot, seconds: float | None) -> NoReturn:
    if not found.state.ended:
        raise Trouble(f"saga {found.id} is still {found.state.value} after {seconds:g} s", Exit.OUT_OF_TIME)
    why = f": {cause(found.turn)}" if found.turn else ""
    raise Trouble(f"saga {found.id} is {found.state.value}{why}")
