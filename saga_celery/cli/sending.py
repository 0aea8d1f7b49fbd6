"""`saga send`: answer what a saga waits for."""

from __future__ import annotations

from typing import Any

import click

from saga_celery.app.answering import answer, is_checked
from saga_celery.cli import target
from saga_celery.cli.operating import os_user
from saga_celery.cli.options import json_value


@click.command()
@click.argument("saga", metavar="ID|KEY")
@click.argument("wait")
@click.option("--event", type=json_value, required=True, help="The answer as JSON: text, @file or -.")
@click.option("--event-id", default="", help="There is one event of this id for the saga; default: a new id.")
@click.option("--name", help="Name of the saga, where several use the same key.")
@click.option("--actor", callback=os_user, help="Who; default: the user of the operating system.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def send(
    ctx: click.Context, saga: str, wait: str, event: Any, event_id: str, name: str | None, actor: str, as_json: bool
) -> None:
    """Answer the step WAIT of a saga, also before its turn has come.

    It is checked against the type of the wait where this app has the saga's class; else it is taken as it is. Of
    several events the first one is the answer.
    """
    sagas, screen = target.sagas(ctx), target.screen(ctx, json=as_json)
    sagas.check_schema()
    found = target.saga(sagas, saga, name)
    done = answer(sagas, found, wait, event, event_id=event_id, actor=actor)
    if not is_checked(found):
        screen.note(f"this app has no class of {found.name}: the event is not checked against the type of {wait}")
    if as_json:
        screen.record(
            {"id": found.id, "name": found.name, "wait": done.wait, "event_id": done.event_id, "state": done.state}
        )
    else:
        screen.say(f"sent: {found.name} {found.key or found.id} has an event for {done.wait}, id {done.event_id}")
