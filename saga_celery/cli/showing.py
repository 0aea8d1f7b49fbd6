"""`saga show`: one saga in full."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import click

from saga_celery.app import SagaApp
from saga_celery.app.reading.case import case_of
from saga_celery.app.reading.saga_record import saga_record
from saga_celery.cli import target
from saga_celery.cli.next_moves import onward
from saga_celery.cli.saga_page import Sheet, history_line, page
from saga_celery.cli.screen import Screen

PAUSE = 0.5
"""Seconds between two looks of `--watch`."""


@click.command()
@click.argument("saga", metavar="ID|KEY")
@click.option("--name", help="Name of the saga, where several use the same key.")
@click.option("--watch", is_flag=True, help="Follow it until it ends.")
@click.option("--history", "with_history", is_flag=True, help="Everything that happened to it.")
@click.option("--full", is_flag=True, help="Input and results uncut, also those that are kept apart.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object; with --watch one at each change.")
@click.pass_context
def show(
    ctx: click.Context, saga: str, name: str | None, watch: bool, with_history: bool, full: bool, as_json: bool
) -> None:
    """Show one saga: its steps, attempts and errors, and what happens next."""
    sagas, screen = target.sagas(ctx), target.screen(ctx, json=as_json)
    sagas.check_schema()
    saga_id = target.saga(sagas, saga, name).id
    program = target.program(ctx)
    look = partial(_sheet, sagas, saga_id, program, full=full)
    sheets = _followed(look) if watch else iter([look()])
    if as_json:
        for sheet in _changed(sheets):
            screen.record(_record(sheet, with_history=with_history))
    elif watch and not screen.is_rich:
        _tell(screen, sheets)
    elif watch:
        screen.redraw(page(sheet, with_history=with_history) for sheet in sheets)
    else:
        screen.show(page(next(sheets), with_history=with_history))


def _sheet(sagas: SagaApp, saga_id: str, program: str, *, full: bool) -> Sheet:
    return Sheet(case=case_of(sagas, saga_id, whole=full), program=program, full=full)


def _record(sheet: Sheet, *, with_history: bool) -> dict[str, Any]:
    case = sheet.case
    following = onward(case, sheet.program)
    return {**saga_record(case, with_history=with_history), "next": following}


def _followed(look: Callable[[], Sheet]) -> Iterator[Sheet]:
    """The saga again and again; the last time when it has ended."""
    while True:
        sheet = look()
        yield sheet
        if sheet.case.found.state.status.ended:
            return
        time.sleep(PAUSE)


def _changed(sheets: Iterator[Sheet]) -> Iterator[Sheet]:
    """Only those in which something happened since the one before."""
    seen = -1
    for sheet in sheets:
        if sheet.case.found.saga.version != seen:
            seen = sheet.case.found.saga.version
            yield sheet


def _tell(screen: Screen, sheets: Iterator[Sheet]) -> None:
    """What happens, line by line, and the whole page at the end."""
    told = 0
    sheet: Sheet | None = None
    for sheet in sheets:
        for entry in sheet.case.history[told:]:
            screen.show([history_line(entry)])
        told = len(sheet.case.history)
    if sheet is not None:
        screen.show(["", *page(sheet, with_history=False)])
