"""The command line, for frameworks that mount it: found as Celery finds it, as no surface imports another."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import entry_points

import click
from celery import Celery

from saga_celery.app import SagaApp
from saga_celery.errors import NotConfigured


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What the commands take from whoever mounts them, as the context's object."""

    app: Celery
    no_color: bool = False
    quiet: bool = False
    program: str = ""
    """How the group is called here, for commands to paste; empty: as the command line tells."""


def group() -> click.Group:
    """The group of all commands.

    Raises:
        NotConfigured: saga_celery is not installed.
    """
    for found in entry_points(group="celery.commands", name="saga"):
        commands: click.Group = found.load()
        return commands
    raise NotConfigured(
        "saga_celery is on the path but not installed, so its commands can not be found: pip install it"
    )


def sagas_of(ctx: click.Context) -> SagaApp:
    """The sagas that a command of a surface works on, whoever mounted the group. All modules of the app are imported.

    Args:
        ctx: of the command; its object carries the Celery app.

    Raises:
        NotConfigured: the Celery app has no sagas, or a module of its can not be imported.
    """
    celery: Celery = ctx.obj.app
    try:
        celery.loader.import_default_modules()
    except ImportError as error:
        raise NotConfigured(f"the app's modules can not be imported: {error}") from error
    return SagaApp.of(celery)
