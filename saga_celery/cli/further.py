"""Commands that live on another surface: `saga ui` is a web page, and this one may not know the web frameworks.

They are found as Celery finds this group, as entry points, of the group `saga_celery.commands`; so another package may
bring commands along, too.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

import click

from saga_celery.cli.exits import Trouble

GROUP = "saga_celery.commands"


def further_commands() -> dict[str, click.Command]:
    """Each under the name of its entry point."""
    return {found.name: _loaded(found) for found in entry_points(group=GROUP)}


def _loaded(found: EntryPoint) -> click.Command:
    try:
        command = found.load()
    except Exception as error:  # whatever is wrong with one command, the others work
        return _broken(found, f"{type(error).__name__}: {error}")
    return command if isinstance(command, click.Command) else _broken(found, "it is no click command")


def _broken(found: EntryPoint, why: str) -> click.Command:
    """A command that says so."""

    @click.command(help="Can not be loaded.", context_settings={"ignore_unknown_options": True})
    @click.argument("words", nargs=-1)
    def broken(words: tuple[str, ...]) -> None:
        raise Trouble(f"the command {found.name} can not be loaded from {found.value}: {why}")

    return broken
