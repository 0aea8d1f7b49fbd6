"""Lengths of time on the command line."""

from __future__ import annotations

from datetime import timedelta

import click

from saga_celery.app import times


def duration(text: str) -> timedelta:
    """A length of time on the command line: a type for click's options."""
    try:
        return times.length(text)
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(str(error)) from None
