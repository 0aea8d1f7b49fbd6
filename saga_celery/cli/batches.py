"""Verbs on many sagas at once: found by a filter, counted, confirmed, and carried out one by one."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import click

from saga_celery.app import SagaApp
from saga_celery.app.reading.excerpt import excerpt
from saga_celery.app.selection import Operated, operate_each
from saga_celery.cli import options
from saga_celery.cli.durations import duration
from saga_celery.cli.exits import Exit, Trouble, exit_code
from saga_celery.cli.listing import refuse_unknown
from saga_celery.cli.screen import Screen
from saga_celery.core.events import OperatorAsked, Verb
from saga_celery.core.states import SagaStatus
from saga_celery.errors import Refused
from saga_celery.store.views import SagaRow

Command = Callable[..., Any]

FILTER = (
    click.option("--stuck", is_flag=True, help="All that wait for a person, or should have moved and did not."),
    click.option("--suspended", is_flag=True, help="All that are suspended."),
    click.option("--state", type=options.state, metavar="STATE", help="All in this state."),
    click.option(
        "--tag", "tags", type=options.tag, multiple=True, metavar="NAME=VALUE", help="Of these: with this tag."
    ),
    click.option("--since", type=duration, metavar="LENGTH", help="Of these: started within this time: 90s, 2h, 3d."),
    click.option("--yes", is_flag=True, help="Do not ask before many are touched."),
)
"""The options that mean many sagas."""

_OPEN = (SagaStatus.PENDING, SagaStatus.RUNNING, SagaStatus.COMPENSATING, SagaStatus.FAILED)
FITTING: Mapping[Verb, tuple[SagaStatus, ...]] = {
    Verb.SUSPEND: _OPEN,
    Verb.RESUME: _OPEN,
    Verb.COMPENSATE: (SagaStatus.COMPLETED,),
    Verb.RERUN: (SagaStatus.COMPENSATED, SagaStatus.FAILED),
}
"""The states that a verb is about: with these, `--name`, `--tag` and `--since` alone say which sagas are meant."""


def are_meant(
    verb: Verb,
    *,
    saga: str | None,
    name: str | None,
    version: int | None,
    stuck: bool,
    suspended: bool,
    state: SagaStatus | None,
    tags: tuple[tuple[str, str], ...],
    since: timedelta | None,
    **others: Any,
) -> bool:
    """Tell whether many sagas are meant, or one.

    Raises:
        UsageError: both, or neither.
    """
    options.refuse_rival_tags(tags)
    if saga is not None:
        if stuck or suspended or state or tags or since:
            raise click.UsageError("give one saga's ID or KEY, or say which ones (--stuck, --state …), not both")
        return False
    if version is not None:
        raise click.UsageError("--expect-version is that of one saga; give its ID or KEY")
    narrowed = verb in FITTING and (name or tags or since)
    if not (stuck or suspended or state or narrowed):
        more = "--name, --tag, --since" if verb in FITTING else "--stuck, or --state FAILED"
        raise click.UsageError(
            f"which sagas? give an ID or KEY; or all that fit: {more}, and to narrow it down --name, --tag, --since"
        )
    return True


def operate(
    sagas: SagaApp,
    screen: Screen,
    asked: OperatorAsked,
    *,
    name: str | None,
    state: SagaStatus | None,
    tags: tuple[tuple[str, str], ...],
    since: timedelta | None,
    stuck: bool,
    suspended: bool,
    yes: bool,
) -> None:
    """Find them, ask, and do it.

    Raises:
        Trouble: some could not be done; each was told of on stderr, or in its JSON object.
    """
    states = [state] if state or stuck or suspended else FITTING[asked.verb]
    wanted: dict[str, Any] = {"name": name, "tags": dict(tags), "since": since, "stuck": stuck, "suspended": suspended}
    found = [row for state in states for row in sagas.sagas.where(state=state, **wanted)]
    if not found:
        if name:
            refuse_unknown(sagas, name)
        screen.note("no saga fits")
        return
    if not yes:
        _confirm(found, asked)
    _summarize([_told(screen, asked, done) for done in operate_each(sagas, found, asked)], screen, asked)


def _confirm(found: list[SagaRow], asked: OperatorAsked) -> None:
    """Exactly those that are counted here will be touched, whatever happens before the answer."""
    counted = Counter((row.name, row.status) for row in found)
    listed = ", ".join(f"{count} {excerpt(name)} {status}" for (name, status), count in sorted(counted.items()))
    if not _is_terminal():
        raise click.UsageError(
            f"{_sagas(len(found))} would be touched ({listed}); add --yes, as nobody can be asked here"
        )
    click.confirm(f"{asked.verb}: {_sagas(len(found))} ({listed})?", abort=True, err=True)


def _told(screen: Screen, asked: OperatorAsked, done: Operated) -> Operated:
    """A line for each that could not be done; with --json an object for each."""
    error = str(done.error) or repr(done.error) if done.error else None
    if screen.json:
        row = {"id": done.id, "name": done.name, "key": done.key, "verb": asked.verb, "state": done.state}
        screen.record({**row, "error": error})
    elif error:
        click.echo(excerpt(f"{done.name} {done.key or done.id}: {error}", 2000), err=True)
    return done


def _summarize(all_of_them: list[Operated], screen: Screen, asked: OperatorAsked) -> None:
    errors = [each.error for each in all_of_them if each.error is not None]
    if not screen.json:
        screen.say(f"{asked.verb}: {len(all_of_them) - len(errors)} of {_sagas(len(all_of_them))}")
    worst = [error for error in errors if not isinstance(error, Refused)]
    if errors:
        raise Trouble(
            f"{asked.verb} was not done for {_sagas(len(errors))}", exit_code(worst[-1]) if worst else Exit.REFUSED
        )


def _sagas(count: int) -> str:
    return f"{count} saga{'' if count == 1 else 's'}"


def _is_terminal() -> bool:
    return sys.stdin.isatty()
