"""`flask saga …`: the same commands, mounted through Flask's entry point `flask.commands`."""

from __future__ import annotations

import click
from click.core import ParameterSource
from flask import current_app
from flask.cli import ScriptInfo, with_appcontext

from saga_celery.app import SagaApp
from saga_celery.contrib.commands import Host, group
from saga_celery.errors import NotConfigured

_under_celery = group()


@click.group("saga", cls=type(_under_celery), commands=_under_celery.commands, help=_under_celery.help)
@click.pass_context
@with_appcontext
def saga(ctx: click.Context) -> None:
    """Work on the sagas of the Flask app."""
    ctx.obj = Host(app=_sagas().celery, program=_program(ctx))


def _sagas() -> SagaApp:
    found = current_app.extensions.get("saga_celery")
    if not isinstance(found, SagaApp):
        raise NotConfigured(
            f"the Flask app {current_app.name!r} has no sagas: call `SagaCelery(app)` in its factory, below "
            "`celery_init_app(app)`"
        )
    return found


def _program(ctx: click.Context) -> str:
    """`flask --app shop saga`, for commands to paste; what the environment says need not be typed."""
    root, script = ctx.find_root(), ctx.find_object(ScriptInfo)
    if script is None or root.get_parameter_source("app") is not ParameterSource.COMMANDLINE:
        return ctx.command_path
    return f"{root.info_name} --app {script.app_import_path} {ctx.info_name}"
