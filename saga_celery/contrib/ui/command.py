"""`saga ui`: the command."""

from __future__ import annotations

import getpass
from types import ModuleType
from typing import TYPE_CHECKING

import click

from saga_celery.contrib.commands import sagas_of
from saga_celery.contrib.ui.hosts import Hosts
from saga_celery.contrib.ui.logins import VARIABLE, Logins, logins
from saga_celery.errors import NotConfigured

if TYPE_CHECKING:
    from flask import Flask

    from saga_celery.app import SagaApp

PORT = 8642


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address or name to listen at.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="Port; 0: any that is free."
)
@click.option(
    "--basic-auth",
    "credentials",
    multiple=True,
    metavar="USER:PASSWORD",
    help=f"Who may come in; may be repeated. @FILE has one a line, and so has {VARIABLE} in the environment.",
)
@click.option(
    "--writable", is_flag=True, help="Who comes in may act, too: in the name of the login, else of the system's user."
)
@click.option(
    "--allow-host",
    "allowed",
    multiple=True,
    metavar="NAME",
    help="Also answer under this name, such as a proxy's; may be repeated.",
)
@click.pass_context
def ui(
    ctx: click.Context, host: str, port: int, credentials: tuple[str, ...], writable: bool, allowed: tuple[str, ...]
) -> None:
    """Serve the sagas as a web page, until Ctrl-C or SIGTERM.

    For this machine alone, and to look at, unless said otherwise.
    """
    serving, people = _serving(), logins(credentials)
    place = serving.place(host, port)
    hosts = Hosts(place.address, host, allowed)
    _refuse_open_door(hosts, host, people)
    sagas = sagas_of(ctx)
    sagas.check_schema()
    app = _app(sagas, hosts, people, writable)
    with serving.listening_at(place) as listening:
        serving.serve(app, listening, lambda: _tell(serving.address_of(listening), hosts, people, writable))
    click.echo("stopped")


def _serving() -> ModuleType:
    """What needs the extra."""
    try:
        from saga_celery.contrib.ui import serving
    except ImportError as error:
        raise NotConfigured(f'{error}; the page comes with: pip install "saga-celery[ui]"') from error
    return serving


def _refuse_open_door(hosts: Hosts, host: str, people: Logins) -> None:
    """Without a login nobody but this machine's own people may come in."""
    if people or hosts.are_local:
        return
    where = f"--host {host}" if not hosts.is_loopback else "--allow-host"
    raise click.UsageError(
        f"with {where} others than people at this machine could look at the sagas: say who may, with --basic-auth "
        f"USER:PASSWORD, --basic-auth @FILE or {VARIABLE}; or leave {where} out"
    )


def _app(sagas: SagaApp, hosts: Hosts, people: Logins, writable: bool) -> Flask:
    from saga_celery.contrib.ui.application import make_app

    if writable and not people:
        return make_app(sagas, hosts=hosts, logins=people, local_user=_system_user(), writable=True)
    return make_app(sagas, hosts=hosts, logins=people, writable=writable)


def _system_user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        raise click.UsageError(
            "--writable: the operating system does not tell who you are, and the history of a saga keeps who acts; "
            "name yourself with --basic-auth USER:PASSWORD"
        ) from None


def _tell(address: str, hosts: Hosts, people: Logins, writable: bool) -> None:
    who = f"for {', '.join(people.names)}" if people else "for everybody at this machine"
    what = "to look and to act" if writable else "to look, as --writable is not given"
    click.echo(f"sagas at {address}, {who}, {what}; Ctrl-C ends it")
    if not hosts.is_loopback:
        click.echo("passwords travel unencrypted: put a proxy with TLS in front of it", err=True)
