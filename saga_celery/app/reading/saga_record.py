"""One saga as a JSON object."""

from __future__ import annotations

from typing import Any

from saga_celery.app.reading import pauses
from saga_celery.app.reading.case import Case
from saga_celery.app.reading.family import child_records, parent_record
from saga_celery.app.reading.row_record import row_record
from saga_celery.app.reading.sentences import sentence
from saga_celery.app.reading.steps import Timing, timings, used
from saga_celery.app.reading.waiting import Waiting, waiting
from saga_celery.core.moves import next_moves, verbs
from saga_celery.core.plan import StepKind
from saga_celery.core.states import Activity, DeadLetter, StepState, Turn
from saga_celery.engine.ports import INBOX_ITEM
from saga_celery.store.views import HistoryEntry, OpenWait


def saga_record(case: Case, *, with_history: bool) -> dict[str, Any]:
    """The saga, its steps and what it waits for; fields that do not apply are null."""
    state, took = case.found.state, timings(case.history)
    waits = {(each.step, each.item): each for each in waiting(case.found, case.plan)}
    whole: dict[str, Any] = {
        **row_record(case.found.saga, case.suspension, case.standing),
        "tags": case.found.tags,
        "paused": [pauses.record(each) for each in case.holding()],
        "input": state.input,
        "result": state.result,
        "cause": _cause(state.turn),
        "parent": parent_record(case.family),
        "steps": [_step(step, took.get(place), waits.get(place)) for place, step in state.steps.items()],
        "children": child_records(case.family),
        "dead_letters": [_letter(case, letter) for letter in state.letters],
        "awaited": [_wait(wait) for wait in case.found.awaited],
    }
    return {**whole, "history": [_entry(entry) for entry in case.history]} if with_history else whole


def _cause(turn: Turn | None) -> dict[str, Any] | None:
    if turn is None:
        return None
    return {"kind": turn.kind, "reason": turn.reason, "step": turn.step or None, "error": _error(turn.failure)}


def _step(step: StepState, timing: Timing | None, wait: Waiting | None) -> dict[str, Any]:
    return {
        "step": step.name,
        "item": step.item,
        "status": step.status,
        "waits_for": _waits_for(wait),
        "began_at": timing.began if timing else None,
        "settled_at": timing.settled if timing else None,
        "result": step.result,
        "items": step.items,
        "action": _activity(step.action),
        "compensation": _activity(step.compensation),
        "probe": _activity(step.probe),
    }


def _waits_for(wait: Waiting | None) -> dict[str, Any] | None:
    if wait is None:
        return None
    what = "time" if wait.kind is StepKind.SLEEP else "event"
    return {"what": what, "event": wait.event or None, "until": wait.until, "skippable": wait.skippable}


def _activity(activity: Activity | None) -> dict[str, Any] | None:
    if activity is None:
        return None
    return {
        "task": activity.message.task if activity.message else None,
        "attempt": activity.attempt,
        "used": used(activity),
        "allowed": activity.policy.retry.attempts,
        "generation": activity.generation,
        "worker": activity.worker or None,
        "outcome_unknown": activity.lost,
        "waived_by": activity.waived_by or None,
        "error": _error(activity.failure),
    }


def _error(failure: Any) -> dict[str, Any] | None:
    if failure is None:
        return None
    return {"type": failure.type, "message": failure.message, "traceback": failure.traceback or None}


def _letter(case: Case, letter: DeadLetter) -> dict[str, Any]:
    return {
        "step": letter.step,
        "item": letter.item,
        "direction": letter.direction,
        "reason": letter.reason,
        "detail": letter.detail,
        "result": letter.result,
        "moves": verbs(next_moves(case.plan, case.found.state, letter)),
    }


def _wait(wait: OpenWait) -> dict[str, Any]:
    is_news = wait.slot.item == INBOX_ITEM
    return {
        "step": None if is_news else wait.slot.step or None,
        "item": 0 if is_news else wait.slot.item,
        "news": wait.slot.step if is_news else None,
        "direction": wait.slot.direction,
        "awaited": wait.awaited,
        "due_at": wait.due_at,
        "since": wait.since,
        "attempt": wait.attempt,
        "worker": wait.worker or None,
        "resends": wait.resends,
    }


def _entry(entry: HistoryEntry) -> dict[str, Any]:
    facts = [{"fact": type(fact).__name__, "text": sentence(fact)} for fact in entry.facts]
    return {"version": entry.version, "at": entry.at, "actor": entry.actor, "facts": facts}
