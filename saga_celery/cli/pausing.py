"""`saga pause` and `saga unpause`: keep back what would be sent while another system is down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from saga_celery.app.reading.pauses import record, sentence
from saga_celery.cli import target
from saga_celery.cli.operating import not_blank, os_user
from saga_celery.engine.gate import LIVES

Command = Callable[..., Any]


def _switch(command: Command) -> Command:
    """The options that both commands share."""
    for option in reversed(
        (
            click.option("--name", help="Sagas of this name, or pattern: 'shop.*'."),
            click.option("--task", help="Messages to this task, or pattern: 'billing.*', of whatever saga."),
            click.option("--reason", required=True, callback=not_blank, help="Why."),
            click.option("--actor", callback=os_user, help="Who; default: the user of the operating system."),
            click.option("--json", "as_json", is_flag=True, help="One JSON object."),
            click.pass_context,
        )
    ):
        command = option(command)
    return command


@click.command()
@_switch
def pause(ctx: click.Context, name: str | None, task: str | None, as_json: bool, **why: str) -> None:
    """Keep back what would be sent; no attempt is used up meanwhile.

    What workers have in hand goes on, and its outcome is recorded.
    """
    _need_one(name, task)
    sagas, screen = target.sagas(ctx), target.screen(ctx, json=as_json)
    made = sagas.pause(name=name, task=task, **why)
    if as_json:
        screen.record(record(made))
    else:
        screen.say(f"{sentence(made, sagas.store.queries.now())}; every worker holds it within {LIVES:g} s")


@click.command()
@_switch
def unpause(ctx: click.Context, name: str | None, task: str | None, as_json: bool, **why: str) -> None:
    """End a pause: what was kept back goes out with the next sweep."""
    _need_one(name, task)
    sagas, screen = target.sagas(ctx), target.screen(ctx, json=as_json)
    sagas.unpause(name=name, task=task, **why)
    if as_json:
        screen.record({"kind": "task" if name is None else "name", "name": name or task})
    else:
        screen.say(f"unpaused: {f'task {task}' if name is None else f'sagas {name}'}")


def _need_one(name: str | None, task: str | None) -> None:
    if (name is None) == (task is None):
        raise click.UsageError("say what is meant: --name of the sagas, or --task to which messages go; one of the two")
