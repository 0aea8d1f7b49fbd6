"""The engine's ports in memory: a store with compare-and-set and awaited rows, a broker that is a list, a clock.

They are small enough to be read as the specification of the ports, and the simulator runs on them too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

from saga_celery.core.commands import Render, RenderResult
from saga_celery.core.events import Fact, News, Rendered, ResultRendered
from saga_celery.core.plan import Plan
from saga_celery.core.retry import Retry
from saga_celery.core.states import Message, Policy, SagaState, SagaStatus, Slot
from saga_celery.engine.admission import Entry
from saga_celery.engine.ports import (
    DEADLINE_SLOT,
    NUDGE_SLOT,
    Awaited,
    Change,
    Due,
    InboxNews,
    Living,
    Outgoing,
    Overdue,
    Running,
    Unanswered,
    inbox_slot,
)
from saga_celery.errors import PublishFailed, StoreUnavailable

HEARTBEAT_FRESH = 15.0
"""Seconds for which a heartbeat counts."""

Place = tuple[str, str, int, str]


@dataclass
class FakeClock:
    """The database's clock."""

    now: float = 0.0

    def advance(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Row:
    """One thing that is awaited."""

    due: Due
    at: float
    """When it is due."""
    since: float
    """When the message went out, or the worker began."""
    resends: int = 0
    failures: int = 0
    version: int = 0
    asleep: bool = False


@dataclass
class Heartbeat:
    at: float
    running: tuple[Running, ...]


@dataclass
class FakeStore:
    """The saga database, without SQL. Nothing in it waits; a transition is stored as a whole or not at all."""

    clock: FakeClock = field(default_factory=FakeClock)
    sagas: dict[str, SagaState] = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)
    rows: dict[Place, Row] = field(default_factory=dict)
    history: dict[str, list[tuple[int, tuple[Fact, ...]]]] = field(default_factory=dict)
    heartbeats: dict[str, Heartbeat] = field(default_factory=dict)
    inboxes: dict[tuple[str, str], InboxNews] = field(default_factory=dict)
    """By saga and id, the oldest first; those that were taken are in `taken`, too."""
    taken: set[tuple[str, str]] = field(default_factory=set)

    # -------------------------------------------------------------------------------------------------- set up, look at

    def start(self, plan: Plan, saga_id: str = "s1", *, input: Any = None, deadline: float | None = None) -> SagaState:
        """What `start()` inserts: the saga, its first nudge and its deadline."""
        self.plans[plan.hash] = plan
        state = SagaState(id=saga_id, name=plan.saga, plan_hash=plan.hash, input=input)
        self.sagas[saga_id] = state
        self.history[saga_id] = []
        self._await(saga_id, Due(slot=NUDGE_SLOT, awaited=Awaited.NUDGE, seconds=0.0))
        if deadline is not None:
            self._await(saga_id, Due(slot=DEADLINE_SLOT, awaited=Awaited.DEADLINE, seconds=deadline))
        return state

    def put(self, plan: Plan, state: SagaState, *awaited: Due) -> None:
        """Set a saga to a state that some earlier story led to."""
        self.plans[plan.hash] = plan
        self.sagas[state.id] = state
        self.history.setdefault(state.id, [])
        for due in awaited:
            self._await(state.id, due)

    def post(self, *news: InboxNews) -> None:
        """What whoever sends news inserts."""
        for each in news:
            if self.inboxes.setdefault((each.saga_id, each.id), each) is each:
                self._await(each.saga_id, Due(slot=inbox_slot(each.id), awaited=Awaited.NUDGE, seconds=10.0))

    def row(self, saga_id: str, slot: Slot) -> Row | None:
        return self.rows.get(_place(saga_id, slot))

    def rows_of(self, saga_id: str) -> list[Row]:
        return [row for place, row in self.rows.items() if place[0] == saga_id]

    def beat(self, worker: str, *running: Running) -> None:
        self.heartbeats[worker] = Heartbeat(at=self.clock.now, running=running)

    def next_due(self) -> float | None:
        return min((row.at for row in self.rows.values() if not row.asleep), default=None)

    # ------------------------------------------------------------------------------------------------------- the port

    def load(self, saga_id: str, *, fresh: bool = True) -> SagaState | None:
        return self.sagas.get(saga_id)

    def load_with_inbox(self, saga_id: str, *, fresh: bool = True) -> tuple[SagaState | None, Sequence[InboxNews]]:
        return self.load(saga_id, fresh=fresh), self.inbox(saga_id)

    def keep_up(self, saga_id: str, version: int) -> None:
        pass

    def catch_up(self, saga_id: str) -> SagaState | None:
        return self.load(saga_id)

    def plan(self, plan_hash: str) -> Plan:
        return self.plans[plan_hash]

    def save(self, change: Change) -> bool:
        saga_id = change.before.id
        if self.sagas[saga_id].version != change.before.version:
            return False
        version = change.before.version + 1
        self.sagas[saga_id] = replace(change.after, version=version)
        self.history[saga_id].append((version, change.facts))
        for slot in change.settled:
            self.rows.pop(_place(saga_id, slot), None)
        if change.wakes:
            self._wake(saga_id, version)
        for due in change.awaited:
            self._await(saga_id, due)
        self.taken |= {(saga_id, news_id) for news_id in change.taken}
        self.post(*change.posts)
        for child in change.children:
            started = self.start(child.plan, child.id, input=child.input, deadline=child.timeout)
            self.sagas[child.id] = replace(started, parent=child.parent, headers=child.headers)
        return True

    def inbox(self, saga_id: str) -> Sequence[InboxNews]:
        return [news for place, news in self.inboxes.items() if place[0] == saga_id and place not in self.taken]

    def _wake(self, saga_id: str, version: int) -> None:
        for row in self.rows_of(saga_id):
            row.version = version
            row.at = self.clock.now if row.asleep else row.at
            row.asleep = False

    def overdue(self, limit: int, lease: float) -> Sequence[Overdue]:
        now = self.clock.now
        due = sorted((row.at, place) for place, row in self.rows.items() if row.at <= now)[:limit]
        found = []
        for _, place in due:
            row = self.rows[place]
            row.at = now + lease
            found.append(_overdue(place[0], row, now))
        return found

    def postpone(self, row: Overdue, seconds: float, *, resent: bool = False, failed: bool = False) -> None:
        kept = self._unchanged(row)
        if kept is None:
            return
        kept.at = self.clock.now + seconds
        kept.resends += resent
        kept.failures += failed

    def observe(self, row: Overdue, running: Running, seconds: float) -> None:
        kept = self._unchanged(row)
        if kept is None:
            return
        kept.due = replace(kept.due, awaited=Awaited.END, worker=running.worker)
        kept.at = self.clock.now + seconds
        kept.since = max(kept.since, self.clock.now - running.seconds)

    def hold(self, row: Overdue, seconds: float) -> None:
        kept = self._unchanged(row)
        if kept is not None and kept.at > self.clock.now:
            kept.at = self.clock.now + seconds

    def release(self, row: Overdue, due: Due) -> bool:
        kept = self._unchanged(row)
        if kept is None:
            return False
        kept.due = due
        kept.since = self.clock.now
        kept.at = self.clock.now + due.seconds
        return True

    def release_soon(self) -> None:
        """What the end of a pause does."""
        for row in self.rows.values():
            if row.due.awaited is Awaited.HELD:
                row.at = self.clock.now
                row.asleep = False

    def sleep(self, row: Overdue) -> None:
        kept = self._unchanged(row)
        if kept is not None:
            kept.at = inf
            kept.asleep = True

    def extend(self, saga_id: str, slot: Slot, attempt: int, worker: str) -> bool:
        kept = self.rows.get(_place(saga_id, slot))
        if kept is None or (kept.due.slot, kept.due.attempt) != (slot, attempt):
            return False
        if kept.due.awaited not in (Awaited.START, Awaited.END) or kept.due.worker not in ("", worker):
            return False
        kept.due = replace(kept.due, awaited=Awaited.END, worker=worker)
        kept.since = self.clock.now
        return True

    def await_again(self, saga_id: str, slot: Slot, attempt: int, seconds: float) -> None:
        kept = self.rows.get(_place(saga_id, slot))
        if kept is not None and kept.due.attempt == attempt:
            kept.due = replace(kept.due, awaited=Awaited.START)
            kept.at = self.clock.now + seconds

    def forget_nudge(self, saga_id: str, version: int) -> None:
        if self.sagas[saga_id].version == version:
            self.rows.pop(_place(saga_id, NUDGE_SLOT), None)
            for news_id in [place[1] for place in self.taken if place[0] == saga_id]:
                self.rows.pop(_place(saga_id, inbox_slot(news_id)), None)

    def unanswered(self, saga_id: str) -> Unanswered:
        row = self.rows.get(_place(saga_id, NUDGE_SLOT))
        if row is None:
            return Unanswered()
        row.since = row.since if row.failures else self.clock.now
        row.failures += 1
        return Unanswered(times=row.failures, seconds=self.clock.now - row.since)

    def hasten(self, saga_id: str, slots: Sequence[Slot], seconds: float) -> None:
        for slot in slots:
            row = self.rows.get(_place(saga_id, slot))
            if row is not None:
                row.at = min(row.at, self.clock.now + seconds)

    def living(self) -> Living:
        fresh = {name: beat for name, beat in self.heartbeats.items() if self.clock.now - beat.at <= HEARTBEAT_FRESH}
        return living(fresh.keys(), self.heartbeats.keys(), (run for beat in fresh.values() for run in beat.running))

    # -------------------------------------------------------------------------------------------------------- inside

    def _await(self, saga_id: str, due: Due) -> None:
        now = self.clock.now
        self.rows[_place(saga_id, due.slot)] = Row(due=due, at=now + due.seconds, since=now)

    def _unchanged(self, row: Overdue) -> Row | None:
        kept = self.rows.get(_place(row.saga_id, row.slot))
        if kept is None:
            return None
        seen = (row.awaited, row.attempt, row.epoch, row.worker, row.resends, row.version)
        due = kept.due
        known = (due.awaited, due.attempt, due.epoch, due.worker, kept.resends, kept.version)
        return kept if seen == known else None


def living(fresh: Iterable[str], known: Iterable[str], running: Iterable[Running]) -> Living:
    """What heartbeats tell."""
    return Living(
        workers=frozenset(fresh),
        known=frozenset(known),
        attempts={
            (run.saga_id, run.slot.step, run.slot.item, run.slot.direction.value, run.attempt): run for run in running
        },
    )


def _place(saga_id: str, slot: Slot) -> Place:
    return (saga_id, slot.step, slot.item, slot.direction.value)


def _overdue(saga_id: str, row: Row, now: float) -> Overdue:
    due = row.due
    return Overdue(
        saga_id=saga_id,
        slot=due.slot,
        awaited=due.awaited,
        attempt=due.attempt,
        epoch=due.epoch,
        worker=due.worker,
        timeout=due.timeout,
        resends=row.resends,
        failures=row.failures,
        age=now - row.since,
        version=row.version,
    )


@dataclass
class FakeTransport:
    """A broker that keeps what it is given, or takes nothing while it is `down`."""

    down: bool = False
    foreign: frozenset[str] = frozenset()
    """Names of tasks whose workers have no saga code."""
    waiting: int = 0
    """Length of every queue."""
    sent: list[Outgoing] = field(default_factory=list)
    nudged: list[str] = field(default_factory=list)
    priorities: list[int | None] = field(default_factory=list)
    """Those of the nudges."""

    def send(self, messages: Sequence[Outgoing]) -> None:
        if self.down:
            raise PublishFailed("the broker is down")
        self.sent += messages

    def nudge(self, saga_ids: Sequence[str], priority: int | None = None) -> None:
        if self.down:
            raise PublishFailed("the broker is down")
        self.nudged += saga_ids
        self.priorities += [priority] * len(saga_ids)

    def is_foreign(self, message: Message) -> bool:
        return message.task in self.foreign

    def backlog(self, message: Message | None = None) -> int:
        return self.waiting


@dataclass
class FakeGates:
    """Lets in who is in `inside`; whoever leaves makes room for those in `next_in_turn`."""

    inside: set[str] = field(default_factory=set)
    next_in_turn: list[str] = field(default_factory=list)
    refused_by: str | None = None
    down: bool = False
    left: list[str] = field(default_factory=list)

    def enter(self, saga_id: str) -> Entry:
        others, self.next_in_turn = tuple(self.next_in_turn), []
        return Entry(admitted=saga_id in self.inside, others=others, refused_by=self.refused_by)

    def leave(self, saga_id: str) -> Sequence[str]:
        if self.down:
            raise StoreUnavailable("the database is down")
        self.left.append(saga_id)
        others, self.next_in_turn = self.next_in_turn, []
        return others


@dataclass
class FakeGate:
    """Holds messages to the tasks, and those of the sagas, that are named in `paused`."""

    paused: set[str] = field(default_factory=set)
    refreshed: int = 0

    def holds(self, saga_name: str, task: str) -> bool:
        return not self.paused.isdisjoint({saga_name, task})

    def refresh(self) -> None:
        self.refreshed += 1


Answer = News | None | Callable[[SagaState], News | None]


@dataclass
class FakeRenderer:
    """The sagas' own code: a message named after each activity, unless `answers` knows better."""

    policy: Policy = field(default_factory=Policy)
    answers: dict[Any, Answer] = field(default_factory=dict)
    """(step, direction) or "result" -> what the code answers."""
    asked: list[Any] = field(default_factory=list)

    def render(self, plan: Plan, state: SagaState, wish: Render | RenderResult) -> News | None:
        key = "result" if isinstance(wish, RenderResult) else (wish.slot.step, wish.slot.direction)
        self.asked.append(key)
        if key in self.answers:
            answer = self.answers[key]
            return answer(state) if callable(answer) else answer
        if isinstance(wish, RenderResult):
            return ResultRendered(result="done")
        message = Message(task=f"{wish.slot.step}.{wish.slot.direction}")
        return Rendered(slot=wish.slot, message=message, policy=self.policy)


def flat_backoff(retry: Retry, tries: int) -> float:
    """No chance: the upper bound of each rest."""
    return min(retry.delay * 2 ** (tries - 1), retry.maximum) if tries else retry.delay


def ended(state: SagaState) -> bool:
    """Nothing more happens on its own."""
    return state.status in (SagaStatus.COMPLETED, SagaStatus.COMPENSATED, SagaStatus.FAILED)
