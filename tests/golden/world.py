"""A saga database with the real coordinator and sweeper, a clock that stands until it is turned, and willing tasks."""

from collections import deque
from datetime import UTC, datetime
from typing import Any

from saga_celery.core import events as e
from saga_celery.core.retry import Retry
from saga_celery.core.states import Direction, Failure, Message, SagaState, Slot, StepState
from saga_celery.definition.outcomes import interpret_probe
from saga_celery.definition.renderer import ClassRenderer
from saga_celery.engine.coordinator import Coordinator
from saga_celery.engine.ports import InboxNews, Outgoing
from saga_celery.engine.sweeper import Sweeper
from saga_celery.settings import Settings
from saga_celery.store import SQLStore
from saga_celery.store.clock import FakeClock
from tests.golden.sagas import RESULTS

NOON = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)
MOST_TURNS = 2000


class Classless:
    """The sagas' code of a worker that has none of these classes."""

    def render(self, plan: Any, state: Any, wish: Any) -> None:
        return None


class Queue:
    """A broker that keeps what it is given."""

    def __init__(self) -> None:
        self.messages: deque[Outgoing] = deque()
        self.nudges: deque[str] = deque()

    def send(self, messages: Any) -> None:
        self.messages.extend(messages)

    def nudge(self, saga_ids: Any, priority: int | None = None) -> None:
        self.nudges.extend(saga_ids)

    def is_foreign(self, message: Message) -> bool:
        return False

    def backlog(self, message: Message | None = None) -> int:
        return 0


def longest_rest(retry: Retry, tries: int) -> float:
    return float(min(retry.delay * 2 ** (tries - 1), retry.maximum))


class World:
    """One database, and one saga in it."""

    def __init__(self, url: str, saga_id: str, now: datetime = NOON) -> None:
        self.saga_id = saga_id
        self.clock = FakeClock(now)
        self.store = SQLStore(url, chance=lambda: 0.5, clock=self.clock)
        self.queue = Queue()
        self.able = self._coordinator(ClassRenderer(Settings()))
        self.unable = self._coordinator(Classless())
        operator = self._coordinator(None, parks=False)
        self.sweeper = Sweeper(store=self.store, transport=self.queue, coordinator=operator)

    def _coordinator(self, renderer: Any, *, parks: bool = True) -> Coordinator:
        return Coordinator(
            store=self.store,
            transport=self.queue,
            renderer=renderer,
            backoff=longest_rest,
            parks_render_failures=parks,
        )

    @property
    def state(self) -> SagaState:
        found = self.store.load(self.saga_id)
        assert found is not None
        return found

    # ---------------------------------------------------------------------------------------------------- one by one

    def take(self, *news: e.News) -> None:
        for each in news:
            assert self.able.handle(self.saga_id, each) is not None
            self.clock.turn(1.0)

    def slot(self, step: str, direction: Direction = Direction.ACTION) -> tuple[Slot, int]:
        """The address of an activity, and its latest attempt."""
        found = self._step(step)
        return found.slot(direction), found.activity(direction).attempt

    def _step(self, step: str) -> StepState:
        """A step by its name, or an item of a list: `pick[2]`."""
        name, _, item = step.partition("[")
        found = self.state.step(name, int(item.rstrip("]") or 0))
        assert found is not None, step
        return found

    def succeed(self, *steps: str, direction: Direction = Direction.ACTION) -> None:
        for step in steps:
            slot, attempt = self.slot(step, direction)
            message = self._step(step).activity(direction).message
            assert message is not None
            self.take(e.AttemptSucceeded(slot=slot, attempt=attempt, result=RESULTS.get(message.task)))

    def fail(self, step: str, direction: Direction = Direction.ACTION, kind: str = "shop.Broken") -> None:
        slot, attempt = self.slot(step, direction)
        bare = kind.rpartition(".")[2]
        types = (kind, bare, "Exception")
        failure = Failure(type=kind, message="no\nluck ☂", types=types, traceback="Traceback: line 7", step=step)
        self.take(e.AttemptFailed(slot=slot, attempt=attempt, failure=failure))

    def lose(self, step: str, direction: Direction = Direction.ACTION) -> None:
        slot, attempt = self.slot(step, direction)
        self.take(e.AttemptLost(slot=slot, attempt=attempt, reason="worker w1 died"))

    def begin(self, step: str, direction: Direction = Direction.ACTION) -> None:
        slot, attempt = self.slot(step, direction)
        self.take(e.AttemptStarted(slot=slot, attempt=attempt, worker="w1@host:7"))

    def rest(self, step: str, direction: Direction = Direction.ACTION) -> None:
        self.take(e.RestOver(slot=self.slot(step, direction)[0]))

    def answer(self, step: str, verdict: e.Verdict) -> None:
        self.rest(step, Direction.PROBE)
        slot, attempt = self.slot(step, Direction.PROBE)
        self.take(e.ProbeAnswered(slot=slot, attempt=attempt, verdict=verdict))

    def send(self, wait: str, *, event_id: str, payload: Any) -> None:
        news = e.EventSent(wait=wait, event_id=event_id, payload=payload, actor="ada")
        name = self.store.queries.snapshot(self.saga_id).saga.name
        self.store.post(InboxNews(saga_id=self.saga_id, id=event_id, news=news), names=[name], nudge_after=10.0)
        self.take(e.Nudged())

    def run_others(self) -> None:
        """Let the children of the saga go to their ends, and the saga hear of them; nothing of it itself is run."""
        own: deque[Outgoing] = deque()
        while self.queue.nudges or self.queue.messages:
            if self.queue.nudges:
                self.able.handle(self.queue.nudges.popleft(), e.Nudged())
            elif self.queue.messages[0].saga_id == self.saga_id:
                own.append(self.queue.messages.popleft())
            else:
                self._run(self.queue.messages.popleft())
        self.queue.messages = own

    # ------------------------------------------------------------------------------------------------------ to its end

    def go_on(self) -> SagaState:
        """Sweep, deliver and run whatever comes, until the saga has ended or waits for a person."""
        for _ in range(MOST_TURNS):
            self._deliver(self.able)
            if self.state.status.ended and not self._is_asked_after():
                return self.state
            if not self.sweeper.tick().found:
                self.clock.turn(5.0)
        raise AssertionError(f"saga {self.saga_id} never ended: {self.state}")

    def wait_in_vain(self, seconds: float) -> None:
        """Let time pass while no worker has the class."""
        end = self.clock.time.timestamp() + seconds
        while self.clock.time.timestamp() < end:
            self.sweeper.tick()
            self._deliver(self.unable)
            self.clock.turn(5.0)

    def _is_asked_after(self) -> bool:
        """A saga that was parked for its class goes on by itself."""
        return any(wait.awaited == "nudge" for wait in self.store.queries.snapshot(self.saga_id).awaited)

    def _deliver(self, coordinator: Coordinator) -> None:
        while self.queue.nudges or self.queue.messages:
            if self.queue.nudges:
                coordinator.handle(self.queue.nudges.popleft(), e.Nudged())
            else:
                self._run(self.queue.messages.popleft())

    def _run(self, message: Outgoing) -> None:
        result = RESULTS.get(message.message.task)
        news: e.News = e.AttemptSucceeded(slot=message.slot, attempt=message.attempt, result=result)
        if message.slot.direction is Direction.PROBE:
            plan = self.store.plan(message.plan_hash)
            news = interpret_probe(self.state, message.slot, message.attempt, result, plan=plan)
        self.able.handle(message.saga_id, news)
