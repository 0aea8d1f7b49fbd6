"""What one transition costs the database, in one thread and without a broker."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from statistics import median
from typing import Any

from benchmarks.counting import round_trips, statements
from benchmarks.sagas import Keyed
from saga_celery.core.events import AttemptSucceeded, News, Nudged
from saga_celery.core.states import Message, SagaState, Slot
from saga_celery.definition.renderer import ClassRenderer
from saga_celery.engine.coordinator import Coordinator
from saga_celery.engine.ports import Change, Outgoing
from saga_celery.settings import Settings
from saga_celery.store import SQLStore
from saga_celery.store.starts import NewSaga

NAMES = ("one", "two", "three", "four", "five")
TRANSITIONS = len(NAMES) + 1
"""Transitions from the start of a saga to its end."""


class Silence:
    """A broker that takes everything and delivers nothing."""

    def send(self, messages: Sequence[Outgoing]) -> None:
        """Take messages."""

    def nudge(self, saga_ids: Sequence[str], priority: int | None = None) -> None:
        """Take nudges."""

    def is_foreign(self, message: Message) -> bool:
        """No worker is."""
        return False

    def backlog(self, message: Message | None = None) -> int:
        """Nothing waits."""
        return 0


class TimedStore(SQLStore):
    """Notes how long loads and saves take."""

    cold = False
    """Every load reads the database, as in a process that does not know the saga."""

    def __init__(self, url: str) -> None:
        super().__init__(url, chance=lambda: 0.5)
        self.loads: list[float] = []
        self.saves: list[float] = []

    def load(self, saga_id: str, *, fresh: bool = True) -> SagaState | None:
        """Load, timed."""
        began = time.perf_counter()
        found = super().load(saga_id, fresh=fresh or self.cold)
        self.loads.append(time.perf_counter() - began)
        return found

    def save(self, change: Change) -> bool:
        """Save, timed."""
        began = time.perf_counter()
        saved = super().save(change)
        self.saves.append(time.perf_counter() - began)
        return saved


class Bench:
    """Sagas that are moved by hand.

    Args:
        url: a saga database.
    """

    def __init__(self, url: str) -> None:
        self.store = TimedStore(url)
        self._coordinator = Coordinator(
            store=self.store, transport=Silence(), renderer=ClassRenderer(Settings()), backoff=lambda retry, tries: 0.0
        )
        self._numbers = iter(range(1, 10**9))
        self._prefix = f"{time.perf_counter_ns():x}"
        self.starts: list[float] = []
        self.moves: list[float] = []

    def clear(self) -> None:
        """Forget all times taken."""
        for times in (self.starts, self.moves, self.store.loads, self.store.saves):
            times.clear()

    def start(self) -> str:
        """Start a saga."""
        new = NewSaga(
            id=f"{self._prefix}-{next(self._numbers)}", name=Keyed.name, plan=Keyed.definition().plan, input=1
        )
        timed(self.starts, lambda: self.store.start([new], nudge_after=10.0))
        return new.id

    def move(self, saga_id: str, transitions: int) -> None:
        """Move a saga from its start on."""
        for news in islice(_all_news(), transitions):
            timed(self.moves, partial(self._coordinator.handle, saga_id, news))

    def run(self, sagas: int, *, cold: bool) -> None:
        """Move sagas from their start to their end."""
        self.store.cold = cold
        for _ in range(sagas):
            saga_id = self.start()
            self.move(saga_id, TRANSITIONS)
            state = self.store.load(saga_id)
            assert state is not None
            assert state.status == "COMPLETED", state.status
            self.store.loads.pop()  # that was ours


def _all_news() -> Iterator[News]:
    yield Nudged()
    for name in NAMES:
        yield AttemptSucceeded(slot=Slot(name, 0, generation=1), attempt=1, result=1)


def timed(times: list[float], act: Callable[[], object]) -> None:
    """Do something and note the seconds that it took."""
    began = time.perf_counter()
    act()
    times.append(time.perf_counter() - began)


def measure(database: str, url: str, sagas: int, rounds: int) -> dict[str, Any]:
    """Milliseconds and statements for each transition of one database."""
    bench = Bench(url)
    bench.run(max(sagas // 5, 2), cold=True)
    bench.clear()
    known, cold, loads, saves, starts = [], [], [], [], []
    for _ in range(rounds):
        bench.run(sagas, cold=False)
        known.append(median(bench.moves))
        bench.clear()
        bench.run(sagas, cold=True)
        cold.append(median(bench.moves))
        loads.append(median(bench.store.loads))
        saves.append(median(bench.store.saves))
        starts.append(median(bench.starts))
        bench.clear()
    found = {
        "database": database,
        "known_ms": median(known) * 1000,
        "cold_ms": median(cold) * 1000,
        "load_ms": median(loads) * 1000,
        "save_ms": median(saves) * 1000,
        "start_ms": median(starts) * 1000,
        **statements(bench),
    }
    bench.store.dispose()
    if database == "postgresql":
        bench = Bench(url)
        found |= round_trips(bench)
        bench.store.dispose()
    return found
