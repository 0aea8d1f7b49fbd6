"""`decide(plan, state, news) -> Decision`: the whole behaviour of a saga as one pure function.

Rule 1: whatever makes a saga move is decided below this function and nowhere else.
Rule 2: nothing here knows the time, chance, a database or a broker. Rests are commands; whoever carries them out has
a clock.
Rule 3: news may be late, doubled or wrong at any moment. What they are evidence of is recorded; what they would
break is not.

The parts: `progress` (forward, round, backward), `fan_out` (the items of one step), `rendering` (what the saga's own
code answered), `attempts` (what became of a message), `waits` (events and time), `children` (sagas within sagas),
`operators` (what a person asked for; `suspension`, `editing` and `reopening` are the larger verbs). The law of statuses
is in `lifecycle`.
"""

from __future__ import annotations

from typing import assert_never

from saga_celery.core import attempts, children, operators, rendering, waits
from saga_celery.core import events as e
from saga_celery.core.draft import Decision, Draft, NotAllowed, Outdated
from saga_celery.core.plan import Plan
from saga_celery.core.progress import advance, pivot_passed, take_up, turn
from saga_celery.core.states import Direction, SagaState, SagaStatus, Slot, StepStatus, Turn, TurnKind

__all__ = ["Decision", "NotAllowed", "Outdated", "decide", "decide_posted"]

MOVING = (e.Nudged, e.RestOver, e.RenderAborted, e.WaitRendered, e.ResultRendered)
"""News that bring no outcome and only move a saga on."""


def decide(plan: Plan, state: SagaState, news: e.News) -> Decision:
    """Make something of a piece of news.

    Args:
        plan: the plan that the saga was started with.
        state: the saga as it is stored.
        news: what is reported.

    Returns:
        The facts to store, the state after them, and the commands to carry out. News that change nothing give no facts.

    Raises:
        NotAllowed: an operator asked for what the state does not allow.
    """
    draft = Draft(plan, state)
    if not (state.suspended and _moves(news)):
        _take(draft, news)
    return draft.decision()


def decide_posted(plan: Plan, state: SagaState, news: e.Posted) -> Decision:
    """Make something of news whose sender is gone: always something, so that they need not be looked at again.

    Args:
        plan: the plan that the saga was started with.
        state: the saga as it is stored.
        news: what lay in its inbox.

    Returns:
        As `decide`; what is refused, or changes nothing, is noted.
    """
    note = "there was nothing to do"
    try:
        decision = decide(plan, state, news)
        if decision.facts:
            return decision
    except NotAllowed as sentence:
        note = f"refused: {sentence}"
    draft = Draft(plan, state)
    draft.record(e.NewsIgnored(slot=Slot(""), attempt=0, note=f"{_name(news)}: {note}"))
    return draft.decision()


def _name(news: e.Posted) -> str:
    return f"{news.verb} by {news.actor}" if isinstance(news, e.OperatorAsked) else type(news).__name__


def _moves(news: e.News) -> bool:
    """Tell what a suspended saga takes no notice of; once it is resumed it is asked for again.

    The compensation that undoes a success is stored with it, suspended or not: no deploy shall come between them.
    """
    if isinstance(news, e.Rendered):
        return news.slot.direction is not Direction.COMPENSATION
    return isinstance(news, MOVING)


def _take(draft: Draft, news: e.News) -> None:
    match news:
        case e.Nudged():
            take_up(draft)
        case e.Rendered():
            rendering.rendered(draft, news)
        case e.WaitRendered():
            rendering.wait_rendered(draft, news)
        case e.FanOutRendered():
            rendering.fanned_out(draft, news)
        case e.RenderAborted():
            rendering.aborted(draft, news)
        case e.RenderFailed():
            rendering.failed(draft, news)
        case e.ResultRendered():
            rendering.result_rendered(draft, news)
        case e.AttemptStarted():
            attempts.started(draft, news)
        case e.AttemptSucceeded():
            attempts.succeeded(draft, news)
        case e.AttemptFailed():
            attempts.failed(draft, news)
        case e.AttemptLost():
            attempts.lost(draft, news)
        case e.RestOver():
            _rest_over(draft, news)
        case e.ProbeAnswered():
            attempts.probe_answered(draft, news)
        case e.EventSent():
            waits.event_sent(draft, news)
        case e.ChildEnded():
            children.ended(draft, news)
        case e.ParentTurned():
            children.parent_turned(draft, news)
        case e.DeadlinePassed():
            _deadline_passed(draft)
        case e.OperatorAsked():
            operators.asked(draft, news)
        case _ as never:
            assert_never(never)


def _rest_over(draft: Draft, news: e.RestOver) -> None:
    step = draft.step(news.slot)
    if step is not None and step.status is StepStatus.AWAITING:
        if step.slot(Direction.ACTION) == news.slot:
            waits.time_over(draft, news.slot, step)
    else:
        attempts.rest_over(draft, news)


def _deadline_passed(draft: Draft) -> None:
    """Before the pivot the saga turns round, once nothing is in flight; behind it the saga is merely late."""
    cause = Turn(kind=TurnKind.DEADLINE, reason="the saga's time ran out")
    match draft.state.status:
        case SagaStatus.PENDING:
            turn(draft, cause)
            take_up(draft)
        case SagaStatus.RUNNING if not pivot_passed(draft):
            turn(draft, cause)
            advance(draft)
        case SagaStatus.RUNNING if not draft.state.overdue:
            draft.record(e.SagaOverdue())
        case _:
            return
