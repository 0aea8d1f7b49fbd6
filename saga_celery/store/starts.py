"""Starting sagas: inserts only, within whatever transaction the caller has open."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import sqlalchemy as sa

from saga_celery.core.plan import Plan
from saga_celery.core.states import Parent, SagaStatus
from saga_celery.engine.admission import AT_ONCE, Terms
from saga_celery.engine.payloads import Payload
from saga_celery.engine.ports import DEADLINE_SLOT, NUDGE_SLOT, Awaited, Due
from saga_celery.errors import AlreadyStarted, InputRejected, KeyConflict
from saga_celery.store import tickets
from saga_celery.store.clock import Clock, after, now
from saga_celery.store.codec import canonical, dumps, optional_dumps, to_json
from saga_celery.store.columns import ID
from saga_celery.store.connections import Connections
from saga_celery.store.executors import ConnectionExecutor, Executor, Row
from saga_celery.store.names import check_name
from saga_celery.store.opening import opened
from saga_celery.store.payload_rows import keep_payloads, payload_rows
from saga_celery.store.plans import plan_rows
from saga_celery.store.rows import DONE, awaited_row
from saga_celery.store.schema import saga, saga_awaited, saga_key, saga_plan, saga_tag, saga_ticket
from saga_celery.store.upsert import insert_if_absent

IfExists = Literal["return", "raise", "new_if_ended"]
"""What to do when the key is taken: answer with the saga that has it, raise, or start anew when that one is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSaga:
    """A saga to be started.

    Raises:
        InputRejected: a name, key or tag is too long or can not be stored, or the input is no JSON.
    """

    id: str
    name: str
    plan: Plan
    input: Any = None
    key: str | None = None
    """At most one saga of this name has it."""
    tags: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout: float | None = None
    """Seconds that the whole saga may take."""
    parent: Parent | None = None
    """Whose child it is."""
    priority: int | None = None
    """For the broker, and among those who wait for the same lock or place: the higher one first."""
    terms: Terms = AT_ONCE
    """On what terms it begins."""
    shares_lock_of: str | None = None
    """A saga, such as its parent, whose lock it is to hold as well, if that one has any."""
    payloads: tuple[Payload, ...] = ()
    """What the input refers to."""
    fingerprint: str | None = None
    """Of the input, where what is stored in its place tells nothing of it; None: that of the input as it is."""
    input_text: str | None = field(init=False, compare=False, repr=False)
    """The input as JSON text; NULL for None."""

    def __post_init__(self) -> None:
        check_name("id", self.id, ID)
        check_name("name", self.name)
        for what, text in (("key", self.key), ("lock", self.terms.lock)):
            if text is not None:
                check_name(what, text)
        for name, value in self.tags.items():
            check_name(name, value)
            check_name("tag", name)
        try:
            object.__setattr__(self, "input_text", optional_dumps(self.input))
        except (TypeError, ValueError) as failure:
            raise InputRejected(f"the input is no JSON: {failure}") from failure

    @property
    def is_plain(self) -> bool:
        """It begins at once, and nothing is stored apart from it."""
        return not (self.terms.gated or self.shares_lock_of or self.payloads)

    @property
    def input_hash(self) -> str:
        """Equal for equal inputs."""
        return self.fingerprint or fingerprint_of(self.input)


def fingerprint_of(data: Any) -> str:
    """Equal for equal plain JSON."""
    return hashlib.sha256(canonical(data).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Inserted:
    """What became of a start."""

    id: str
    """The saga that has the key now."""
    created: bool
    """False: it was there already."""


class OwnStarts:
    """Starts sagas in transactions of our own.

    Args:
        connections: the database.
        clock: whose time counts.
    """

    def __init__(self, connections: Connections, clock: Clock) -> None:
        self._connections = connections
        self._clock = clock

    def start(
        self, sagas: Sequence[NewSaga], *, if_exists: IfExists, nudge_after: float, plans: Sequence[Plan]
    ) -> list[Inserted]:
        """Insert sagas and commit: all of them, or none."""

        def once(connection: sa.Connection) -> list[Inserted]:
            executor = ConnectionExecutor(connection)
            return insert(executor, sagas, clock=self._clock, if_exists=if_exists, nudge_after=nudge_after, plans=plans)

        return self._connections.run(once)


def insert(
    executor: Executor,
    sagas: Sequence[NewSaga],
    *,
    clock: Clock,
    if_exists: IfExists = "return",
    nudge_after: float,
    plans: Sequence[Plan] = (),
) -> list[Inserted]:
    """Insert sagas; nothing is visible to others before the caller's commit.

    Args:
        executor: the caller's transaction.
        sagas: what to start.
        clock: whose time counts.
        if_exists: what to do with a key that is taken.
        nudge_after: seconds after which the sweeper looks whether some coordinator took a saga up.
        plans: those that may be missing in the database.

    Returns:
        For each saga, in the same order, the id of the one that has its key, and whether it is new.

    Raises:
        KeyConflict: the key belongs to a saga with another input.
        AlreadyStarted: `if_exists="raise"`, and the key is taken.
        Locked: a saga that was to be refused rather than to wait would have to wait for its lock.
        RetryTransaction: the database gave the caller's transaction up.
    """
    tickets.refuse_locked(executor, sagas, if_exists)
    owners = _take_keys(executor, sagas, if_exists)
    answers = [Inserted(id=owner, created=owner == new.id) for new, owner in zip(sagas, owners, strict=True)]
    created = [new for new, answer in zip(sagas, answers, strict=True) if answer.created]
    if created:
        if plans:
            _write(executor, insert_if_absent(executor.dialect, saga_plan), plan_rows(plans))
        _write(
            executor, keep_payloads(executor.dialect), [row for new in created for row in payload_rows(new.payloads)]
        )
        on_terms = tickets.tickets_of(executor, created)
        gated = {ticket.new.id for ticket in on_terms}
        plain = [new for new in created if new.id not in gated]
        _write(executor, _made_once(_insert_sagas, clock), [saga_row(new) for new in plain])
        _write(executor, sa.insert(saga_tag), [row for new in created for row in _tag_rows(new)])
        waits = [row for new in plain for row in _awaited_rows(new, nudge_after)]
        _write(executor, _made_once(_insert_awaited, clock), waits)
        _insert_on_terms(executor, on_terms, clock, nudge_after)
    return answers


def _insert_on_terms(executor: Executor, on_terms: Sequence[tickets.Ticket], clock: Clock, look_after: float) -> None:
    sagas = [{**saga_row(each.new), **tickets.saga_columns(each)} for each in on_terms]
    waits = [row for each in on_terms for row in tickets.waits_of(each, look_after)]
    _write(executor, _made_once(_insert_gated, clock), sagas)
    _write(executor, _made_once(_insert_tickets, clock), [tickets.ticket_row(each) for each in on_terms])
    _write(executor, _made_once(_insert_admissions, clock), waits)


def _write(executor: Executor, statement: sa.Executable, rows: list[Row]) -> None:
    if rows:
        executor.write(statement, rows)


_lasting: dict[Callable[[Clock], sa.Insert], sa.Insert] = {}


def _made_once(make: Callable[[Clock], sa.Insert], clock: Clock) -> sa.Insert:
    """To put a statement together costs more than to run it; one with the time of a test's clock in it is not kept."""
    if clock.fixed() is not None:
        return make(clock)
    if make not in _lasting:
        _lasting[make] = make(clock)
    return _lasting[make]


# ---------------------------------------------------------------------------------------------------------------- rows


def _insert_sagas(clock: Clock) -> sa.Insert:
    deadline: sa.BindParameter[float] = sa.bindparam("timeout", type_=sa.Double())
    time = now(clock)
    return sa.insert(saga).values(
        created_at=time,
        updated_at=time,
        deadline_at=after(clock, deadline),
    )


def _insert_gated(clock: Clock) -> sa.Insert:
    return sa.insert(saga).values(tickets.saga_times(clock))


def _insert_tickets(clock: Clock) -> sa.Insert:
    return sa.insert(saga_ticket).values(tickets.ticket_times(clock))


def _insert_admissions(clock: Clock) -> sa.Insert:
    return sa.insert(saga_awaited).values(tickets.awaited_times(clock))


def saga_row(new: NewSaga) -> Row:
    """The row of a new saga, but for its times."""
    return {
        "id": new.id,
        "name": new.name,
        "key": new.key,
        "state": SagaStatus.PENDING.value,
        "version": 0,
        "plan_hash": new.plan.hash,
        "input": new.input_text,
        "suspended": False,
        "overdue": False,
        "headers": dumps(dict(new.headers)),
        "parent": optional_dumps(to_json(new.parent)),
        "parent_id": new.parent.id if new.parent else None,
        "timeout": new.timeout,
        "priority": new.priority,
    }


def _tag_rows(new: NewSaga) -> list[Row]:
    return [{"saga_id": new.id, "name": name, "value": value} for name, value in new.tags.items()]


def _insert_awaited(clock: Clock) -> sa.Insert:
    return sa.insert(saga_awaited).values(**opened(clock))


def _awaited_rows(new: NewSaga, nudge_after: float) -> list[Row]:
    dues = [Due(slot=NUDGE_SLOT, awaited=Awaited.NUDGE, seconds=nudge_after)]
    if new.timeout is not None:
        dues.append(Due(slot=DEADLINE_SLOT, awaited=Awaited.DEADLINE, seconds=new.timeout))
    return [{"saga_id": new.id, **awaited_row(due, 0)} for due in dues]


# ---------------------------------------------------------------------------------------------------------------- keys


def _take_keys(executor: Executor, sagas: Sequence[NewSaga], if_exists: IfExists) -> list[str]:
    """For each saga the id of the one that has its key; its own where it took the key, or needs none."""
    keyed = [new for new in in_order(sagas) if new.key is not None]
    if not keyed:
        return [new.id for new in sagas]
    _write(executor, insert_if_absent(executor.dialect, saga_key), [_key_row(new) for new in keyed])
    owners = {(new.name, new.key): _owner(executor, new, if_exists) for new in keyed}
    return [owners[(new.name, new.key)] if new.key is not None else new.id for new in sagas]


def in_order(sagas: Sequence[NewSaga]) -> list[NewSaga]:
    """By their keys, so that two who start many do not wait for each other in a circle."""
    return sorted(sagas, key=lambda new: (new.name, new.key or ""))


def _key_row(new: NewSaga) -> Row:
    return {"name": new.name, "key": new.key, "saga_id": new.id, "input_hash": new.input_hash}


def _owner(executor: Executor, new: NewSaga, if_exists: IfExists) -> str:
    owner, input_hash = _read_owner(executor, new)
    if owner == new.id:
        return owner
    if if_exists == "new_if_ended" and _take_over(executor, new, owner):
        return new.id
    if if_exists == "new_if_ended":
        owner, input_hash = _read_owner(executor, new)  # a rival may have taken it over
    if if_exists == "raise":
        raise AlreadyStarted(f"saga {owner} has the key {new.key!r} of {new.name} already", saga_id=owner)
    if input_hash != new.input_hash:
        found = f"saga {owner} was started with the key {new.key!r} of {new.name}, but with another input"
        raise KeyConflict(found, saga_id=owner)
    return owner


def _read_owner(executor: Executor, new: NewSaga) -> tuple[str, str]:
    """Who has a key.

    MariaDB shows the caller's transaction the database as it was at its first read, without a key that was committed
    since; a locking read sees it. PostgreSQL gives such a transaction up at the insert.
    """
    query = sa.select(saga_key.c.saga_id, saga_key.c.input_hash).where(*_is_key(new))
    if executor.dialect == "mysql":
        query = query.with_for_update()
    ((owner, input_hash),) = executor.read(query)
    return owner, input_hash


def _take_over(executor: Executor, new: NewSaga, owner: str) -> bool:
    """Point the key to the new saga if its owner is done, or pruned; only one of several rivals succeeds."""
    open_still = sa.exists().where(saga.c.id == owner, saga.c.state.not_in([status.value for status in DONE]))
    take = sa.update(saga_key).where(*_is_key(new), saga_key.c.saga_id == owner, ~open_still)
    values = {"saga_id": new.id, "input_hash": new.input_hash}
    return executor.write(take.values(**values), [{}]) == 1


def _is_key(new: NewSaga) -> list[sa.ColumnElement[bool]]:
    return [saga_key.c.name == new.name, saga_key.c.key == new.key]
