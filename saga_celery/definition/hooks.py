"""Hooks as they are declared: which tasks are told of which event, on a saga class or for all sagas."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from saga_celery.engine.occurrences import ARGUMENTS
from saga_celery.errors import SagaError

Hooks: TypeAlias = Mapping[str, tuple[str, ...]]
"""Event -> names of tasks."""

LONGEST_TASK = 200


def declared_hooks(given: Any, wrong: Callable[[str], SagaError]) -> Hooks:
    """Check and read a declaration such as `{"saga_failed": "ops.page", "saga_completed": ["crm.note"]}`.

    Args:
        given: what was declared.
        wrong: makes the error of a sentence.

    Raises:
        SagaError: what `wrong` made; names the entry and what to write.
    """
    if not isinstance(given, Mapping):
        raise wrong(f'{given!r} is no dict of hooks; write for example {{"saga_failed": "ops.page"}}')
    for event in given:
        if event not in ARGUMENTS:
            raise wrong(_unknown(event))
    return {event: _tasks(event, tasks, wrong) for event, tasks in given.items()}


def _unknown(event: object) -> str:
    close = difflib.get_close_matches(str(event), ARGUMENTS, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(ARGUMENTS)}"
    return f"there is no event {event!r}; {hint}"


def _tasks(event: str, tasks: Any, wrong: Callable[[str], SagaError]) -> tuple[str, ...]:
    names = (tasks,) if isinstance(tasks, str) else tasks
    if not isinstance(names, list | tuple):
        raise wrong(f'{event}: {tasks!r}; write the name of a task, as in "ops.page", or a list of names')
    for name in names:
        if not isinstance(name, str):
            raise wrong(f'{event}: {name!r}; write the name of the task, as in "ops.page"')
        if not name or len(name) > LONGEST_TASK or not name.isprintable():
            raise wrong(f"{event}: {name!r}; the name of a task is printable text of 1 to {LONGEST_TASK} characters")
    return tuple(dict.fromkeys(names))
