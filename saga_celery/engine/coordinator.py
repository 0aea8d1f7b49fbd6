"""The coordinator: takes news of a saga, lets the machine decide, stores the transition, and only then publishes.

What is published may get lost, doubled or delayed: the rows that await an answer were stored in the same
transaction, and the sweeper comes back to them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from saga_celery.core.commands import Command, Render, RenderResult, Rest, Send, Settle, Watch
from saga_celery.core.copies import replace
from saga_celery.core.events import DeadlinePassed, Fact, News, Nudged, OperatorAsked, RenderFailed
from saga_celery.core.machine import Decision, NotAllowed, decide, decide_posted
from saga_celery.core.plan import Plan
from saga_celery.core.states import Activity, DeadLetter, SagaState, SagaStatus, Slot
from saga_celery.engine import correspondence, orphans
from saga_celery.engine.admission import AdmissionControl, asks_to_begin, hands_on, refusal
from saga_celery.engine.courier import Courier
from saga_celery.engine.gate import OpenGate
from saga_celery.engine.log_fields import about_state
from saga_celery.engine.payloads import Packer
from saga_celery.engine.ports import (
    DEADLINE_SLOT,
    NUDGE_SLOT,
    Awaited,
    Backoff,
    Change,
    Due,
    Gate,
    InboxNews,
    Outgoing,
    Renderer,
    Store,
    Transport,
    inbox_slot,
)
from saga_celery.errors import PublishFailed, RetryTransaction

logger = logging.getLogger("saga_celery")

NUDGE_GRACE = 10.0
"""Seconds until an unanswered nudge is repeated."""
UNSENT_GRACE = 2.0
"""Seconds until a message that the broker refused is sent again."""
LOOK_AGAIN = 15.0
"""Seconds between two looks at an attempt that is known to run."""
HELD_LOOK = 5.0
"""Seconds until a message that a pause keeps back is looked at; longer than any process goes by an old pause."""
MOST_CONFLICTS = 50
"""Lost races for one piece of news after which something else must be wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled:
    """What became of a piece of news."""

    state: SagaState
    facts: tuple[Fact, ...]
    """Empty when the news changed nothing."""


class Coordinator:
    """Moves sagas. It keeps no state of its own, so any number of copies may run.

    Args:
        store: the saga database.
        transport: the broker.
        renderer: the sagas' own code; None where it must not run, as in the sweeper.
        backoff: how long to rest before a retry.
        parks_render_failures: True only in the coordinator task: a failure of the sagas' code parks the saga there,
            and is handed on to the coordinator task anywhere else.
        gate: keeps back messages that are paused; by default none.
        on_facts: called after each commit with the state and the facts; must not raise.
        courier: tells hooks; None: there are none.
        admission: lets sagas begin that were started on terms; None: nobody has to wait.
        packer: packs what news bring, the one that the renderer opens with; None: everything lies open.
    """

    def __init__(
        self,
        *,
        store: Store,
        transport: Transport,
        renderer: Renderer | None,
        backoff: Backoff,
        parks_render_failures: bool = False,
        gate: Gate | None = None,
        on_facts: Callable[[Handled], None] | None = None,
        courier: Courier | None = None,
        admission: AdmissionControl | None = None,
        packer: Packer | None = None,
    ) -> None:
        self._store = store
        self._transport = transport
        self._renderer = renderer
        self._backoff = backoff
        self._parks = parks_render_failures
        self._gate = gate or OpenGate()
        self._on_facts = on_facts
        self._courier = courier
        self._admission = admission
        self._packer = packer

    def handle(self, saga_id: str, news: News) -> Handled | None:
        """Load, decide, store, publish.

        Args:
            saga_id: the saga.
            news: what is reported.

        Returns:
            What became of it; None when no such saga is visible (its start rolled back, or is not committed yet).

        Raises:
            NotAllowed: an operator's verb does not fit the state.
            StoreError: the database failed; nothing was stored, and the same news may be handled again.
        """
        fresh = isinstance(news, OperatorAsked)  # what a person is refused must be refused by what is true now
        state, left = self._found(saga_id, news, fresh=fresh)
        for _ in range(MOST_CONFLICTS):
            if state is None:
                return None
            told: News | None = self._taken_in(saga_id, news)
            inbox = self._taken_up(left)
            if asks_to_begin(state, news) and (waits := self._not_admitted(state)) is not None:
                if not inbox:
                    return waits
                told = None  # it may not begin; what it was sent, such as a wish to cancel it, counts all the same
            decision = self._decide(self._store.plan(state.plan_hash), state, told, inbox)
            change = self._change(state, decision, told, inbox)
            if change.facts:
                if self._store.save(change):
                    return self._after_commit(change, decision)
            elif fresh:
                return self._nothing_changed(change, decision, news)
            state, fresh = self._store.catch_up(saga_id), True  # a state that is out of date must not swallow news
            left = self._store.inbox(saga_id) if isinstance(news, Nudged) else ()
        raise RetryTransaction(f"saga {saga_id}: {MOST_CONFLICTS} transitions in a row were overtaken by others")

    def _found(self, saga_id: str, news: News, *, fresh: bool) -> tuple[SagaState | None, Sequence[InboxNews]]:
        """The saga, and at a nudge what was left for it."""
        if isinstance(news, Nudged):
            return self._store.load_with_inbox(saga_id, fresh=fresh)
        return self._store.load(saga_id, fresh=fresh), ()

    def _not_admitted(self, state: SagaState) -> Handled | None:
        """What became of a saga whose turn to begin has not come; None when it has."""
        if self._admission is None:
            return None
        entry = self._admission.enter(state)
        if entry.refused_by is not None:
            return self.handle(state.id, refusal(entry.refused_by))
        return None if entry.admitted else Handled(state=state, facts=())

    def _taken_in(self, saga_id: str, news: News) -> News:
        """The news, packed; what an attempt that was overtaken had packed is forgotten."""
        if self._packer is None:
            return news
        self._packer.forget()
        return self._packer.news(saga_id, news)

    def _taken_up(self, inbox: Sequence[InboxNews]) -> Sequence[InboxNews]:
        """News from the inbox, packed; a sender that has no codec, or another one, left them as they are."""
        packer = self._packer
        return inbox if packer is None else [replace(each, news=packer.news(each.saga_id, each.news)) for each in inbox]

    def _hand_over(self, saga_id: str, other_id: str, value: Any) -> Any:
        """A value of one saga, as another one may hold it."""
        return value if self._packer is None else self._packer.handed_over(saga_id, other_id, value)

    def _nothing_changed(self, change: Change, decision: Decision, news: News) -> Handled:
        """A nudge that this process can not answer, as it has not the saga's code, stays awaited and is repeated."""
        handled: Handled | None = None
        orphan = orphans.letter_of(change.before)
        if isinstance(news, Nudged) and orphan is not None:
            handled = self._class_is_back(change.before, orphan)
        elif isinstance(news, Nudged) and not change.awaited:
            self._store.forget_nudge(change.before.id, change.before.version)
        elif isinstance(news, Nudged) and self._parks and orphans.given_up(self._store.unanswered(change.before.id)):
            handled = self._park_orphan(change.before, _sorted(decision.commands)[0][0])
        return handled or Handled(state=change.before, facts=())

    def _park_orphan(self, before: SagaState, wish: Render | RenderResult) -> Handled | None:
        """Park a saga whose class no worker has; its nudge stays, so that it goes on when one has it again."""
        news = orphans.class_missing(before, wish)
        decision = decide(self._store.plan(before.plan_hash), before, news)
        change = replace(self._change(before, decision, news), awaited=(orphans.LOOK_FOR_CLASS,))
        return self._after_commit(change, decision) if self._store.save(change) else None

    def _class_is_back(self, state: SagaState, orphan: DeadLetter) -> Handled | None:
        """Go on with a saga that was parked for its class, where this process has it."""
        plan, wish = self._store.plan(state.plan_hash), orphans.wish_of(state, orphan)
        if not self._parks or self._renderer is None or self._renderer.render(plan, state, wish) is None:
            return None
        try:
            return self.handle(state.id, orphans.retry(orphan))
        except NotAllowed:  # somebody else was faster
            return None

    # --------------------------------------------------------------------------------------------------------- decide

    def _decide(self, plan: Plan, state: SagaState, news: News | None, inbox: Sequence[InboxNews] = ()) -> Decision:
        """Let the machine decide, and the saga's code answer what the machine asks, until nothing is left to ask."""
        decision, facts, commands = _with_inbox(plan, state, news, inbox)
        found, orders = _sorted(commands)
        wishes = list(dict.fromkeys(found))
        unanswered: list[Command] = []
        asked: set[Command] = set()
        while wishes:
            wish = wishes.pop(0)
            answer = self._answer(plan, decision.state, wish)
            if answer is None:
                unanswered.append(wish)
                continue
            decision = decide(plan, decision.state, answer)
            facts += decision.facts
            asked.add(wish)
            more, new_orders = _sorted(decision.commands)
            wishes += [fresh for fresh in more if fresh not in asked and fresh not in (*wishes, *unanswered)]
            orders += new_orders
        return Decision(state=decision.state, facts=tuple(facts), commands=(*orders, *unanswered))

    def _answer(self, plan: Plan, state: SagaState, wish: Render | RenderResult) -> News | None:
        if self._renderer is None:
            return None
        answer = self._renderer.render(plan, state, wish)
        if answer is None or (isinstance(answer, RenderFailed) and not self._parks):
            return None
        return self._packer.news(state.id, answer) if self._packer is not None else answer

    # ---------------------------------------------------------------------------------------------------------- store

    def _change(
        self, before: SagaState, decision: Decision, news: News | None, inbox: Sequence[InboxNews] = ()
    ) -> Change:
        awaited = tuple(self._awaited(decision))
        busy = {_place(due.slot) for due in awaited}
        settled = [command.slot for command in decision.commands if isinstance(command, Settle)]
        settled += _settled_for_all(decision, news)
        settled += [inbox_slot(each.id) for each in inbox]
        return Change(
            before=before,
            after=decision.state,
            facts=decision.facts,
            awaited=awaited,
            settled=tuple(slot for slot in settled if _place(slot) not in busy),
            deliveries=() if self._courier is None else self._courier.prepared(decision.state, decision.facts),
            taken=tuple(each.id for each in inbox),
            posts=tuple(correspondence.posts(before, decision.state, decision.commands, inbox, self._hand_over)),
            children=tuple(correspondence.children(decision.state, decision.commands, self._hand_over)),
            payloads=() if self._packer is None or not decision.facts else self._packer.taken(),
        )

    def _awaited(self, decision: Decision) -> Iterator[Due]:
        latest: dict[tuple[str, int, str], Due | None] = {}
        for command in decision.commands:
            match command:
                case Settle(slot=slot):
                    latest[_place(slot)] = None
                case Send() | Watch() | Rest():
                    due = self._due(decision.state, command)
                    latest[_place(due.slot)] = due
        yield from (due for due in latest.values() if due is not None)
        owed = any(isinstance(command, Render | RenderResult) for command in decision.commands)
        if owed and not _over(decision.state):
            yield Due(slot=NUDGE_SLOT, awaited=Awaited.NUDGE, seconds=NUDGE_GRACE)

    def _due(self, state: SagaState, command: Send | Watch | Rest) -> Due:
        slot = command.slot
        activity = state.steps[(slot.step, slot.item)].activity(slot.direction)
        policy = activity.policy
        match command:
            case Send(attempt=attempt) if held(self._gate, state, activity):
                sent = dispatched(activity, slot, attempt, self._transport)
                return replace(sent, awaited=Awaited.HELD, seconds=HELD_LOOK)
            case Send(attempt=attempt):
                return dispatched(activity, slot, attempt, self._transport)
            case Watch(attempt=attempt, epoch=epoch, worker=worker):
                return Due(
                    slot=slot,
                    awaited=Awaited.END,
                    seconds=min(policy.timeout, LOOK_AGAIN),
                    attempt=attempt,
                    epoch=epoch,
                    worker=worker,
                    timeout=policy.timeout,
                )
            case Rest():
                return Due(slot=slot, awaited=Awaited.REST, seconds=self._rest(command), attempt=command.attempt)
            case _ as never:
                assert_never(never)

    def _rest(self, command: Rest) -> float:
        if command.seconds is not None or command.retry is None:
            return command.seconds or 0.0
        return self._backoff(command.retry, command.tries)

    # -------------------------------------------------------------------------------------------------------- publish

    def _after_commit(self, change: Change, decision: Decision) -> Handled:
        stored = replace(decision.state, version=change.before.version + 1)
        handled = Handled(state=stored, facts=decision.facts)
        self._publish(change, stored)
        if self._courier is not None:
            self._courier.send(change.deliveries)
        if self._admission is not None and hands_on(change.before, stored):
            self._admission.left(stored)
        if self._on_facts is not None:
            self._on_facts(handled)
        return handled

    def _publish(self, change: Change, state: SagaState) -> None:
        messages = [outgoing(state, due.slot, due.attempt) for due in change.awaited if _goes_out(due)]
        nudges = [state.id for due in change.awaited if due.awaited is Awaited.NUDGE]
        nudges += [child.id for child in change.children]
        nudges += dict.fromkeys(post.saga_id for post in change.posts)
        try:
            if messages:
                self._transport.send(messages)
            if nudges:
                self._transport.nudge(nudges, state.priority)
        except PublishFailed as failure:
            self._send_later(change, state, failure)

    def _send_later(self, change: Change, state: SagaState, failure: PublishFailed) -> None:
        logger.warning(
            "saga %s is stored, but the broker took no message (%s); the sweeper sends it",
            state.id,
            failure,
            extra=about_state(state),
        )
        unsent = [due.slot for due in change.awaited if _goes_out(due) or due.awaited is Awaited.NUDGE]
        self._store.hasten(state.id, unsent, UNSENT_GRACE)


def _with_inbox(
    plan: Plan, state: SagaState, news: News | None, inbox: Sequence[InboxNews]
) -> tuple[Decision, list[Fact], tuple[Command, ...]]:
    """Decide what lay in the inbox first; a nudge looks at what is left to do after it."""
    facts: list[Fact] = []
    commands: tuple[Command, ...] = ()
    decision = Decision(state=state, facts=(), commands=())
    for each in inbox:
        decision = decide_posted(plan, state, each.news)
        state = decision.state
        facts += decision.facts
        commands += decision.commands
    if news is not None:
        decision = decide(plan, state, news)
        facts += decision.facts
        commands += decision.commands
    return decision, facts, commands


def held(gate: Gate, state: SagaState, activity: Activity) -> bool:
    """Tell whether the message of an activity is paused."""
    return activity.message is not None and gate.holds(state.name, activity.message.task)


def dispatched(activity: Activity, slot: Slot, attempt: int, transport: Transport) -> Due:
    """What is awaited once the message of an attempt has gone out for the first time.

    Args:
        activity: whose message it is.
        slot: its address.
        attempt: the attempt.
        transport: tells whether the worker is one that will never announce its start.
    """
    policy = activity.policy
    foreign = activity.message is not None and transport.is_foreign(activity.message)
    return Due(
        slot=slot,
        awaited=Awaited.END if foreign else Awaited.START,
        seconds=policy.timeout if foreign else policy.queue_grace,
        attempt=attempt,
        epoch=activity.epoch,
        timeout=policy.timeout,
    )


def outgoing(state: SagaState, slot: Slot, attempt: int, *, resends: int = 0) -> Outgoing:
    """The stored message of an activity, made ready to be sent.

    Args:
        state: the saga.
        slot: which activity.
        attempt: its attempt.
        resends: how often this attempt was sent before.
    """
    step = state.steps[(slot.step, slot.item)]
    activity = step.activity(slot.direction)
    assert activity.message is not None  # noqa: S101 - only what was rendered is ever dispatched
    return Outgoing(
        saga_id=state.id,
        saga_name=state.name,
        plan_hash=state.plan_hash,
        slot=slot,
        attempt=attempt,
        epoch=activity.epoch,
        message=activity.message,
        claim=resends > 0 or not activity.policy.resend,
        safe=activity.policy.resend,
        resends=resends,
        timeout=activity.policy.timeout,
        headers=state.headers,
        priority=state.priority,
        run_on=activity.policy.run_on,
        action_generation=step.action.generation,
        action_attempt=step.action.attempt,
        version=state.version,
    )


def _settled_for_all(decision: Decision, news: News | None) -> Iterator[Slot]:
    """What the saga as a whole awaits no more.

    Only a nudge looks at all that is owed, so nothing else may settle the nudge of a saga that goes on.
    """
    if _over(decision.state) or isinstance(news, Nudged):
        yield NUDGE_SLOT
    if _over(decision.state) or isinstance(news, DeadlinePassed):
        yield DEADLINE_SLOT


def _over(state: SagaState) -> bool:
    return state.status in (SagaStatus.COMPLETED, SagaStatus.COMPENSATED)


def _goes_out(due: Due) -> bool:
    """A message goes out for what awaits a start, and for what a foreign worker will never announce."""
    return due.awaited is Awaited.START or (due.awaited is Awaited.END and not due.worker)


def _sorted(commands: tuple[Command, ...]) -> tuple[list[Render | RenderResult], list[Command]]:
    wishes: list[Render | RenderResult] = []
    orders: list[Command] = []
    for command in commands:
        if isinstance(command, Render | RenderResult):
            wishes.append(command)
        else:
            orders.append(command)
    return wishes, orders


def _place(slot: Slot) -> tuple[str, int, str]:
    return slot[:3]
