"""A small world for a few sagas: real coordinator, sweeper and SQL store, a broker that is a list, a clock to turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from saga_celery import Saga
from saga_celery.app.chance import new_id
from saga_celery.core.events import AttemptFailed, AttemptLost, AttemptStarted, AttemptSucceeded, News, Nudged
from saga_celery.core.retry import Retry
from saga_celery.core.states import Direction, Message, SagaState, SagaStatus
from saga_celery.definition.inputs import encode_input
from saga_celery.definition.renderer import ClassRenderer
from saga_celery.engine.coordinator import Coordinator, Handled
from saga_celery.engine.failures import failure_of
from saga_celery.engine.ports import Outgoing
from saga_celery.engine.sweeper import Sweeper
from saga_celery.errors import PublishFailed
from saga_celery.settings import Settings
from saga_celery.store import NewSaga, SQLStore
from saga_celery.store.clock import FakeClock
from saga_celery.store.migrate import migrate
from saga_celery.store.schema import saga_awaited

NOON = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)
SETTINGS = Settings()


class Killed(Exception):
    """Raised by a task of a test to end without an outcome, as if its worker were killed."""


class Broker:
    """Keeps what was published, or refuses it."""

    def __init__(self) -> None:
        self.messages: deque[Outgoing] = deque()
        self.nudges: deque[str] = deque()
        self.down = False

    def send(self, messages: Sequence[Outgoing]) -> None:
        self._refuse_when_down()
        self.messages.extend(messages)

    def nudge(self, saga_ids: Sequence[str], priority: int | None = None) -> None:
        self._refuse_when_down()
        self.nudges.extend(saga_ids)

    def is_foreign(self, message: Message) -> bool:
        return False

    def backlog(self, message: Message | None = None) -> int:
        return 0

    def lose_everything(self) -> None:
        self.messages.clear()
        self.nudges.clear()

    def _refuse_when_down(self) -> None:
        if self.down:
            raise PublishFailed("the broker is down")


class World:
    """Sagas, and everything that may happen to them."""

    def __init__(self, url: str) -> None:
        self.clock = FakeClock(NOON)
        self.store = SQLStore(url, chance=lambda: 0.5, clock=self.clock)
        migrate(self.store.connections)
        self.broker = Broker()
        self.tasks: dict[str, Callable[..., Any]] = {}
        self.calls: list[str] = []
        """Names of the tasks that ran, in order."""
        self.coordinator = self._coordinator(ClassRenderer(SETTINGS))
        self.sweeper = Sweeper(store=self.store, transport=self.broker, coordinator=self._coordinator(None))

    def _coordinator(self, renderer: ClassRenderer | None) -> Coordinator:
        return Coordinator(
            store=self.store,
            transport=self.broker,
            renderer=renderer,
            backoff=_full_rest,
            parks_render_failures=renderer is not None,
        )

    def start(self, saga: type[Saga[Any, Any]], data: Any = 1, **more: Any) -> str:
        """Store a saga and nudge the coordinator; the saga's id."""
        definition = saga.definition()
        new = NewSaga(
            id=new_id(),
            name=definition.name,
            plan=definition.plan,
            input=encode_input(definition, data, SETTINGS.payload_limit),
            **more,
        )
        self.store.start([new], nudge_after=10.0)
        self.broker.nudges.append(new.id)
        return new.id

    def handle(self, saga_id: str, news: News) -> Handled | None:
        return self.coordinator.handle(saga_id, news)

    def state(self, saga_id: str) -> SagaState:
        found = self.store.load(saga_id)
        assert found is not None
        return found

    def status(self, saga_id: str) -> SagaStatus:
        return self.state(saga_id).status

    def awaited(self, saga_id: str) -> int:
        """How many rows will bring the sweeper back to a saga."""
        query = sa.select(sa.func.count()).where(saga_awaited.c.saga_id == saga_id)
        with self.store.connections.autocommit() as connection:
            return int(connection.execute(query).scalar_one())

    # ------------------------------------------------------------------------------------------------------- messages

    def nudged(self) -> None:
        """Work off the nudges, and leave the messages to participants where they are."""
        while self.broker.nudges:
            self.handle(self.broker.nudges.popleft(), Nudged())

    def take(self, task: str) -> Outgoing:
        """Take the message to a task out of the broker."""
        self.nudged()
        (found, *_) = [each for each in self.broker.messages if each.message.task == task]
        self.broker.messages.remove(found)
        return found

    def begin(self, message: Outgoing, worker: str = "w1@host:1") -> Handled | None:
        """A worker claims the attempt."""
        return self.handle(message.saga_id, AttemptStarted(slot=message.slot, attempt=message.attempt, worker=worker))

    def succeed(self, message: Outgoing, result: Any = None) -> Handled | None:
        return self.handle(message.saga_id, AttemptSucceeded(slot=message.slot, attempt=message.attempt, result=result))

    def fail(self, message: Outgoing, error: Exception) -> Handled | None:
        return self.handle(message.saga_id, self._failed(message, error))

    def lose(self, message: Outgoing) -> Handled | None:
        return self.handle(
            message.saga_id, AttemptLost(slot=message.slot, attempt=message.attempt, reason="worker died")
        )

    def run(self) -> None:
        """Work off every nudge and message."""
        while self.broker.nudges or self.broker.messages:
            self.nudged()
            if self.broker.messages:
                self._perform(self.broker.messages.popleft())

    def pass_time(self, seconds: float) -> None:
        """Time passes, the sweeper does its round, and what comes of it is worked off."""
        self.clock.turn(seconds)
        while self.sweeper.tick().found:
            self.run()
        self.run()

    def until_ended(self, *saga_ids: str, rounds: int = 60) -> list[SagaStatus]:
        """Let a minute pass again and again, until all have ended."""
        self.run()
        for _ in range(rounds):
            if all(self.status(saga_id).ended for saga_id in saga_ids):
                break
            self.pass_time(60.0)
        return [self.status(saga_id) for saga_id in saga_ids]

    def _perform(self, message: Outgoing) -> None:
        name = message.message.task
        self.calls.append(name)
        task = self.tasks.get(name, _echo)
        try:
            result = task(*message.message.args, **message.message.kwargs)
        except Killed:
            self.lose(message)
        except Exception as error:
            self.fail(message, error)
        else:
            self.succeed(message, result)

    @staticmethod
    def _failed(message: Outgoing, error: Exception) -> AttemptFailed:
        return AttemptFailed(
            slot=message.slot, attempt=message.attempt, failure=failure_of(error, step=message.slot.step)
        )


def _echo(*args: Any, **kwargs: Any) -> str:
    return "done"


def _full_rest(retry: Retry, tries: int) -> float:
    return float(min(retry.delay * 2 ** (tries - 1), retry.maximum))


def undo_of(message: Outgoing) -> bool:
    """Whether a message undoes something."""
    return message.slot.direction is Direction.COMPENSATION
