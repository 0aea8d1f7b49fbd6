"""The columns of the list. What they show of other tables, `SagaChangeList` has read for the page as a whole."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils.html import format_html

_SHORT_ID = 13
"""Characters that tell the millisecond of the start."""


def short_id(saga: Any) -> str:
    """The beginning of the id; what leads to the page of the saga."""
    return f"{saga.pk[:_SHORT_ID]}…"


def name(saga: Any) -> str:
    """The name."""
    return str(saga.name)


def state(saga: Any) -> Any:
    """The state in its colour, and what is to be said beside it."""
    flags = [word for word, holds in (("suspended", saga.suspended), ("overdue", saga.overdue)) if holds]
    return format_html('<span class="saga-state {}">{}</span> {}', saga.state, saga.state, ", ".join(flags))


def key(saga: Any) -> str:
    """The business key."""
    return saga.key or ""


def tags(saga: Any) -> str:
    """The tags, in the form in which they are searched for."""
    return ", ".join(saga.tags)


def age(saga: Any) -> str:
    """The time since the start."""
    return str(saga.age)


def dead_letters(saga: Any) -> Any:
    """How many of its dead letters are open."""
    return format_html('<span class="saga-letters">{}</span>', saga.letters) if saga.letters else ""


def current_step(saga: Any) -> str:
    """What is under way, or parked."""
    return "; ".join(saga.steps)


COLUMNS = tuple(
    admin.display(description=show.__name__.replace("_", " ").removeprefix("short "))(show)
    for show in (short_id, name, state, key, tags, age, dead_letters, current_step)
)
"""From left to right."""
