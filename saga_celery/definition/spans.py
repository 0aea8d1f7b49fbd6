"""How long a sleep lasts."""

from __future__ import annotations

from datetime import timedelta

from saga_celery.errors import DefinitionError

LONGEST = timedelta(days=3_650)
"""Longer than any saga lives, and well below what stands for never in the rows of a suspended one."""


def span(answer: object, where: str) -> float:
    """Seconds of what a sleep's method returned; none when the time is over already.

    Raises:
        DefinitionError: it is no timedelta, or longer than any saga lives.
    """
    if not isinstance(answer, timedelta):
        raise DefinitionError(f"{where} returned a {type(answer).__name__}; return a timedelta")
    if answer > LONGEST:
        raise DefinitionError(f"{where} returned {answer}; a saga can sleep for {LONGEST.days} days at most")
    return max(answer.total_seconds(), 0.0)
