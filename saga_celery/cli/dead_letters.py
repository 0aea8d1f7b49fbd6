"""`saga dead-letters`: what waits for a person."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import click

from saga_celery.app import SagaApp
from saga_celery.app.reading import words
from saga_celery.app.reading.durations import spoken
from saga_celery.app.reading.excerpt import first_line
from saga_celery.cli import target
from saga_celery.cli.next_moves import commands
from saga_celery.cli.screen import Page
from saga_celery.cli.table import Cell, Table, bad, heading
from saga_celery.core.moves import next_moves, verbs
from saga_celery.core.plan import Plan
from saga_celery.core.states import SagaState, Slot
from saga_celery.store.views import Letter

_COLUMNS = ("saga", "step", "reason", "since", "detail")


@click.command("dead-letters")
@click.option("--name", help="Only those of sagas of this name.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="How many at most.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_context
def list_dead_letters(ctx: click.Context, name: str | None, limit: int, as_json: bool) -> None:
    """List what waits for a person, the oldest first, each with the next move."""
    sagas, screen = target.sagas(ctx), target.screen(ctx, json=as_json)
    sagas.check_schema()
    display = sagas.display()
    found = [display.shown(each.saga_id, each) for each in sagas.store.queries.dead_letters(name=name, limit=limit + 1)]
    program = target.program(ctx)
    if as_json:
        for letter in found[:limit]:
            screen.record(_record(sagas, letter, program))
        return
    if found:
        screen.show(_page(sagas, found[:limit], program, is_rich=screen.is_rich))
    screen.note(_summary(len(found), limit))


def _page(sagas: SagaApp, letters: list[Letter], program: str, *, is_rich: bool) -> Page:
    """A line for each letter; on a terminal, which would break the commands, they stand below the table."""
    now = sagas.store.queries.now()
    found = [(_cells(each, now), _likeliest(sagas, each, program)) for each in letters]
    if not is_rich:
        return [Table(columns=(*_COLUMNS, "next move"), rows=tuple(row for each in found for row in _rows(*each)))]
    table = Table(columns=_COLUMNS, rows=tuple(cells for cells, _ in found))
    return [table, heading("Next moves"), *(f"  {each}" for _, moves in found for each in moves)]


def _rows(cells: tuple[Cell, ...], moves: list[str]) -> Iterator[tuple[Cell, ...]]:
    yield (*cells, moves[0])
    yield from ((*[""] * len(cells), each) for each in moves[1:])


def _likeliest(sagas: SagaApp, each: Letter, program: str) -> list[str]:
    """The command of the likeliest verb; of a step in doubt one for each answer."""
    plan, state = _saga_of(sagas, each)
    possible = next_moves(plan, state, each.letter)
    found = zip(possible, commands(program, plan, state, each.letter), strict=True)
    return [command for move, command in found if move.verb == possible[0].verb]


def _saga_of(sagas: SagaApp, each: Letter) -> tuple[Plan, SagaState]:
    state = sagas.store.queries.snapshot(each.saga_id).state
    return sagas.store.plan(state.plan_hash), state


def _cells(each: Letter, now: datetime) -> tuple[Cell, ...]:
    return (
        f"{each.saga_name} {each.saga_id}",
        _place(each),
        bad(each.letter.reason.value),
        f"{spoken((now - each.since).total_seconds())} ago",
        first_line(each.letter.detail),
    )


def _place(each: Letter) -> str:
    return words.activity_label(Slot(each.letter.step, each.letter.item, each.letter.direction))


def _record(sagas: SagaApp, each: Letter, program: str) -> dict[str, object]:
    plan, state = _saga_of(sagas, each)
    return {
        "saga": each.saga_id,
        "name": each.saga_name,
        "state": each.status,
        "step": each.letter.step,
        "item": each.letter.item,
        "direction": each.letter.direction,
        "reason": each.letter.reason,
        "detail": each.letter.detail,
        "result": each.letter.result,
        "since": each.since,
        "moves": verbs(next_moves(plan, state, each.letter)),
        "next": commands(program, plan, state, each.letter)[0],
    }


def _summary(found: int, limit: int) -> str:
    if found > limit:
        return f"the oldest {limit}; there are more, see --limit"
    return f"{found} dead letter{'' if found == 1 else 's'}"
