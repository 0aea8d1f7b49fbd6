"""One saga on a page: head, steps, what happens next, what went wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from saga_celery.app.reading import words
from saga_celery.app.reading.case import Case
from saga_celery.app.reading.durations import spoken
from saga_celery.app.reading.excerpt import NO_WIDTH, WIDTH, data, excerpt, printable
from saga_celery.app.reading.pauses import sentence as sentence_of
from saga_celery.app.reading.plain import iso
from saga_celery.app.reading.sentences import cause, failure_line, sentence
from saga_celery.app.reading.standing import sentence as standing_sentence
from saga_celery.app.reading.steps import Timing, counted_all, timings
from saga_celery.app.reading.waiting import waiting
from saga_celery.cli import item_lines, listing, styles
from saga_celery.cli.family import children_table, parent_line
from saga_celery.cli.next_moves import onward
from saga_celery.cli.screen import Block
from saga_celery.cli.table import Cell, Styled, Table, bad, doubtful, faint, heading
from saga_celery.core.states import DeadLetter, Failure, Reason, Slot, StepKey, StepState
from saga_celery.engine.ports import Awaited
from saga_celery.store.views import HistoryEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What is printed, and how."""

    case: Case
    program: str
    """How this program is called, for commands to paste."""
    full: bool = False
    """Values are not cut."""

    def data(self, value: object) -> str:
        """A value on one line."""
        return data(value, NO_WIDTH if self.full else WIDTH)


def page(sheet: Sheet, *, with_history: bool) -> list[Block]:
    """The whole page."""
    case = sheet.case
    return [
        *_head(sheet),
        "",
        _steps(case),
        *_results(sheet),
        *children_table(case.family),
        *_next(sheet),
        *_troubles(case),
        *(_history(case.history) if with_history else ()),
    ]


def history_line(entry: HistoryEntry) -> str:
    """One transition on a line."""
    return f"{iso(entry.at)}  {'; '.join(sentence(fact) for fact in entry.facts)}"


# ---------------------------------------------------------------------------------------------------------------- head


def _head(sheet: Sheet) -> Iterator[Block]:
    case = sheet.case
    row, state = case.found.saga, case.found.state
    yield heading(f"{row.name} {row.id}")
    standing = styles.saga_state(row.status)
    flags = listing.flags(row, case.suspension)
    yield Styled("; ".join([f"state: {standing}", *flags]), standing.style if isinstance(standing, Styled) else "")
    for each in case.holding():
        yield doubtful(sentence_of(each, case.now))
    if case.standing is not None:
        yield doubtful(standing_sentence(case.standing, case.now))
    yield from parent_line(case.family)
    if row.key is not None:
        yield f"key: {excerpt(row.key)}"
    if row.lock is not None:
        yield f"lock: {excerpt(row.lock)}"
    if row.priority is not None:
        yield f"priority: {row.priority}"
    if case.found.tags:
        yield f"tags: {', '.join(f'{excerpt(name)}={excerpt(value)}' for name, value in case.found.tags.items())}"
    yield f"started: {iso(row.created_at)}, {_ago(case.now, row.created_at)}"
    if row.ended_at is not None:
        yield f"ended: {iso(row.ended_at)}, after {spoken((row.ended_at - row.created_at).total_seconds())}"
    if row.deadline_at is not None:
        yield f"deadline: {iso(row.deadline_at)}{_left(case)}"
    yield f"input: {sheet.data(state.input)}"
    if state.result is not None:
        yield f"result: {sheet.data(state.result)}"
    if state.turn is not None:
        yield bad(f"cause: {cause(state.turn)}")


def _ago(now: datetime, moment: datetime) -> str:
    return f"{spoken((now - moment).total_seconds())} ago"


def _left(case: Case) -> str:
    row = case.found.saga
    if row.status.ended or row.deadline_at is None:
        return ""
    left = (row.deadline_at - case.now).total_seconds()
    return f", in {spoken(left)}" if left > 0 else f", {spoken(-left)} ago"


# --------------------------------------------------------------------------------------------------------------- steps


def _steps(case: Case) -> Table:
    took = timings(case.history)
    held = [wait.slot for wait in case.found.awaited if wait.awaited is Awaited.HELD]
    waits = {(slot.step, slot.item): "held by a pause, not sent yet" for slot in held}
    waits |= {(each.step, each.item): each.words(case.now) for each in waiting(case.found, case.plan)}
    return Table(
        columns=("step", "status", "attempts", "took", "result", "last error"),
        rows=tuple(row for planned in case.plan.steps for row in _rows(case, planned.name, planned.pivot, took, waits)),
    )


def _rows(
    case: Case, name: str, pivot: bool, took: Mapping[StepKey, Timing], waits: Mapping[StepKey, str]
) -> Iterator[tuple[Cell, ...]]:
    begun = sorted((step for step in case.found.state.steps.values() if step.name == name), key=lambda step: step.item)
    label = f"{name} (pivot)" if pivot else name
    if not begun:
        turned = case.found.state.turn is not None or case.found.state.status.ended
        yield (label, faint("never begun" if turned else "not begun"), "", "", "", "")
    items = [step for step in begun if step.item]
    for step in (step for step in begun if not step.item):
        attempts = counted_all(step) if step.items is None else item_lines.counted(step, items)
        yield _row(case, label, step, attempts, took, waits.get((step.name, step.item)))
    for step in item_lines.telling(items):
        yield _row(
            case, words.step_label(label, step.item), step, counted_all(step), took, waits.get((name, step.item))
        )
    left_out = item_lines.left_out(items)
    if left_out:
        yield ("…", faint(left_out), "", "", "", "")


def _row(
    case: Case, label: str, step: StepState, attempts: str, took: Mapping[StepKey, Timing], waits: str | None = None
) -> tuple[Cell, ...]:
    return (
        label,
        styles.step_status(step) if waits is None else doubtful(waits),
        attempts,
        _took(took.get((step.name, step.item)), case.now),
        data(step.result, 60),
        failure_line(_latest_failure(step)),
    )


def _results(sheet: Sheet) -> Iterator[Block]:
    """What the table has to cut."""
    steps = sheet.case.found.state.steps.values() if sheet.full else ()
    found = [step for step in steps if step.result is not None]
    if found:
        yield ""
        yield heading("Results")
    for step in found:
        yield f"  {words.step_label(step.name, step.item)}: {sheet.data(step.result)}"


def _took(timing: Timing | None, now: datetime) -> str:
    if timing is None:
        return ""
    return spoken(timing.seconds(now)) + ("" if timing.settled else " so far")


def _latest_failure(step: StepState) -> Failure | None:
    """Of what was tried last: the compensation, the probe, the action."""
    for activity in (step.compensation, step.probe, step.action):
        if activity is not None and activity.failure is not None:
            return activity.failure
    return None


# ---------------------------------------------------------------------------------------------------------------- next


def _next(sheet: Sheet) -> Iterator[Block]:
    case = sheet.case
    yield ""
    yield heading("Next")
    for each in onward(case, sheet.program):
        yield f"  {each}"


def _troubles(case: Case) -> Iterator[Block]:
    """The whole of every error that waits for a person, in place."""
    for letter in case.found.state.letters:
        slot = Slot(letter.step, letter.item, letter.direction)
        yield ""
        yield bad(f"Dead letter: {words.activity_label(slot)}, {letter.reason.value}")
        if letter.detail:
            yield _indented(letter.detail)
        if letter.result is not None:
            yield f"  result: {data(letter.result, 2000)}"
        failure = _failure_behind(case, letter)
        if failure is not None and failure.traceback:
            yield _indented(failure.traceback)


def _failure_behind(case: Case, letter: DeadLetter) -> Failure | None:
    """What a late effect took for failed is no longer of interest."""
    step = case.found.state.step(letter.step, letter.item)
    return step.activity(letter.direction).failure if step and letter.reason is not Reason.LATE_EFFECT else None


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in printable(text).rstrip().splitlines())


def _history(history: Sequence[HistoryEntry]) -> Iterator[Block]:
    yield ""
    yield heading("History")
    for entry in history:
        yield f"  {history_line(entry)}"
