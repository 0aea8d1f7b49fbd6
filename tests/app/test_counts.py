"""What a saga costs, counted and not timed: whoever changes the table changes a cost, and says so in the commit.

To update it, write down what the failing test has found. Without prepared statements, which would be one exchange more
at their fifth use, all counts are the same each time.
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import IO, Any

import pytest
import sqlalchemy as sa
from celery.canvas import Signature

from benchmarks.counting import exchanges
from saga_celery import Saga, step
from saga_celery.core.events import AttemptFailed, AttemptSucceeded, Nudged
from saga_celery.core.states import Failure, Message
from saga_celery.definition.renderer import ClassRenderer
from saga_celery.engine.coordinator import Coordinator
from saga_celery.engine.ports import Outgoing
from saga_celery.settings import Settings
from saga_celery.store import SQLStore
from saga_celery.store.clock import FakeClock
from saga_celery.store.schema import saga, saga_awaited, saga_dead_letter, saga_history, saga_step
from saga_celery.store.starts import NewSaga

DATABASES = ("postgresql", "mysql", "sqlite")
COSTS = {
    "start": (1, 4, 4),
    "start with key and tag": (1, 7, 7),
    "start_many of 100": (1, 202, 202),
    "nudge to end": (7, 52, 55),
    "nudge": (2, 9, 8),
    "transition, known": (1, 9, 10),
    "transition, cold": (2, 11, 11),
    "third step to undone": (7, 54, 60),
    "messages": (6, 6, 6),
    "bytes": (4210, 4210, 4210),
    "bytes, undone": (5365, 5365, 5365),
}
"""How often something is said to each database: exchanges with PostgreSQL and MariaDB, BEGIN and COMMIT included, and
statements of SQLite; the messages of a saga of five steps; the bytes of the texts in all of its rows."""


class Five(Saga[int]):
    """Five steps, each of which can be undone."""

    name = "counts.five"

    @step(idempotent=True)
    def one(self, number: int) -> Signature[int]:
        return self.task("do", number)

    @one.compensate
    def undo_one(self, number: int, one: int) -> Signature[None]:
        return self.task("undo", one)

    @step(idempotent=True)
    def two(self, number: int) -> Signature[int]:
        return self.task("do", number)

    @two.compensate
    def undo_two(self, number: int, two: int) -> Signature[None]:
        return self.task("undo", two)

    @step(idempotent=True)
    def three(self, number: int) -> Signature[int]:
        return self.task("do", number)

    @three.compensate
    def undo_three(self, number: int, three: int) -> Signature[None]:
        return self.task("undo", three)

    @step(idempotent=True)
    def four(self, number: int) -> Signature[int]:
        return self.task("do", number)

    @four.compensate
    def undo_four(self, number: int, four: int) -> Signature[None]:
        return self.task("undo", four)

    @step(idempotent=True, fatal=["Refused"])
    def five(self, number: int) -> Signature[int]:
        return self.task("do", number)

    @five.compensate
    def undo_five(self, number: int, five: int) -> Signature[None]:
        return self.task("undo", five)


@dataclass
class Post:
    """A broker that keeps what it is given."""

    sent: list[Outgoing] = field(default_factory=list)
    nudged: list[str] = field(default_factory=list)
    count: int = 0

    def send(self, messages: Any) -> None:
        self.sent += messages
        self.count += len(messages)

    def nudge(self, saga_ids: Any, priority: int | None = None) -> None:
        self.nudged += saga_ids
        self.count += len(saga_ids)

    def is_foreign(self, message: Message) -> bool:
        return False

    def backlog(self, message: Message | None = None) -> int:
        return 0


class Workshop:
    """A coordinator on a database, which may forget what it knows of sagas."""

    def __init__(self, url: str, first: int) -> None:
        postgres = {"connect_args": {"prepare_threshold": None}} if url.startswith("postgresql") else {}
        clock = FakeClock(datetime(2030, 1, 1, 12, tzinfo=UTC))
        self.store = SQLStore(url, chance=lambda: 0.5, clock=clock, **postgres)
        self.post = Post()
        self._numbers = iter(range(first, first + 1000))
        self._trace = tempfile.TemporaryFile("w+b")  # noqa: SIM115 - closed with the workshop
        self.said = said(self.store, self._trace)

    def new(self, **values: Any) -> NewSaga:
        saga_id = f"0193c0de-0000-7000-8000-{next(self._numbers):012}"
        return NewSaga(id=saga_id, name=Five.name, plan=Five.definition().plan, input=7, **values)

    def close(self) -> None:
        self.store.dispose()
        self._trace.close()

    @property
    def messages(self) -> int:
        """Those of the latest saga, its nudge included."""
        return self.post.count

    def count(self, act: Callable[[], object]) -> int:
        before = self.said()
        self.post.count = 1
        act()
        return self.said() - before

    def start(self, sagas: list[NewSaga]) -> str:
        self.store.start(sagas, nudge_after=10.0)
        return sagas[0].id

    def tell(self, saga_id: str, news: Any) -> None:
        settings = Settings()
        Coordinator(
            store=self.store, transport=self.post, renderer=ClassRenderer(settings), backoff=lambda retry, tries: 0.0
        ).handle(saga_id, news)

    def run(self, saga_id: str, *, refused: str = "") -> None:
        """To the end, by what is sent."""
        if not self.post.sent:
            self.tell(saga_id, Nudged())
        while self.post.sent:
            slot = self.post.sent.pop().slot
            if slot.step == refused and slot.direction == "action":
                failure = Failure(type="Refused", message="no", types=("Refused",), step=slot.step)
                self.tell(saga_id, AttemptFailed(slot=slot, attempt=1, failure=failure))
            else:
                self.tell(saga_id, AttemptSucceeded(slot=slot, attempt=1, result=1))


def said(store: SQLStore, trace: IO[bytes]) -> Callable[[], int]:
    """How often something was said to the database so far, counted in the driver, whichever way it got there."""
    lines: list[Any] = []

    def listen(connection: Any, *_: Any) -> None:
        if store.connections.dialect == "postgresql":
            connection.pgconn.trace(trace.fileno())
        elif store.connections.dialect == "sqlite":
            connection.set_trace_callback(lines.append)
        else:
            execute = connection._execute_command
            connection._execute_command = lambda *given: [lines.append(given), execute(*given)][-1]

    sa.event.listen(store.connections.engine, "connect", listen)
    return lambda: exchanges(trace) + len(lines)


@pytest.fixture
def workshops(migrated_url: str) -> Iterator[Callable[[], Workshop]]:
    """As many processes on one database; the first saga of each reads and stores the plan."""
    made: list[Workshop] = []

    def make() -> Workshop:
        made.append(Workshop(migrated_url, first=1000 * len(made)))
        made[-1].run(made[-1].start([made[-1].new()]))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_the_costs_are_those_of_the_table(workshops):
    here, elsewhere = workshops(), workshops()
    done, undone = here.new(), here.new()

    def known() -> None:
        here.tell(undone.id, AttemptSucceeded(slot=here.post.sent.pop().slot, attempt=1, result=1))

    def cold() -> None:
        elsewhere.tell(undone.id, AttemptSucceeded(slot=here.post.sent.pop().slot, attempt=1, result=1))

    found = {
        "start": here.count(lambda: here.start([done])),
        "start with key and tag": here.count(lambda: here.start([here.new(key="k", tags={"order": "7"})])),
        "start_many of 100": here.count(lambda: here.start([here.new() for _ in range(100)])),
        "nudge to end": here.count(lambda: here.run(done.id)),
        "messages": here.messages,
    }
    here.start([undone])
    found["nudge"] = here.count(lambda: here.tell(undone.id, Nudged()))
    found["transition, known"] = here.count(known)
    found["transition, cold"] = elsewhere.count(cold)
    here.post.sent += elsewhere.post.sent
    elsewhere.post.sent.clear()
    here.store.load(undone.id)
    found["third step to undone"] = here.count(lambda: here.run(undone.id, refused="five"))
    assert [here.store.load(each.id).status for each in (done, undone)] == ["COMPLETED", "COMPENSATED"]
    found |= {"bytes": size_of(here.store, done.id), "bytes, undone": size_of(here.store, undone.id)}
    place = DATABASES.index(here.store.connections.dialect)
    assert found == {name: costs[place] for name, costs in COSTS.items()}


def size_of(store: SQLStore, saga_id: str) -> int:
    """Bytes of the texts in all rows of a saga, whatever their database makes of them."""
    with store.connections.autocommit() as connection:
        rows = [
            row
            for table in (saga, saga_step, saga_history, saga_dead_letter, saga_awaited)
            for row in connection.execute(sa.select(table).where(table.c[_id_of(table)] == saga_id))
        ]
    return sum(len(value.encode()) for row in rows for value in row if isinstance(value, str))


def _id_of(table: sa.Table) -> str:
    return "id" if table is saga else "saga_id"
