"""Counts what happens to sagas: all there is at first, and from then on what came since.

No index leads to what ended lately. But a saga that moved was open when somebody looked last, or has been started
since, or is the child of one that moved; so what is remembered is where those stand that are open, and a reading costs
what is open and what moved, however many have ended.

Whoever commits late has rows that look older than what was counted already. So those that were started within the last
`OVERLAP` seconds are looked at again, and known by their ids; a version of a saga is counted once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

from saga_celery.contrib.metrics.attempts import KINDS, Attempts
from saga_celery.contrib.metrics.tally import SAGA_BOUNDS, Tally
from saga_celery.core import events as e
from saga_celery.core.states import SagaStatus
from saga_celery.store.metering import Ended, Look, Metering, Standing, Transition
from saga_celery.store.rows import DONE

T = TypeVar("T")

OVERLAP = 60.0
"""Seconds by which a transaction that starts sagas may commit late and still be counted, also if they end at once."""
FIRST_SECONDS = 600.0
"""How long one statement of the first reading may take; two of them read all sagas."""
LATER_SECONDS = 20.0
"""How long one statement of a later reading may take."""
GOES_BACK = (SagaStatus.COMPENSATING, SagaStatus.COMPENSATED, SagaStatus.FAILED)
"""Where a saga may have undone a child that was completed."""
COMPLETED, COMPENSATED, FAILED = (
    str(each).lower() for each in (SagaStatus.COMPLETED, SagaStatus.COMPENSATED, SagaStatus.FAILED)
)
ENDS = (e.SagaCompleted, e.SagaCompensated, e.SagaParked, e.SagaUnparked, e.SagaRerun)
"""Facts that tell of ends, and of parked sagas that go on."""
WANTED = (*KINDS, *ENDS)


@dataclass(slots=True, kw_only=True)
class _Known:
    """A saga that is open, or was lately."""

    name: str
    began: datetime
    version: int
    """Up to which its transitions are counted."""
    failed: bool
    done_at: datetime | None = None
    """When it was first found to be done; None: it is open."""
    attempts: Attempts = field(default_factory=Attempts)


class Meter:
    """Keeps the tally of one database. One thread at a time may use it.

    Args:
        rows: where the sagas are.
    """

    def __init__(self, rows: Metering) -> None:
        self.tally = Tally()
        self._rows = rows
        self._known: dict[str, _Known] = {}
        self._begun = datetime.min.replace(tzinfo=UTC)
        self._last: datetime | None = None

    def read(self, gauges: Callable[[Look, Sequence[Standing]], T]) -> T:
        """Count what is new.

        Args:
            gauges: looks at the same moment for what is not counted; it is given the sagas that are open.

        Returns:
            What `gauges` found.

        Raises:
            StoreError: the database could not be read; nothing is counted then.
        """
        with self._rows.look(FIRST_SECONDS if self._last is None else LATER_SECONDS) as look:
            opened = look.open()
            count = self._first(look, opened) if self._last is None else self._later(look, opened, self._last)
            found = gauges(look, opened)
        count()
        self._last = look.now
        return found

    # ----------------------------------------------------------------------------------------------------------- first

    def _first(self, look: Look, opened: Sequence[Standing]) -> Callable[[], None]:
        """Read all there is; returns what counts it."""
        recent = look.done_since(look.now - timedelta(seconds=OVERLAP))
        return partial(self._count_all, look.now, [*opened, *recent], look.started(), look.ended(SAGA_BOUNDS))

    def _count_all(
        self, now: datetime, standings: Iterable[Standing], started: dict[str, int], ended: Iterable[Ended]
    ) -> None:
        for each in standings:
            self._learn(each, now)
        self._begun = now
        self.tally.started.update(started)
        for part in ended:
            key = part.name, COMPLETED if part.status is SagaStatus.COMPLETED else COMPENSATED
            self.tally.finished[key] += part.count
            self.tally.durations[key].add(part.place, part.count, part.seconds)
        for known in self._known.values():
            if known.failed:
                self.tally.finished[known.name, FAILED] += 1

    # ----------------------------------------------------------------------------------------------------------- later

    def _later(self, look: Look, opened: Sequence[Standing], last: datetime) -> Callable[[], None]:
        """Read what moved; returns what counts it."""
        since = last - timedelta(seconds=OVERLAP)
        found = {each.id: each for each in (*opened, *look.done_since(since))}
        gone = [saga_id for saga_id, known in self._known.items() if known.done_at is None and saga_id not in found]
        found |= {each.id: each for each in look.standings(gone)}
        moved = {each.id: each for each in found.values() if self._has_moved(each)}
        self._add_children(look, moved)
        read = look.transitions({saga_id: self._counted(saga_id) for saga_id in moved}, WANTED)
        for saga_id in gone:
            if saga_id not in found:  # somebody has deleted it
                del self._known[saga_id]
        return partial(self._count_moves, look.now, max(since, self._begun), moved, read)

    def _add_children(self, look: Look, moved: dict[str, Standing]) -> None:
        """Those whose parents went back: they were done when somebody looked last, and may be done again."""
        parents = [each.id for each in moved.values() if each.status in GOES_BACK]
        while parents:
            children = [each for each in look.children(parents) if each.id not in moved and self._has_moved(each)]
            moved |= {each.id: each for each in children}
            parents = [each.id for each in children]

    def _has_moved(self, standing: Standing) -> bool:
        known = self._known.get(standing.id)
        return known is None or known.version != standing.version

    def _counted(self, saga_id: str) -> int:
        known = self._known.get(saga_id)
        return known.version if known is not None else 0

    def _count_moves(
        self, now: datetime, since: datetime, moved: dict[str, Standing], transitions: Sequence[Transition]
    ) -> None:
        self._meet(since, moved.values(), transitions)
        for each in transitions:
            known = self._known[each.saga_id]
            if each.version > known.version:
                self._count(known, each)
        for standing in moved.values():
            self._learn(standing, now)
        self._forget(since - timedelta(seconds=OVERLAP))

    def _meet(self, since: datetime, standings: Iterable[Standing], transitions: Iterable[Transition]) -> None:
        """Learn of sagas that are not known: they are new, or had ended before `since` and were set going again."""
        before: dict[str, int] = {}
        for each in transitions:
            if each.at < since:
                before[each.saga_id] = each.version
        for standing in standings:
            if standing.id not in self._known:
                self._known[standing.id] = _of(standing, before.get(standing.id, 0))
                self.tally.started[standing.name] += int(standing.id not in before)

    def _count(self, known: _Known, transition: Transition) -> None:
        known.version = transition.version
        for fact in transition.facts:
            self._count_end(known, fact, transition.at)
            for ended in known.attempts.after(fact, transition.at):
                self.tally.attempts[known.name, ended.step, ended.direction, ended.outcome] += 1
                if ended.seconds is not None:
                    self.tally.step_seconds[known.name, ended.step, ended.direction].observe(ended.seconds)

    def _count_end(self, known: _Known, fact: e.Fact, at: datetime) -> None:
        match fact:
            case e.SagaCompleted() | e.SagaCompensated():
                key = known.name, COMPLETED if isinstance(fact, e.SagaCompleted) else COMPENSATED
                self.tally.finished[key] += 1
                self.tally.durations[key].observe((at - known.began).total_seconds())
            case e.SagaParked():
                self.tally.finished[known.name, FAILED] += int(not known.failed)  # a second letter parks it no more
                known.failed = True
            case e.SagaUnparked(to=to):
                known.failed = to is SagaStatus.FAILED
            case e.SagaRerun():
                known.failed = False
            case _:
                pass

    # -------------------------------------------------------------------------------------------------- what is known

    def _learn(self, standing: Standing, now: datetime) -> None:
        known = self._known.setdefault(standing.id, _of(standing, standing.version))
        known.version = standing.version
        known.failed = standing.status is SagaStatus.FAILED
        known.done_at = (known.done_at or now) if standing.status in DONE else None

    def _forget(self, before: datetime) -> None:
        """What was done before a moment moves no more, or is met anew."""
        done = [each for each, known in self._known.items() if known.done_at is not None and known.done_at < before]
        for saga_id in done:
            del self._known[saga_id]


def _of(standing: Standing, version: int) -> _Known:
    return _Known(name=standing.name, began=standing.began, version=version, failed=False)
