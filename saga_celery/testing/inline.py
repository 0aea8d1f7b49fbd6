"""`run_inline`: a whole saga in one process, with no broker, no worker and no waiting.

The coordinator, the sweeper and the SQL store are the real ones (the store on SQLite in memory). Messages go into a
list
instead of a broker, tasks are called one after the other, and a fake clock jumps over every rest.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar, overload

import sqlalchemy as sa
from celery import current_app

from saga_celery.app.chance import draw, new_id
from saga_celery.core.events import AttemptFailed, AttemptSucceeded, News, Nudged
from saga_celery.core.retry import Retry
from saga_celery.core.states import Direction, Failure, Message, SagaState, SagaStatus, step_label
from saga_celery.definition.chain import SagaChain
from saga_celery.definition.definitions import Definition
from saga_celery.definition.inputs import encode_input
from saga_celery.definition.outcomes import interpret_probe
from saga_celery.definition.renderer import ClassRenderer
from saga_celery.definition.saga import Saga
from saga_celery.definition.sending import event_for
from saga_celery.engine.coordinator import Coordinator
from saga_celery.engine.failures import failure_named
from saga_celery.engine.ports import InboxNews, Outgoing
from saga_celery.engine.sweeper import Sweeper
from saga_celery.errors import SagaError
from saga_celery.settings import Settings
from saga_celery.signals import tell
from saga_celery.store import NewSaga, SQLStore
from saga_celery.store.clock import FakeClock
from saga_celery.store.schema import metadata, saga_awaited
from saga_celery.transport import payload
from saga_celery.transport.outcomes import failed

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
LEAST_TURN = 0.001
"""Seconds that the clock is turned at least."""
MOST_TURNS = 10_000
"""Jumps of the clock after which a saga is taken for one that never ends."""

InputT = TypeVar("InputT")
ResultT = TypeVar("ResultT")


class TaskNotFound(SagaError, LookupError):
    """A step names a task that is neither registered here nor given to `run_inline(tasks=…)`."""

    code = "task_not_found"


class InlineTransport:
    """Keeps messages in a list."""

    def __init__(self) -> None:
        self.messages: deque[Outgoing] = deque()
        self.nudges: deque[str] = deque()

    def send(self, messages: Sequence[Outgoing]) -> None:
        """Keep messages for participants."""
        self.messages.extend(messages)

    def nudge(self, saga_ids: Sequence[str], priority: int | None = None) -> None:
        """Keep nudges."""
        self.nudges.extend(saga_ids)

    def is_foreign(self, message: Message) -> bool:
        """There is but one process."""
        return False

    def backlog(self, message: Message | None = None) -> int:
        """Nothing ever waits."""
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class InlineRun(Generic[ResultT]):
    """What became of a saga that was run inline."""

    state: SagaStatus
    result: ResultT | None
    """The saga's result, decoded; None unless it completed."""
    calls: tuple[tuple[str, str], ...]
    """Every task that ran: (step or "step (compensation)", name of the task), in order; an item of a list is
    "step[2]"."""
    stored: SagaState
    """The saga as it is stored: steps, attempts, dead letters."""

    @property
    def failure(self) -> Failure | None:
        """The first cause, where the saga was undone."""
        return self.stored.turn.failure if self.stored.turn else None


@overload
def run_inline(
    saga: type[Saga[InputT, ResultT]],
    data: InputT,
    *,
    tasks: Mapping[str, Callable[..., Any]] | None = ...,
    events: Mapping[str, Any] | None = ...,
    settings: Settings | None = ...,
) -> InlineRun[ResultT]: ...


@overload
def run_inline(
    saga: SagaChain,
    data: tuple[Any, ...] = ...,
    *,
    tasks: Mapping[str, Callable[..., Any]] | None = ...,
    settings: Settings | None = ...,
) -> InlineRun[Any]: ...


def run_inline(
    saga: type[Saga[Any, Any]] | SagaChain,
    data: Any = (),
    *,
    tasks: Mapping[str, Callable[..., Any]] | None = None,
    events: Mapping[str, Any] | None = None,
    settings: Settings | None = None,
) -> InlineRun[Any]:
    """Run a saga to its end in this process.

    Args:
        saga: the class, or a chain.
        data: its input; of a chain the arguments that `start` would be given, as a tuple.
        tasks: what to call for a task of this name, in place of the registered task or where there is none (a task of
            another codebase).
        events: what answers the saga's waits, by the names of these steps. A wait that is not named here runs out of
            time, over which the clock jumps.
        settings: defaults of steps; those of `Settings()` when left out.

    Returns:
        The end, the result, and every task that ran. A saga that waits in the dead letters counts as ended.

    Raises:
        InputRejected: the input does not fit.
        TaskNotFound: a step names a task that is not known here.
    """
    plain = saga.script(*data) if isinstance(saga, SagaChain) else data
    return _InlineRunner(settings or Settings(), tasks or {}).run(saga.definition(), plain, events or {})


class _InlineRunner:
    def __init__(self, settings: Settings, tasks: Mapping[str, Callable[..., Any]]) -> None:
        self._settings = settings
        self._tasks = tasks
        self._clock = FakeClock(EPOCH)
        self._store = SQLStore("sqlite://", chance=draw, clock=self._clock)
        self._transport = InlineTransport()
        self._coordinator = Coordinator(
            store=self._store,
            transport=self._transport,
            renderer=ClassRenderer(settings),
            backoff=_longest_rest,
            parks_render_failures=True,
            on_facts=tell,
        )
        self._sweeper = Sweeper(store=self._store, transport=self._transport, coordinator=self._coordinator)
        self._calls: list[tuple[str, str]] = []

    def run(self, definition: Definition, data: object, events: Mapping[str, Any]) -> InlineRun[Any]:
        try:
            saga_id = self._start(definition, data)
            self._answer(definition, saga_id, events)
            stored = self._until_ended(saga_id)
        finally:
            self._store.dispose()
        completed = stored.status is SagaStatus.COMPLETED
        result: Any = definition.result.decode(stored.result) if completed else None
        return InlineRun(state=stored.status, result=result, calls=tuple(self._calls), stored=stored)

    def _start(self, definition: Definition, data: object) -> str:
        with self._store.connections.transaction() as connection:
            metadata.create_all(connection)
        plain = encode_input(definition, data, self._settings.payload_limit)
        new = NewSaga(id=new_id(), name=definition.name, plan=definition.plan, input=plain, timeout=definition.timeout)
        self._store.start([new], nudge_after=0.0)
        return new.id

    def _answer(self, definition: Definition, saga_id: str, events: Mapping[str, Any]) -> None:
        """Answers come before their waits, which keep them."""
        for name, event in events.items():
            sent = event_for(definition, name, event, event_id=name, actor="", limit=self._settings.payload_limit)
            news = InboxNews(saga_id=saga_id, id=name, news=sent)
            self._store.post(news, names=[definition.name], nudge_after=0.0)

    def _until_ended(self, saga_id: str) -> SagaState:
        """Work off every message; then jump to what is due next, and so on."""
        for _ in range(MOST_TURNS):
            self._deliver()
            stored = self._store.load(saga_id)
            if stored is not None and stored.status.ended:
                return stored
            if not self._sweeper.tick().found:
                self._clock.turn(self._rest())
        raise SagaError(f"saga {saga_id} had not ended after {MOST_TURNS} turns of the clock")

    def _rest(self) -> float:
        """Seconds until something is due."""
        with self._store.connections.autocommit() as connection:
            due: datetime | None = connection.execute(sa.select(sa.func.min(saga_awaited.c.due_at))).scalar_one()
        now = self._clock.fixed()
        return max((due - now).total_seconds(), LEAST_TURN) if due is not None else LEAST_TURN

    def _deliver(self) -> None:
        transport = self._transport
        while transport.nudges or transport.messages:
            if transport.nudges:
                self._coordinator.handle(transport.nudges.popleft(), Nudged())
            else:
                message = transport.messages.popleft()
                self._coordinator.handle(message.saga_id, self._news_of(message))

    def _news_of(self, outgoing: Outgoing) -> News:
        slot, attempt = outgoing.slot, outgoing.attempt
        words = "" if slot.direction is Direction.ACTION else f" ({slot.direction.value})"
        self._calls.append((f"{step_label(slot.step, slot.item)}{words}", outgoing.message.task))
        try:
            result = self._task(outgoing.message)(*outgoing.message.args, **outgoing.message.kwargs)
        except TaskNotFound:
            raise
        except Exception as error:
            return failed(error, slot, attempt)
        return self._outcome(outgoing, result)

    def _outcome(self, outgoing: Outgoing, result: object) -> News:
        slot, attempt = outgoing.slot, outgoing.attempt
        try:
            plain = payload.plain(result, self._settings.payload_limit)
        except payload.Unstorable as trouble:
            failure = failure_named(trouble.name, str(trouble), step=slot.step)
            return AttemptFailed(slot=slot, attempt=attempt, failure=failure, took_effect=True)
        if slot.direction is Direction.PROBE:
            stored = self._store.load(outgoing.saga_id)
            assert stored is not None  # noqa: S101 - it sent the probe
            return interpret_probe(stored, slot, attempt, plain, plan=self._store.plan(stored.plan_hash))
        return AttemptSucceeded(slot=slot, attempt=attempt, result=plain)

    def _task(self, message: Message) -> Callable[..., Any]:
        found = self._tasks.get(message.task) or current_app.tasks.get(message.task)
        if found is None:
            raise TaskNotFound(
                f"no task {message.task!r} is registered here; give run_inline(tasks={{{message.task!r}: function}}) "
                "one to call in its place"
            )
        return found


def _longest_rest(retry: Retry, tries: int) -> float:
    """No chance in tests: every rest takes its full time, which the fake clock jumps over."""
    return float(min(retry.delay * 2 ** (tries - 1), retry.maximum))
