"""Is the saga database there, in form, and does everything in it move?"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from saga_celery.app import SagaApp
from saga_celery.app.reading.case import unbegun
from saga_celery.app.reading.durations import spoken
from saga_celery.app.reading.excerpt import excerpt
from saga_celery.app.reading.pauses import sentence
from saga_celery.cli.doctor.finding import Finding, fix, note, ok
from saga_celery.core.states import Direction
from saga_celery.errors import NotConfigured, StoreError
from saga_celery.store.heartbeats import FRESH
from saga_celery.store.queries import STUCK_AFTER
from saga_celery.store.version import check, head

MANY = 100
"""Sagas whose unbegun messages tell which queues have to be consumed."""
RECENT = 20
"""Sagas whose messages tell which tasks run steps."""


def reachable(sagas: SagaApp) -> Finding:
    """Whether the database answers, and what it is."""
    try:
        url = sagas.store.connections.url.render_as_string(hide_password=True)
    except NotConfigured as failure:
        return fix("database", str(failure), "mend saga_database_url")
    try:
        return ok("database", f"{sagas.store.queries.server()} at {url}")
    except StoreError as failure:
        return fix("database", f"{url}: {excerpt(str(failure))}", "start it, or mend saga_database_url")


def journal(sagas: SagaApp) -> Iterator[Finding]:
    """Whether readers and writers of SQLite leave each other alone."""
    mode = sagas.store.queries.journal_mode()
    if mode == "wal":
        yield ok("sqlite", "journal_mode wal; for one machine only, several need PostgreSQL or MariaDB")
    elif mode is not None:
        text = f"journal_mode {mode}: readers and writers get in each other's way"
        yield fix("sqlite", text, "put the file on a local disk, where SQLite can switch to wal")


def schema(sagas: SagaApp, program: str) -> Finding:
    """Whether the tables fit this release."""
    try:
        check(sagas.store.connections)
    except StoreError as failure:
        return fix(
            "schema", excerpt(str(failure).partition("; run:")[0]), sagas.migrate_command or f"{program} migrate"
        )
    return ok("schema", f"version {head()}")


def sweeping(sagas: SagaApp, program: str) -> Finding:
    """Whether somebody comes back to what got lost."""
    beats = [beat for beat in sagas.store.queries.heartbeats() if beat.swept is not None]
    rounds = sorted(((beat.swept or 0.0, beat) for beat in beats if beat.age < FRESH), key=lambda found: found[0])
    start = "start a worker that has saga_database_url, or " if sagas.settings.sweeper else "start "
    if not rounds:
        latest = min((beat.swept or 0.0 for beat in beats), default=None)
        text = (
            "none ever finished a round" if latest is None else f"none lives; the latest round was {spoken(latest)} ago"
        )
        return fix("sweeper", text, f"{start}`{program} sweep`")
    age, beat = rounds[0]
    if age > STUCK_AFTER:
        text = f"{excerpt(beat.worker)} lives, but finished its latest round {spoken(age)} ago"
        return fix("sweeper", text, "its log says why: look for `the sweeper of worker`")
    return ok("sweeper", f"{excerpt(beat.worker)} finished a round {spoken(age)} ago{_and_others(len(rounds) - 1)}")


def _and_others(number: int) -> str:
    return f"; {number} more {'sweeps' if number == 1 else 'sweep'}" if number else ""


def overdue(sagas: SagaApp, program: str) -> Finding:
    """Whether what is due is dealt with."""
    age = sagas.store.queries.oldest_overdue()
    if age > STUCK_AFTER:
        text = f"something has been due for {spoken(age)}"
        return fix("overdue", text, f"see `{program} list --stuck`; start a sweeper")
    return ok("overdue", f"the oldest has been due for {spoken(age)}" if age else "nothing is")


def pauses(sagas: SagaApp, program: str) -> Iterator[Finding]:
    """What somebody keeps back, lest it be forgotten."""
    now = sagas.store.queries.now()
    for each in sagas.store.pauses.all():
        what = f"--{each.kind} {shlex.quote(each.name)}"
        yield note("paused", sentence(each, now).removeprefix("paused: "), f"{program} unpause {what} --reason ''")


def dead_letters(sagas: SagaApp, program: str) -> Finding:
    """Whether anything waits for a person."""
    found = len(sagas.store.queries.dead_letters(limit=1001))
    if found:
        count = "more than 1000" if found > 1000 else str(found)
        return fix("dead letters", f"{count} wait for a person", f"see `{program} dead-letters`")
    return ok("dead letters", "none")


def hooks(sagas: SagaApp, program: str) -> Finding:
    """Whether every hook is told in the end."""
    found = sagas.store.deliveries.open(given_up=True, limit=1001)
    if found:
        count = "more than 1000" if len(found) > 1000 else str(len(found))
        return fix("hooks", f"{count} never ran to their end and are given up", f"see `{program} hooks --given-up`")
    return ok("hooks", "none is given up")


def stepping(sagas: SagaApp) -> frozenset[str]:
    """The tasks that the messages of the latest sagas name."""
    states = [sagas.store.queries.snapshot(row.id).state for row in sagas.store.queries.find(limit=RECENT)]
    messages = [
        step.activity(direction).message for state in states for step in state.steps.values() for direction in Direction
    ]
    return frozenset(message.task for message in messages if message is not None)


def unbegun_tasks(sagas: SagaApp) -> dict[str, set[str]]:
    """The queues of messages that no worker has begun with, each with the tasks that wait in it; the oldest first."""
    found: dict[str, set[str]] = {}
    for saga_id in sagas.store.queries.unbegun(limit=MANY):
        for _, message in unbegun(sagas.store.queries.snapshot(saga_id)):
            found.setdefault(sagas.transport.queue_of(message), set()).add(message.task)
    return found


def unseen() -> Finding:
    """What is said where there is no database to look at."""
    return note("database", "no saga_database_url: this app only reports to a coordinator", "run doctor there")
