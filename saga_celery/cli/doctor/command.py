"""`saga doctor`: is everything as it should be?"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Iterator, Mapping

import click

from saga_celery.app import SagaApp
from saga_celery.cli import target
from saga_celery.cli.doctor import broker, configuration, database, definitions, workers
from saga_celery.cli.doctor.finding import Finding, Level, fix, note, ok
from saga_celery.cli.exits import Exit
from saga_celery.cli.screen import Screen
from saga_celery.cli.table import Styled
from saga_celery.errors import NotConfigured
from saga_celery.settings import Settings

_STYLES = {Level.OK: "green", Level.NOTE: "yellow", Level.FIX: "bold red"}


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_context
def doctor_command(ctx: click.Context, as_json: bool) -> None:
    """Examine settings, database, broker and workers: a line for each thing, with what to do.

    OK is fine, NOTE is worth knowing, FIX has to be done. Exits with 3 when anything has to be.
    """
    screen = target.screen(ctx, json=as_json)
    findings = examine(target.sagas(ctx), target.program(ctx))
    if _told(screen, findings):
        ctx.exit(Exit.TROUBLE)


def _told(screen: Screen, findings: Iterable[Finding]) -> int:
    """Tell each finding as it is made; returns how many have to be mended."""
    to_mend = 0
    for finding in findings:
        to_mend += finding.level is Level.FIX
        if screen.json:
            screen.record(
                {"level": finding.level, "subject": finding.subject, "text": finding.text, "fix": finding.fix or None}
            )
        elif finding.level is not Level.OK or not screen.quiet:
            screen.show([Styled(str(finding), _STYLES[finding.level])])
    return to_mend


# --------------------------------------------------------------------------------------------------------- examination


def examine(sagas: SagaApp, program: str) -> Iterator[Finding]:
    """Look at everything, in the order in which things depend on each other; what can not be looked at is said.

    Args:
        sagas: the app.
        program: how this program is called, for the advice.
    """
    try:
        settings = sagas.settings
        sagas.check_settings()
    except NotConfigured as failure:
        yield fix("settings", str(failure), "mend the configuration of the Celery app")
        return
    yield ok("settings", "every saga_* key is known and has a value that can be")
    yield configuration.content_types(sagas.celery)
    yield configuration.alerts(settings)
    yield from definitions.unknown_outcomes()
    stepping, waiting = yield from _database(sagas, program)
    yield from _broker(sagas, settings, stepping, waiting)
    yield from configuration.acknowledgement(sagas.celery, settings, stepping)
    yield configuration.prefetch(sagas.celery)


def _database(
    sagas: SagaApp, program: str
) -> Generator[Finding, None, tuple[frozenset[str], Mapping[str, Collection[str]]]]:
    """Returns the tasks that stored messages name, and where those wait that nobody has begun with."""
    if not sagas.has_store:
        yield database.unseen()
        return frozenset(), {}
    answer = database.reachable(sagas)
    yield answer
    if answer.level is Level.FIX:
        yield note("schema", "not looked at, as the database does not answer")
        return frozenset(), {}
    yield from database.journal(sagas)
    form = database.schema(sagas, program)
    yield form
    if form.level is Level.FIX:
        yield note("sweeper", "not looked at, as the tables do not fit")
        return frozenset(), {}
    yield database.sweeping(sagas, program)
    yield database.overdue(sagas, program)
    yield from database.pauses(sagas, program)
    yield database.dead_letters(sagas, program)
    yield database.hooks(sagas, program)
    return database.stepping(sagas), database.unbegun_tasks(sagas)


def _broker(
    sagas: SagaApp, settings: Settings, stepping: frozenset[str], waiting: Mapping[str, Collection[str]]
) -> Iterator[Finding]:
    answer = broker.reachable(sagas.celery)
    yield answer
    yield from broker.waits_for_long_steps(sagas.celery, settings)
    if answer.level is Level.FIX:
        yield note("workers", "not asked, as the broker does not answer")
        return
    yield from broker.keeps_messages(sagas.celery)
    yield workers.consuming(sagas.celery, settings)
    yield from workers.taking(sagas.celery, settings, waiting)
    yield from workers.knowing(sagas.celery, stepping)
