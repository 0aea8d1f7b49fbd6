"""One simulated world: a saga database, a broker that can not be trusted, workers that die, two sweepers, an operator.

Everything is one heap of things to come and one random number generator, so a seed is a whole history. The machine, the
coordinator and the sweeper are the real ones; they run on ports that break on purpose:

* after each read of a saga other things may happen first, so that transitions truly overtake each other;
* before and after each call of a port the process may die, and its unacknowledged message may or may not come back;
* messages get lost, doubled, late and out of order, and now and then the broker forgets everything.

After a while the world heals: faults stop, time runs, and everything must come to an end that the checks accept.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random  # noqa: TID251 - every draw of a simulated world comes from its seed
from typing import Any

from saga_celery.core import events as e
from saga_celery.core.commands import Render, RenderResult
from saga_celery.core.draft import NotAllowed
from saga_celery.core.plan import Plan, StepKind
from saga_celery.core.retry import Retry
from saga_celery.core.states import (
    Activity,
    Direction,
    Failure,
    Message,
    Policy,
    Reason,
    SagaState,
    SagaStatus,
    Slot,
    StepStatus,
    step_label,
)
from saga_celery.engine.coordinator import Coordinator
from saga_celery.engine.correspondence import child_message
from saga_celery.engine.ports import Change, InboxNews, Living, Outgoing, Overdue, Running, Unanswered
from saga_celery.engine.sweeper import LONG_QUEUE, Sweeper
from saga_celery.errors import PublishFailed, RetryTransaction, StoreUnavailable
from tests.engine.fakes import HEARTBEAT_FRESH, FakeClock, FakeStore, ended, living
from tests.simulation.checks import check_end, check_transition, held_by_child, statuses
from tests.simulation.ledger import Effect, Ledger, Violation
from tests.simulation.shapes import SagaShape, Seat, StepShape, random_shape

BEAT = 5.0
DEEPEST = 3
"""How many calls may be overtaken one inside the other."""
PATIENCE = 6 * 3600.0
"""Simulated seconds after the healing within which everything has to end."""
OPEN = (StepStatus.DISPATCHED, StepStatus.BACKING_OFF, StepStatus.PROBING)
FAULTS = {
    "lose": (0.0, 0.05, 0.3),
    "double": (0.0, 0.05, 0.4),
    "delay": (0.0, 0.1, 0.4),
    "flush": (0.0, 0.002, 0.02),
    "refuse": (0.0, 0.02, 0.2),
    "database": (0.0, 0.01, 0.1),
    "crash": (0.0, 0.005, 0.04),
    "overtake": (0.0, 0.1, 0.4),
    "stale": (0.0, 0.1, 0.5),
    "kill_before_effect": (0.0, 0.03, 0.15),
    "kill_after_effect": (0.0, 0.03, 0.15),
    "kill_before_ack": (0.0, 0.03, 0.15),
    "kill_worker": (0.0, 0.0, 0.3),
    "slow": (0.0, 0.03, 0.2),
    "render": (0.0, 0.0, 0.03),
    "no_code": (0.0, 0.0, 0.1),
    "operator": (0.0, 0.0, 0.05),
}
"""The rates from which each world draws its own, so that some worlds are all of one fault and some have none."""


class Crash(BaseException):
    """The process is gone. No `except Exception` of the product sees it."""


@dataclass
class Worker:
    name: str
    seat: Seat
    alive: bool = True
    runs: list[Run] = field(default_factory=list)
    last_beat: float = 0.0


@dataclass(eq=False)
class Run:
    """A message in the hands of a worker."""

    worker: Worker
    out: Outgoing
    attempt: int
    since: float
    dead: bool = False
    ended: float | None = None
    news: e.News | None = None
    effect: Effect | None = None
    """The effect that its outcome speaks of."""


class World:
    """A whole history, made from a seed.

    Args:
        seed: decides everything.
        trace: write down what happens, to be read by a person.
    """

    def __init__(self, seed: int, *, trace: bool = False) -> None:
        self.rng = Random(seed)  # noqa: S311 - chance that repeats is the point
        self.lines: list[str] | None = [] if trace else None
        self.fired: Counter[str] = Counter()
        self.seen: Counter[str] = Counter()
        self.clock = FakeClock()
        self.ledger = Ledger()
        self.shape: SagaShape = random_shape(self.rng, Random(f"lists of {seed}"))  # noqa: S311
        self.shapes = {shape.plan.hash: shape for shape in self.shape.all()}
        self.sent: dict[tuple[str, str], set[str]] = {}
        """(saga, wait) -> the events that somebody sent."""
        self.rates = {name: self.rng.choice(rates) for name, rates in FAULTS.items()}
        self.whims = Random(f"second thoughts of {seed}")  # noqa: S311 - apart from `rng`, so that other worlds stay what they were
        self.meddlesome = self.whims.random() < 0.3
        """Its operators suspend, edit, undo what was complete and run again what was undone."""
        self.healed = False
        self.excused: set[tuple[str, str]] = set()
        """Steps and items that the operator passed over."""
        self.store = WatchedStore(self)
        self.ports = FlakyStore(self)
        self.broker = Broker(self)
        self.workers = [Worker(f"w{n}", Seat.IN_PLACE) for n in (1, 2)]
        self.workers += [Worker("r1", Seat.REPORTING), Worker("f1", Seat.FOREIGN)]
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._number = 0
        self._depth = 0
        self.busy = 0
        """Messages on their way and runs at work: what keeps the world from being quiet."""
        self.in_place = self._coordinator(renders=True, parks=False)
        self.tasks = self._coordinator(renders=True, parks=True)

    # ------------------------------------------------------------------------------------------------------- the story

    def run(self) -> World:
        """Let everything happen, heal, call the operator, and judge."""
        for number in range(1 if self.rng.random() < 0.8 else 2):
            saga = f"saga{number}"
            self.store.start(self.shape.plan, saga, input=number, deadline=self.shape.deadline)
            self.broker.nudge_quietly(saga)
        for number in range(2):
            self.later(self.rng.uniform(0, 2), self._sweep, self._sweeper(), number)
        sick_until = self.rng.uniform(20, 200)
        while self._heap and self._heap[0][0] < sick_until and not (self.quiet() and not self._regret()):
            self.step()
        self._heal()
        self._until_quiet()
        for state in self.store.sagas.values():
            self.seen[state.status] += 1
            if not held_by_child(self, state):
                check_end(self, state)
        if any(state.letters for state in self.store.sagas.values()):
            self._call_operator()
        return self

    def quiet(self) -> bool:
        states = self.store.sagas.values()
        return (
            self.busy == 0 and not self._awaited() and all(ended(each) or held_by_child(self, each) for each in states)
        )

    def _awaited(self) -> bool:
        """FAILED sagas keep their deadline, nothing else; what ended awaits nothing."""
        return any(row.due.awaited.value != "deadline" for row in self.store.rows.values())

    def _heal(self) -> None:
        self.note("healed")
        self.healed = True
        self.rates = dict.fromkeys(self.rates, 0.0)
        for worker in self.workers:
            worker.alive = True
        for saga, state in sorted(self.store.sagas.items()):
            if state.suspended:
                self._press(saga, e.Verb.RESUME)

    def _until_quiet(self) -> None:
        until = self.clock.now + PATIENCE
        while not self.quiet():
            if self.clock.now > until:
                states = [(state.status, statuses(state)) for state in self.store.sagas.values()]
                raise Violation(f"I2: no end within {PATIENCE:g} s: {states}, rows {self.store.rows}")
            self.step()

    def shape_of(self, saga_id: str) -> SagaShape:
        return self.shapes[self.store.sagas[saga_id].plan_hash]

    def step_of(self, out: Outgoing) -> StepShape:
        """How the step behaves that a message belongs to."""
        return self.shape_of(out.saga_id).steps[out.slot.step]

    def expect(self, saga_id: str) -> None:
        """Somebody will answer the waits of a saga that was just stored, early or late, and some of them twice."""
        for name, step in self.shape_of(saga_id).steps.items():
            for number, seconds in enumerate(step.events):
                self.later(seconds, self._answer, saga_id, name, f"{name}-{number}")

    def _answer(self, saga_id: str, wait: str, event_id: str) -> None:
        """An event is left within a transaction of its sender, who then tells the coordinator."""
        self.sent.setdefault((saga_id, wait), set()).add(event_id)
        self.note("event %s for %s", event_id, saga_id)
        news = e.EventSent(wait=wait, event_id=event_id, payload=event_id, actor="eve")
        for _ in range(2 if self.hits("double") else 1):
            self.store.post(InboxNews(saga_id=saga_id, id=event_id, news=news))
            self.broker.nudge_quietly(saga_id)

    # ------------------------------------------------------------------------------------------------------- the heap

    def later(self, seconds: float, action: Callable[..., None], *args: Any) -> None:
        self._number += 1
        heapq.heappush(self._heap, (self.clock.now + seconds, self._number, action, args))

    def step(self) -> None:
        at, _, action, args = heapq.heappop(self._heap)
        self.clock.now = max(self.clock.now, at)
        action(*args)

    def overtake(self) -> None:
        """Let other things happen in the middle of a call."""
        if self._depth < DEEPEST and self._heap and self.hits("overtake"):
            self._depth += 1
            for _ in range(self.rng.randint(1, 3)):
                if self._heap:
                    self.step()
            self._depth -= 1

    def hits(self, fault: str) -> bool:
        """Draw whether a fault strikes now."""
        rate = self.rates[fault]
        if rate and self.rng.random() < rate:
            self.fired[fault] += 1
            return True
        return False

    def note(self, text: str, *args: Any) -> None:
        if self.lines is not None:
            self.lines.append(f"{self.clock.now:9.2f}  {text % args if args else text}")

    # ------------------------------------------------------------------------------------------------------- processes

    def _coordinator(self, *, renders: bool, parks: bool) -> Coordinator:
        return Coordinator(
            store=self.ports,
            transport=self.broker,
            renderer=Code(self) if renders else None,
            backoff=self._backoff,
            parks_render_failures=parks,
        )

    def _sweeper(self) -> Sweeper:
        coordinator = self._coordinator(renders=False, parks=False)
        return Sweeper(store=self.ports, transport=self.broker, coordinator=coordinator, batch=20)

    def _backoff(self, retry: Retry, tries: int) -> float:
        return self.rng.uniform(0, min(retry.delay * 2 ** max(tries - 1, 0), retry.maximum))

    def _sweep(self, sweeper: Sweeper, number: int) -> None:
        if self.hits("operator"):
            self._meddle()
        if self.meddlesome and not self.healed and self.whims.random() < 0.1:
            self._interfere()
        rest = 1.0
        try:
            if sweeper.tick().failed:
                raise Violation("I18: the sweeper met an error that nobody caused")
        except Crash:
            self.note("sweeper %s died", number)
            rest = 10.0
        except StoreUnavailable:
            rest = 2.0
        due = self.store.next_due()
        rest = max(rest, (due if due is not None else self.clock.now + 60) - self.clock.now)
        self.later(min(rest, 60.0) + self.rng.random(), self._sweep, sweeper, number)

    def living(self) -> Living:
        """Heartbeats: written every five seconds by each living worker that has the database."""
        fresh, known, running = [], [], []
        for worker in self.workers:
            if worker.seat is not Seat.IN_PLACE:
                continue
            known.append(worker.name)
            if worker.alive:
                worker.last_beat = self.clock.now - self.clock.now % BEAT
            if self.clock.now - worker.last_beat > HEARTBEAT_FRESH:
                continue
            fresh.append(worker.name)
            running += [run for run in worker.runs if _listed(run, worker.last_beat)]
        return living(fresh, known, (self._running(run) for run in running))

    def _running(self, run: Run) -> Running:
        return Running(
            saga_id=run.out.saga_id,
            slot=run.out.slot,
            attempt=run.attempt,
            worker=run.worker.name,
            started=True,
            seconds=self.clock.now - run.since,
        )

    def kill(self, run: Run, why: str) -> None:
        """The process of a run dies, alone or with its whole worker; its message comes back late or never."""
        self.note("%s: killed %s at %s/%s", run.worker.name, why, run.out.slot.step, run.out.slot.direction)
        doomed = [run]
        if self.hits("kill_worker"):
            self.note("%s is gone", run.worker.name)
            doomed = list(run.worker.runs)
            self._take_down(run.worker)
        for each in doomed:
            self._bury(each)

    def _take_down(self, worker: Worker) -> None:
        self.living()  # writes the last heartbeat
        worker.alive = False
        self.later(self.rng.uniform(3, 60), self._restart, worker)

    def _restart(self, worker: Worker) -> None:
        worker.alive = True

    def _bury(self, run: Run) -> None:
        if run.dead or run.ended is not None:
            return
        run.dead = True
        self.busy -= 1
        if run in run.worker.runs:
            run.worker.runs.remove(run)
        if self.rng.random() < 0.8:
            self.fired["redelivered"] += 1
            self.broker.put_back(run.out)

    # ---------------------------------------------------------------------------------------------------- participants

    def receive(self, out: Outgoing) -> None:
        """A message reaches a worker."""
        shape = self.step_of(out)
        ready = [worker for worker in self.workers if worker.alive and worker.seat is shape.seat]
        if not ready:
            self.broker.put_back(out)
            return
        worker = self.rng.choice(ready)
        try:
            attempt = self._begin(worker, out)
        except (StoreUnavailable, RetryTransaction):
            self.broker.put_back(out)
            return
        except Crash:
            self.note("%s died while it claimed", worker.name)
            if self.rng.random() < 0.8:
                self.broker.put_back(out)
            return
        if attempt is None:
            self.note("%s drops %s", worker.name, out.slot)
            return
        run = Run(worker, out, attempt, self.clock.now)
        worker.runs.append(run)
        self.busy += 1
        self.later(self._duration(out) * self.rng.random(), self._work, run)

    def _duration(self, out: Outgoing) -> float:
        return out.timeout * self.rng.uniform(0.8, 3) if self.hits("slow") else self.rng.uniform(0.05, 2)

    def _begin(self, worker: Worker, out: Outgoing) -> int | None:
        """The attempt that may be run; None when the message is to be dropped."""
        if worker.seat is Seat.IN_PLACE and out.claim:
            return self._claim(worker, out)
        if worker.seat is Seat.REPORTING:
            told = e.AttemptStarted(slot=out.slot, attempt=out.attempt, worker=worker.name, rival_alive=True)
            self.broker.report(out.saga_id, told)
        return out.attempt

    def _claim(self, worker: Worker, out: Outgoing) -> int | None:
        state = self.store.load(out.saga_id)
        step = state.step(out.slot.step, out.slot.item) if state else None
        activity = step.activity(out.slot.direction) if step else Activity()
        holder = activity.worker
        seen = self.ports.living().holder(out.saga_id, out.slot, out.attempt)
        mine = any((run.out.slot, run.attempt) == (out.slot, out.attempt) for run in worker.runs if run.ended is None)
        rival = mine if holder == worker.name else seen is not None and seen.worker == holder
        known = bool(holder) and activity.epoch <= out.epoch
        news = e.AttemptStarted(
            slot=out.slot,
            attempt=out.attempt,
            worker=worker.name,
            rival_alive=rival and not known,
            own_retry=known,
        )
        handled = self.in_place.handle(out.saga_id, news)
        claims = [fact for fact in handled.facts if isinstance(fact, e.AttemptClaimed)] if handled else []
        return claims[0].attempt if claims else None

    def _work(self, run: Run) -> None:
        if run.dead:
            return
        if self.hits("kill_before_effect"):
            self.kill(run, "before the effect")
            return
        run.news = self._outcome(run)
        self.note("%s ran %s %s: %s", run.worker.name, run.out.slot, run.attempt, run.news)
        if self.hits("kill_after_effect"):
            self.kill(run, "after the effect")
            return
        self.later(self._duration(run.out) * self.rng.random(), self._finish, run)

    def _finish(self, run: Run) -> None:
        if run.dead or run.news is None:
            return
        if run.worker.seat is Seat.IN_PLACE:
            try:
                self.in_place.handle(run.out.saga_id, run.news)
            except (StoreUnavailable, RetryTransaction):
                self.later(1.0, self._finish, run)
                return
            except Crash:
                self.kill(run, "in the coordinator")
                return
            self.told(run)
        else:
            self.broker.report(run.out.saga_id, run.news, run)
        if run.dead:
            return
        if self.hits("kill_before_ack"):
            self.kill(run, "before the ack")
            return
        run.ended = self.clock.now
        self.busy -= 1
        run.worker.runs = [
            other for other in run.worker.runs if other.ended is None or other.ended > self.clock.now - 10
        ]

    def told(self, run: Run) -> None:
        """What a run brought has reached the machine."""
        if run.effect is not None and not run.effect.told:
            run.effect.told = True

    # ---------------------------------------------------------------------------------------------------------- bodies

    def _outcome(self, run: Run) -> e.News:
        out = run.out
        run_of = (out.saga_id, out.slot, run.attempt)
        self.ledger.runs[run_of] = self.ledger.runs.get(run_of, 0) + 1
        match out.slot.direction:
            case Direction.ACTION:
                return self._act(run, self.step_of(out))
            case Direction.COMPENSATION:
                return self._compensate(run, self.step_of(out))
            case Direction.PROBE:
                return self._look(run)

    def key_of(self, run: Run) -> Any:
        """What `self.key()` of a step is made of."""
        return (run.out.saga_id, run.out.slot)

    def _act(self, run: Run, shape: StepShape) -> e.News:
        out, key = run.out, self.key_of(run)
        self.ledger.called(key, out.message)
        if shape.keyed and key in self.ledger.answers:
            run.effect, news = self.ledger.answers[key]
            self.seen["answered again"] += 1
            return news(run.attempt)
        if run.attempt <= self.ledger.barred.get((out.saga_id, place_of(out.slot), out.slot.generation), 0):
            self.seen["suppressed"] += 1
            return self._failed(out, run.attempt, "Suppressed")
        drawn = self.rng.random()
        if drawn < shape.fails:
            return self._failed(out, run.attempt, "Retryable")
        if drawn < shape.fails + shape.fatal and shape.seat is Seat.FOREIGN:
            return self._failed(out, run.attempt, "Fatal")
        if drawn < shape.fails + shape.fatal:
            return self._settled(key, None, lambda attempt: self._failed(out, attempt, "Fatal"), run.attempt)
        run.effect = self._effect(run, shape)
        if self.rng.random() < shape.unstorable and shape.seat is not Seat.FOREIGN:
            self.seen["unstorable"] += 1
            return self._settled(
                key, run.effect, lambda attempt: self._failed(out, attempt, "Unstorable", took_effect=True), run.attempt
            )
        result = run.effect.id
        return self._settled(
            key,
            run.effect,
            lambda attempt: e.AttemptSucceeded(slot=out.slot, attempt=attempt, result=result),
            run.attempt,
        )

    def _settled(self, key: Any, effect: Effect | None, news: Callable[[int], e.News], attempt: int) -> e.News:
        self.ledger.answers[key] = (effect, news)
        return news(attempt)

    def _effect(self, run: Run, shape: StepShape) -> Effect:
        out = run.out
        place, generation = place_of(out.slot), out.slot.generation
        step = self.store.sagas[out.saga_id].step(out.slot.step, out.slot.item)
        awaited = step is not None and step.status in OPEN and step.action.generation == generation
        if not shape.keyed and list(self.ledger.of(out.saga_id, place, generation)):
            raise Violation(f"I11: a second effect of {out.saga_id}/{place}, which must run at most once")
        if not awaited:
            self.seen["effect nobody waited for"] += 1
        return self.ledger.act(out.saga_id, place, generation, run.attempt, self.clock.now, awaited=awaited)

    def _failed(self, out: Outgoing, attempt: int, kind: str, *, took_effect: bool = False) -> e.News:
        failure = Failure(type=kind, message="simulated", step=out.slot.step)
        if self.step_of(out).seat is Seat.FOREIGN:
            return e.AttemptLost(slot=out.slot, attempt=attempt, reason="the error callback of a foreign task")
        return e.AttemptFailed(slot=out.slot, attempt=attempt, failure=failure, took_effect=took_effect)

    def _compensate(self, run: Run, shape: StepShape) -> e.News:
        out, key = run.out, self.key_of(run)
        self.ledger.called(key, out.message)
        done = e.AttemptSucceeded(slot=out.slot, attempt=run.attempt)
        if shape.compensation.resend and key in self.ledger.answers:
            return self.ledger.answers[key] or self._failed(out, run.attempt, "Fatal")
        if not self.healed and self.rng.random() < shape.compensation_fails:
            if self.rng.random() < 0.7:
                return self._failed(out, run.attempt, "Retryable")
            if shape.seat is not Seat.FOREIGN:
                self.ledger.answers[key] = None
            return self._failed(out, run.attempt, "Fatal")
        result = out.message.kwargs["result"]
        generation = out.action_generation
        self.ledger.undo(out.saga_id, place_of(out.slot), generation, result, tolerant=shape.action.null_safe)
        self.ledger.answers[key] = done
        if self.rng.random() < shape.unstorable:
            return self._failed(out, run.attempt, "Unstorable", took_effect=True)
        return done

    def _look(self, run: Run) -> e.News:
        out = run.out
        drawn = self.rng.random()
        if drawn < 0.1 and not self.healed:
            return self._failed(out, run.attempt, "Retryable")
        if drawn < 0.2 and not self.healed:
            return e.ProbeAnswered(slot=out.slot, attempt=run.attempt, verdict=e.Verdict.UNKNOWN)
        standing = list(self.ledger.of(out.saga_id, out.slot.step, out.action_generation))
        if standing:
            run.effect = standing[-1]
            return e.ProbeAnswered(slot=out.slot, attempt=run.attempt, verdict=e.Verdict.FOUND, result=standing[-1].id)
        step = self.store.sagas[out.saga_id].steps[(out.slot.step, 0)]
        self.ledger.barred[(out.saga_id, out.slot.step, out.action_generation)] = step.action.attempt
        return e.ProbeAnswered(slot=out.slot, attempt=run.attempt, verdict=e.Verdict.NEVER)

    # -------------------------------------------------------------------------------------------------------- operator

    def _meddle(self) -> None:
        """An operator presses something, wise or not; nothing overtakes, as they act on the state that they see."""
        saga = self.rng.choice(sorted(self.store.sagas))
        verb = self.rng.choice((e.Verb.CANCEL, e.Verb.RETRY))
        if verb is e.Verb.RETRY and any(letter.reason is Reason.IN_DOUBT for letter in self.store.sagas[saga].letters):
            return  # to repeat blindly what may have happened is the one thing that an operator is told not to do
        depth, self._depth = self._depth, DEEPEST
        with suppress(NotAllowed, StoreUnavailable, RetryTransaction, Crash):
            self._press(saga, verb)
        self._depth = depth

    def _interfere(self) -> None:
        """The same with the verbs that reach further; only some worlds know them."""
        saga = self.whims.choice(sorted(self.store.sagas))
        resting = [step.name for step in self.store.sagas[saga].steps.values() if "backing_off" in step.status]
        step = self.whims.choice(sorted(resting or self.shape.steps))
        verb, more = self.whims.choice(
            (
                (e.Verb.SUSPEND, {}),
                (e.Verb.RESUME, {}),
                (e.Verb.COMPENSATE, {}),
                (e.Verb.RERUN, {"step": step}),
                (e.Verb.RETRY, {"step": step, "args": (self.whims.random(),)}),
            )
        )
        depth, self._depth = self._depth, DEEPEST
        with suppress(NotAllowed, StoreUnavailable, RetryTransaction, Crash):
            self._press(saga, verb, **more)
        self._depth = depth

    def _regret(self) -> bool:
        """When all is at rest: undo what is complete, or run again what was undone; whether something was pressed."""
        if not self.meddlesome or self.whims.random() < 0.3:
            return False
        for saga, state in sorted(self.store.sagas.items()):
            done = state.status is SagaStatus.COMPLETED
            steps = [""] if done else self.whims.sample(sorted(self.shape.steps), len(self.shape.steps))
            for step in steps:
                with suppress(NotAllowed, StoreUnavailable, RetryTransaction, Crash):
                    self._press(saga, e.Verb.COMPENSATE if done else e.Verb.RERUN, step=step)
                    return True
        return False

    def _press(self, saga: str, verb: e.Verb, **more: Any) -> None:
        self.note("operator: %s %s", verb, more)
        self.tasks.handle(saga, e.OperatorAsked(verb=verb, actor="ada", reason="simulated", **more))
        self.seen[f"operator: {'edit' if 'args' in more else verb}"] += 1

    def _call_operator(self) -> None:
        """Every dead letter names a next move; taken with what the books say, it must lead to an end."""
        for _ in range(40):
            lettered = [state for state in self.store.sagas.values() if state.letters]
            if not lettered:
                break
            for state in lettered:
                if state.letters:
                    self._settle(state)
            self._until_quiet()
        for state in self.store.sagas.values():
            if state.status is SagaStatus.FAILED:
                raise Violation(f"the operator's moves lead nowhere: {state.letters}")
            check_end(self, state)

    def _settle(self, state: SagaState) -> None:
        letter = state.letters[0]
        step = self.shape_of(state.id).steps.get(letter.step)
        place = step_label(letter.step, letter.item)
        match letter.reason:
            case Reason.EXHAUSTED if step is not None and step.kind is StepKind.WAIT:
                self._answer(state.id, letter.step, f"{letter.step}-operator")
            case Reason.EXHAUSTED if step is not None and step.kind is StepKind.CHILD and self.rng.random() < 0.5:
                self.excused.add((state.id, letter.step))
                self._press(state.id, e.Verb.SKIP, step=letter.step)
            case Reason.RENDER_FAILED if "aborted" in letter.detail:
                self.excused.add((state.id, place))
                self._press(state.id, e.Verb.SKIP, step=place)
            case Reason.RENDER_FAILED | Reason.EXHAUSTED | Reason.COMPENSATION_EXHAUSTED:
                self._retry(state.id, place)
            case Reason.LATE_EFFECT:
                for effect in self.ledger.standing(state.id, place):
                    earlier = "an earlier generation" in letter.detail
                    if not earlier or effect.generation != _generation(state, place):
                        effect.undone = True
                self._press(state.id, e.Verb.RESOLVE, step=place)
            case Reason.IN_DOUBT:
                self._resolve(state, place, letter.direction)

    def _retry(self, saga: str, step: str) -> None:
        """As it is; in some worlds, where that may be, with other arguments, or made anew."""
        if self.meddlesome:
            verb, more = self.whims.choice(
                ((e.Verb.RETRY, {}), (e.Verb.RETRY, {"args": (self.whims.random(),)}), (e.Verb.RERUN, {}))
            )
            with suppress(NotAllowed):
                self._press(saga, verb, step=step, **more)
                return
        self._press(saga, e.Verb.RETRY, step=step)

    def _resolve(self, state: SagaState, step: str, direction: Direction) -> None:
        effects = list(self.ledger.of(state.id, step, _generation(state, step)))
        standing = [effect for effect in effects if not effect.undone]
        if direction is Direction.ACTION:
            done = bool(effects)
            result = effects[0].id if effects else None
        else:
            done, result = not standing, None
        for effect in effects if direction is Direction.ACTION else ():
            effect.told = True
        resolution = e.Resolution.DONE if done else e.Resolution.NEVER
        if self.shape_of(state.id).steps[step.partition("[")[0]].kind is StepKind.WAIT:
            result = None  # who waits is answered by an event
        self._press(state.id, e.Verb.RESOLVE, step=step, resolution=resolution, result=result)


def place_of(slot: Slot) -> str:
    """How the books name a step, or an item of a list."""
    return step_label(slot.step, slot.item)


def _generation(state: SagaState, place: str) -> int:
    found = (step for step in state.steps.values() if step_label(step.name, step.item) == place)
    return next(found).action.generation


def _listed(run: Run, beat: float) -> bool:
    return run.since <= beat and not run.dead and (run.ended is None or run.ended > beat)


# ----------------------------------------------------------------------------------------------------------- the ports


class Code:
    """The sagas' own code, which raises now and then, and which some processes do not have."""

    def __init__(self, world: World) -> None:
        self._world = world

    def render(self, plan: Plan, state: SagaState, wish: Render | RenderResult) -> e.News | None:
        world = self._world
        if world.hits("no_code"):
            return None
        if world.hits("render"):
            slot = None if isinstance(wish, RenderResult) else wish.slot
            return e.RenderFailed(slot=slot, failure=Failure(type="builtins.ValueError", message="simulated"))
        if isinstance(wish, RenderResult):
            return e.ResultRendered(result=state.id)
        return self._message(state, wish.slot, world.shape_of(state.id).steps[wish.slot.step])

    def _message(self, state: SagaState, slot: Slot, shape: StepShape) -> e.News:
        task, seat = f"{slot.step}.{slot.direction}", {"seat": shape.seat.name}
        match slot.direction:
            case Direction.ACTION if shape.aborts:
                return e.RenderAborted(slot=slot, reason="simulated")
            case Direction.ACTION if shape.kind is StepKind.SLEEP or (shape.kind is StepKind.WAIT and not shape.asks):
                return e.WaitRendered(slot=slot, policy=shape.action)
            case Direction.ACTION if shape.child is not None:
                message = child_message(shape.child.plan, None, shape.child.deadline)
                return e.Rendered(slot=slot, message=message, policy=shape.action)
            case Direction.ACTION if shape.skips:
                return e.Rendered(slot=slot, message=None, policy=shape.action)
            case Direction.ACTION if shape.items is not None and slot.item == 0:
                numbers = range(1, shape.items + 1)
                messages = tuple(Message(task=task, args=(number,), kwargs=seat) for number in numbers)
                return e.FanOutRendered(slot=slot, messages=messages, policy=shape.action)
            case Direction.ACTION:
                message = Message(task=task, args=(slot.item,) if slot.item else (), kwargs=seat)
                return e.Rendered(slot=slot, message=message, policy=shape.action)
            case Direction.COMPENSATION:
                known = {**seat, "result": state.steps[(slot.step, slot.item)].result}
                message = None if shape.void else Message(task=task, kwargs=known)
                return e.Rendered(slot=slot, message=message, policy=shape.compensation)
            case Direction.PROBE:
                retry = Retry(attempts=3, delay=1.0)
                return e.Rendered(
                    slot=slot,
                    message=Message(task=task, kwargs=seat),
                    policy=Policy(retry=retry, resend=True, timeout=10.0),
                )


class WatchedStore(FakeStore):
    """The database itself; each transition is judged as it is stored."""

    def __init__(self, world: World) -> None:
        super().__init__(clock=world.clock)
        self._world = world
        self.past: dict[str, list[SagaState]] = {}
        """What some process may still have in its memory."""

    def start(self, plan: Plan, saga_id: str = "s1", **more: Any) -> SagaState:
        state = super().start(plan, saga_id, **more)
        self.past[saga_id] = [state]
        self._world.expect(saga_id)
        return state

    def save(self, change: Change) -> bool:
        if not super().save(change):
            self._world.fired["conflict"] += 1
            return False
        for child in change.children:
            self.past[child.id] = [self.sagas[child.id]]
        self.past[change.before.id].append(self.sagas[change.before.id])
        for fact in change.facts:
            self._world.note("  %s", fact)
        check_transition(self._world, change, self.sagas[change.before.id])
        return True


class FlakyStore:
    """The way to the database: calls fail, processes die before and after them, others come first."""

    def __init__(self, world: World) -> None:
        self._world = world

    def _enter(self) -> None:
        if self._world.hits("crash"):
            raise Crash
        if self._world.hits("database"):
            raise StoreUnavailable("simulated")

    def _leave(self) -> None:
        if self._world.hits("crash"):
            raise Crash
        self._world.overtake()

    def load(self, saga_id: str, *, fresh: bool = True) -> SagaState | None:
        state, _ = self.load_with_inbox(saga_id, fresh=fresh)
        return state

    def keep_up(self, saga_id: str, version: int) -> None:
        """Nobody who is overtaken does any harm; what this spares is time."""

    def load_with_inbox(self, saga_id: str, *, fresh: bool = True) -> tuple[SagaState | None, Sequence[InboxNews]]:
        self._enter()
        state, news = self._world.store.load_with_inbox(saga_id)
        if not fresh and self._world.hits("stale"):
            state = self._world.rng.choice(self._world.store.past[saga_id])
        self._leave()
        return state, news

    def catch_up(self, saga_id: str) -> SagaState | None:
        return self.load(saga_id)

    def plan(self, plan_hash: str) -> Plan:
        return self._world.store.plan(plan_hash)

    def inbox(self, saga_id: str) -> Sequence[InboxNews]:
        self._enter()
        news = self._world.store.inbox(saga_id)
        self._leave()
        return news

    def save(self, change: Change) -> bool:
        self._enter()
        saved = self._world.store.save(change)
        if self._world.hits("crash"):
            raise Crash
        if self._world.hits("database"):
            raise StoreUnavailable("the answer to COMMIT was lost")
        return saved

    def overdue(self, limit: int, lease: float) -> Sequence[Overdue]:
        self._enter()
        rows = self._world.store.overdue(limit, lease)
        self._leave()
        return rows

    def postpone(self, row: Overdue, seconds: float, *, resent: bool = False, failed: bool = False) -> None:
        self._enter()
        self._world.store.postpone(row, seconds, resent=resent, failed=failed)
        self._leave()

    def observe(self, row: Overdue, running: Running, seconds: float) -> None:
        self._enter()
        self._world.store.observe(row, running, seconds)

    def sleep(self, row: Overdue) -> None:
        self._enter()
        self._world.overtake()
        self._world.store.sleep(row)

    def await_again(self, saga_id: str, slot: Slot, attempt: int, seconds: float) -> None:
        self._world.store.await_again(saga_id, slot, attempt, seconds)

    def forget_nudge(self, saga_id: str, version: int) -> None:
        self._enter()
        self._world.overtake()
        self._world.store.forget_nudge(saga_id, version)

    def unanswered(self, saga_id: str) -> Unanswered:
        self._enter()
        return self._world.store.unanswered(saga_id)

    def hasten(self, saga_id: str, slots: Sequence[Slot], seconds: float) -> None:
        self._enter()
        self._world.store.hasten(saga_id, slots, seconds)

    def living(self) -> Living:
        return self._world.living()


class Broker:
    """Redis on a bad day."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._flushes = 0

    # the port

    def send(self, messages: Sequence[Outgoing]) -> None:
        if self._world.hits("crash"):
            raise Crash
        for out in messages:
            self._refuse()
            self._check_ghost(out)
            self._publish(self._world.receive, out)

    def nudge(self, saga_ids: Sequence[str], priority: int | None = None) -> None:
        if self._world.hits("crash"):
            raise Crash
        for saga_id in saga_ids:
            self._refuse()
            self._publish(self._nudged, saga_id)

    def is_foreign(self, message: Message) -> bool:
        return message.kwargs.get("seat") == Seat.FOREIGN.name

    def backlog(self, message: Message | None = None) -> int:
        return LONG_QUEUE * int(self._world.rng.random() < 0.1)

    # the rest of the world

    def nudge_quietly(self, saga_id: str) -> None:
        """The nudge after the commit of `start()`: when the broker refuses it, nobody hears of it."""
        with suppress(PublishFailed, Crash):
            self.nudge([saga_id])

    def report(self, saga_id: str, news: e.News, run: Run | None = None) -> None:
        self._publish(self._reported, saga_id, news, run)

    def put_back(self, out: Outgoing) -> None:
        """An unacknowledged message becomes visible again."""
        self._later(self._world.rng.uniform(3, 60), self._world.receive, (out,))

    def _refuse(self) -> None:
        if self._world.hits("refuse"):
            raise PublishFailed("simulated")

    def _publish(self, to: Callable[..., None], *args: Any) -> None:
        world = self._world
        if world.hits("flush"):
            self._flushes += 1
            world.note("the broker forgets everything")
        if world.hits("lose"):
            world.note("lost: %s", args)
            return
        for _ in range(2 if world.hits("double") else 1):
            late = world.rng.uniform(1, 60) if world.hits("delay") else world.rng.uniform(0.001, 0.05)
            self._later(late, to, args)

    def _later(self, seconds: float, to: Callable[..., None], args: tuple[Any, ...]) -> None:
        self._world.busy += 1
        self._world.later(seconds, self._deliver, self._flushes, to, args)

    def _deliver(self, flushes: int, to: Callable[..., None], args: tuple[Any, ...]) -> None:
        self._world.busy -= 1
        if flushes == self._flushes:
            to(*args)

    def _check_ghost(self, out: Outgoing) -> None:
        """No message without its commit."""
        if not any(
            isinstance(fact, e.StepDispatched | e.CompensationDispatched | e.ProbeDispatched | e.AttemptClaimed)
            and (fact.slot, fact.attempt) == (out.slot, out.attempt)
            for _, facts in self._world.store.history[out.saga_id]
            for fact in facts
        ):
            raise Violation(f"I13: {out.slot} attempt {out.attempt} was sent, but is not stored")

    # the coordinator task

    def _nudged(self, saga_id: str) -> None:
        self._coordinate(saga_id, e.Nudged())

    def _reported(self, saga_id: str, news: e.News, run: Run | None) -> None:
        if self._coordinate(saga_id, news) and run is not None:
            self._world.told(run)

    def _coordinate(self, saga_id: str, news: e.News) -> bool:
        world = self._world
        try:
            world.tasks.handle(saga_id, news)
        except (Crash, StoreUnavailable, RetryTransaction):
            if world.rng.random() < 0.8:
                self._later(world.rng.uniform(3, 60), self._reported, (saga_id, news, None))
            return False
        return True
