"""What a command works on: the app, the screen, the saga that is meant. Only here is known how this group was mounted.

Under `celery -A proj saga` the context's object is Celery's own and carries the app. Any other host (a management
command, `flask saga`) passes one that has `app`, and may have `no_color`, `quiet` and `program`.
"""

from __future__ import annotations

from typing import Any

import click
from celery import Celery
from celery._state import get_current_app

from saga_celery.app import SagaApp
from saga_celery.cli.exits import Trouble
from saga_celery.cli.screen import Screen
from saga_celery.errors import SagaError, SagaNotFound
from saga_celery.store.views import SagaRow


def celery_app(ctx: click.Context) -> Celery:
    """The Celery app, with all its modules imported, so that every saga is known."""
    app: Celery = getattr(ctx.obj, "app", None) or get_current_app()
    try:
        app.loader.import_default_modules()
    except (SagaError, ImportError) as error:
        raise Trouble(f"the app's modules can not be imported: {error}") from error
    return app


def sagas(ctx: click.Context) -> SagaApp:
    """The saga app that the command works on.

    Raises:
        NotConfigured: the Celery app has none.
    """
    return SagaApp.of(celery_app(ctx))


def screen(ctx: click.Context, *, json: bool = False) -> Screen:
    """Where the command's output goes, as the host's own options want it."""
    return Screen(json=json, no_color=_flag(ctx.obj, "no_color"), quiet=_flag(ctx.obj, "quiet"))


def program(ctx: click.Context) -> str:
    """How this group is called here, for commands to paste: `celery -A shop saga`."""
    if told := str(getattr(ctx.obj, "program", "")):
        return told
    root, group = ctx.find_root(), _group(ctx)
    app, name, path = root.params.get("app"), root.info_name or "", group.command_path
    return f"{name} -A {app}{path.removeprefix(name)}" if isinstance(app, str) and root is not group else path


def migrate(ctx: click.Context) -> str:
    """The command that brings the tables to this release's form, for people to paste."""
    app = getattr(ctx.obj, "app", None)
    own = SagaApp.of(app).migrate_command if app is not None else None
    return own or f"{program(ctx)} migrate"


def saga(sagas: SagaApp, id_or_key: str, name: str | None = None) -> SagaRow:
    """The one saga that a person means.

    Args:
        sagas: where to look.
        id_or_key: its id, or the key that it was started with.
        name: of this name only.

    Raises:
        SagaNotFound: there is none.
        Trouble: the key belongs to sagas of several names; lists them.
    """
    owners = [owner for owner in sagas.store.queries.owners(id_or_key) if name in (None, owner.name)]
    if len(owners) == 1:
        return owners[0]
    if owners:
        listed = ", ".join(f"{owner.name} ({owner.id})" for owner in owners)
        raise Trouble(f"{len(owners)} sagas have the key {id_or_key!r}: {listed}; give the id, or --name")
    return _by_id(sagas, id_or_key, name)


def _by_id(sagas: SagaApp, saga_id: str, name: str | None) -> SagaRow:
    of_name = f" of {name!r}" if name else ""
    try:
        found = sagas.store.queries.snapshot(saga_id).saga
    except SagaNotFound:
        raise SagaNotFound(f"no saga{of_name} has the id or key {saga_id!r}") from None
    if name not in (None, found.name):
        raise SagaNotFound(f"no saga{of_name} has the id or key {saga_id!r}; {found.name!r} has one")
    return found


def _group(ctx: click.Context) -> click.Context:
    """The context of this group itself, however deep the command is."""
    return ctx.parent if ctx.parent is not None and not isinstance(ctx.command, click.Group) else ctx


def _flag(host: Any, name: str) -> bool:
    return bool(getattr(host, name, False))
