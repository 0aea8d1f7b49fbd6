"""Why a saga is stuck, and what a person can do about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from saga_celery.app import SagaApp
from saga_celery.app.reading import words
from saga_celery.app.reading.durations import spoken
from saga_celery.app.reading.excerpt import first_line
from saga_celery.core.moves import Move, next_moves, verbs
from saga_celery.core.states import DeadLetter, Slot
from saga_celery.store.queries import IN_VAIN, STUCK_AFTER
from saga_celery.store.views import OpenWait, SagaRow

MOST_LETTERS = 200

Trouble = dict[str, Any]
"""`text`, `step` and `moves`: the verbs that settle it, the likeliest first."""


def troubles(app: SagaApp, rows: Sequence[SagaRow]) -> dict[str, list[Trouble]]:
    """What holds sagas up, by their ids.

    Args:
        app: where they are.
        rows: the sagas.
    """
    found: dict[str, list[Trouble]] = {row.id: [] for row in rows}
    display, queries = app.display(), app.store.queries
    for each in queries.dead_letters(saga_ids=list(found), limit=MOST_LETTERS) if found else ():
        state = app.store.load(each.saga_id)
        moves = () if state is None else next_moves(app.store.plan(state.plan_hash), state, each.letter)
        found[each.saga_id].append(of_letter(display.shown(each.saga_id, each.letter), moves))
    now = queries.now()
    for saga_id, waits in queries.awaited_in_vain([saga_id for saga_id, known in found.items() if not known]).items():
        found[saga_id] += of_waits(waits, now)
    return found


def first_troubles(app: SagaApp, rows: Sequence[SagaRow]) -> dict[str, str]:
    """The first thing that holds each saga up, in a line, by their ids; those that nothing does are left out.

    Args:
        app: where they are.
        rows: a page of sagas.
    """
    ids, display, queries = [row.id for row in rows], app.display(), app.store.queries
    found: dict[str, str] = {}
    for each in queries.dead_letters(saga_ids=ids, limit=MOST_LETTERS) if ids else ():
        found.setdefault(each.saga_id, of_letter(display.shown(each.saga_id, each.letter), ())["text"])
    if waits := queries.awaited_in_vain([saga_id for saga_id in ids if saga_id not in found]):
        now = queries.now()
        found |= {saga_id: trouble["text"] for saga_id, some in waits.items() for trouble in [*of_waits(some, now)][:1]}
    return found


def of_letter(letter: DeadLetter, moves: tuple[Move, ...]) -> Trouble:
    """What waits for a person, and what that can do."""
    label = words.activity_label(Slot(letter.step, letter.item, letter.direction))
    detail = first_line(letter.detail)
    return {
        "text": f"{label}: {words.reason(letter)}{f' ({detail})' if detail else ''}",
        "step": words.step_label(letter.step, letter.item) if letter.step else "",
        "moves": list(verbs(moves)),
    }


def of_waits(waits: Sequence[OpenWait], now: datetime) -> Iterator[Trouble]:
    """What should have moved and did not, and no verb mends: workers do."""
    overdue = max(((now - wait.due_at).total_seconds() for wait in waits), default=0.0)
    if overdue > STUCK_AFTER:
        yield _trouble(f"should have moved {spoken(overdue)} ago: no sweeper seems to run; see `saga doctor`")
    for wait in waits:
        if max(wait.resends, wait.failures) >= IN_VAIN:
            label = words.activity_label(wait.slot)
            yield _trouble(f"{label}: sent {wait.resends + 1} times in vain, nobody takes it; see `saga doctor`")


def _trouble(text: str) -> Trouble:
    return {"text": text, "step": "", "moves": []}
