"""`manage.py saga …`: the same commands as `celery -A proj saga …`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import click
from django.core.management.base import BaseCommand, CommandError, CommandParser, handle_default_options
from django.db import connections

from saga_celery.app import SagaApp
from saga_celery.contrib.commands import Host, group
from saga_celery.errors import NotConfigured

DJANGOS = ("--settings", "--pythonpath")
"""Options of Django's own that take a value; its other ones mean nothing here, or the same."""


class Command(BaseCommand):
    """Hands the rest of the line to the group that Celery mounts, too."""

    help = "Look at sagas, start them, and settle what waits for a person."
    requires_system_checks = ()

    def run_from_argv(self, argv: list[str]) -> None:
        """From a shell: the group itself parses, answers --help, and sets the exit code."""
        django, rest = _djangos_own().parse_known_args(argv[2:])
        handle_default_options(django)
        try:
            _group().main(rest, prog_name=f"{Path(argv[0]).name} {argv[1]}", obj=_host(django.no_color))
        except CommandError as error:
            self.stderr.write(f"CommandError: {error}")
            raise SystemExit(error.returncode) from error
        finally:
            connections.close_all()

    def add_arguments(self, parser: CommandParser) -> None:
        """For `call_command("saga", "list", "--json")`."""
        parser.add_argument("args", nargs=argparse.REMAINDER)

    def handle(self, *args: str, **options: Any) -> None:
        """From code."""
        try:
            _group().main(list(args), prog_name="manage.py saga", obj=_host(options["no_color"]), standalone_mode=False)
        except click.ClickException as error:
            raise CommandError(error.format_message(), returncode=error.exit_code) from error


def _djangos_own() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for name in DJANGOS:
        parser.add_argument(name)
    parser.add_argument("--no-color", action="store_true")
    return parser


def _group() -> click.Group:
    try:
        return group()
    except NotConfigured as problem:
        raise CommandError(str(problem)) from problem


def _host(no_color: bool) -> Host:
    try:
        return Host(app=SagaApp.current().celery, no_color=no_color)
    except NotConfigured as problem:
        raise CommandError(str(problem)) from problem
