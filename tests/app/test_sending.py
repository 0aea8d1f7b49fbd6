"""Events and wishes in the transaction of whoever sends them: seen after its commit, gone with its rollback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from celery import Celery
from celery.canvas import Signature
from pydantic import BaseModel
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from saga_celery import Saga, SagaApp, SagaHandle, step, wait_for
from saga_celery.core import events as e
from saga_celery.core.states import SagaStatus, StepStatus
from saga_celery.definition import desk, registry
from saga_celery.errors import (
    EventConflict,
    InputRejected,
    NotConfigured,
    PublishFailed,
    Refused,
    SagaNotFound,
    SchemaOutOfDate,
)
from saga_celery.store.migrate import migrate


class Approval(BaseModel):
    ok: bool
    by: str


YES = Approval(ok=True, by="finance")


@dataclass
class Bank:
    """An app, two sagas of it, and the nudges that it sent."""

    sagas: SagaApp
    loan: Any
    card: Any
    engine: sa.Engine
    nudged: list[str] = field(default_factory=list)

    def waiting(self, saga: Any = None, **options: Any) -> SagaHandle[Any]:
        """A saga whose turn to wait has come."""
        handle: SagaHandle[Any] = (saga or self.loan).start(7, **options)
        self.look(handle)
        self.nudged.clear()
        return handle

    def look(self, handle: SagaHandle[Any]) -> None:
        """A coordinator answers a nudge."""
        assert self.sagas.coordinator(parks_render_failures=True).handle(handle.id, e.Nudged()) is not None

    def step(self, handle: SagaHandle[Any], name: str = "approve") -> StepStatus | None:
        found = handle.snapshot().steps.get((name, 0))
        return found.status if found else None

    def inbox(self, handle: SagaHandle[Any]) -> list[str]:
        return [each.id for each in self.sagas.store.inbox(handle.id)]


@pytest.fixture
def unmigrated(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bank]:
    monkeypatch.setattr(registry, "_sagas", {})
    monkeypatch.setattr(desk, "_bound", [])
    app = Celery("bank", broker="memory://", set_as_current=False)
    app.conf.saga_database_url = database_url
    sagas = SagaApp(app)

    class Loan(Saga[int, bool]):
        name = "bank.loan"

        @step(no_compensation="only looks", idempotent=True)
        def score(self, cents: int) -> Signature[int]:
            return self.task("bank.score", cents)

        @wait_for(Approval, timeout=timedelta(days=2))
        def approve(self, cents: int) -> None: ...

        def result(self, cents: int, approve: Approval) -> bool:
            return approve.ok

    class Card(Saga[int]):
        name = "bank.card"

        @wait_for(Approval, timeout=timedelta(days=2))
        def approve(self, cents: int) -> None: ...

    engine = sa.create_engine(database_url)
    bank = Bank(sagas, Loan, Card, engine)
    monkeypatch.setattr(sagas.transport, "nudge", lambda saga_ids, *more: bank.nudged.extend(saga_ids))
    yield bank
    engine.dispose()
    sagas.dispose()


@pytest.fixture
def bank(unmigrated: Bank) -> Bank:
    migrate(unmigrated.sagas.store.connections)
    with unmigrated.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE decisions (id integer)")
    return unmigrated


def decide(session: Session) -> None:
    """The caller's own writing."""
    session.execute(sa.text("INSERT INTO decisions VALUES (1)"))


def decisions(bank: Bank) -> int:
    with bank.engine.begin() as connection:
        return int(connection.execute(sa.text("SELECT count(*) FROM decisions")).scalar_one())


# ── with the caller's transaction, or without ────────────────────────────────────────────────────────────────────────


def test_without_a_transaction_it_is_sent_at_once(bank):
    handle = bank.waiting(bank.card)
    assert bank.card.approve.send(handle.id, YES) is None
    assert bank.nudged == [handle.id]
    bank.look(handle)
    assert handle.state is SagaStatus.COMPLETED
    assert bank.inbox(handle) == []


def test_the_coordinator_is_nudged_after_the_commit(bank):
    handle = bank.waiting(bank.card)
    with Session(bank.engine) as session:
        decide(session)
        bank.card.approve.send(handle.id, YES, session=session)
        assert (bank.nudged, bank.inbox(handle)) == ([], [])
        session.commit()
        assert bank.nudged == [handle.id]
        session.commit()
    assert (bank.nudged, decisions(bank), len(bank.inbox(handle))) == ([handle.id], 1, 1)


def test_a_rollback_takes_the_event_back(bank):
    handle = bank.waiting(bank.card)
    with Session(bank.engine) as session:
        decide(session)
        handle.send("approve", YES, event_id="m1", session=session)
        session.rollback()
        assert (bank.nudged, bank.inbox(handle), decisions(bank)) == ([], [], 0)
        handle.send("approve", Approval(ok=False, by="board"), event_id="m1", session=session)  # the id is free
        session.commit()
    assert bank.nudged == [handle.id]
    bank.look(handle)
    assert handle.snapshot().steps[("approve", 0)].result == {"ok": False, "by": "board"}


def test_a_savepoint_takes_its_event_back(bank):
    handle = bank.waiting(bank.card)
    with Session(bank.engine) as session:
        decide(session)
        with session.begin_nested() as savepoint:
            handle.send("approve", YES, event_id="dropped", session=session)
            savepoint.rollback()
        handle.send("approve", YES, event_id="kept", session=session)
        session.commit()
    assert bank.inbox(handle) == ["kept"]
    assert decisions(bank) == 1


def test_a_bare_connection_tells_nobody_of_its_commit_so_the_sweeper_finds_the_event(bank):
    handle = bank.waiting(bank.card)
    with bank.engine.begin() as connection:
        handle.send("approve", YES, event_id="m1", connection=connection)
        assert bank.inbox(handle) == []
    assert bank.nudged == []
    assert bank.inbox(handle) == ["m1"]
    bank.sagas.sweeper().tick()
    assert bank.nudged == [handle.id]


def test_a_scoped_session_is_a_session(bank):
    handle = bank.waiting(bank.card)
    scoped = scoped_session(sessionmaker(bank.engine))
    handle.send("approve", YES, session=scoped)
    scoped.commit()
    scoped.remove()
    assert bank.nudged == [handle.id]


def test_one_transaction_may_start_a_saga_and_answer_it(bank):
    with Session(bank.engine) as session:
        handle = bank.card.start(7, session=session)
        handle.send("approve", YES, session=session)
        session.commit()
    bank.look(handle)
    assert handle.state is SagaStatus.COMPLETED


def test_what_is_no_session_is_refused(bank):
    handle = bank.waiting(bank.card)
    with pytest.raises(InputRejected, match=r"pass a SQLAlchemy Session; .*AsyncSession: `await session\.run_sync"):
        handle.send("approve", YES, session=bank.engine)
    with pytest.raises(InputRejected, match="pass a SQLAlchemy Connection"):
        handle.send("approve", YES, connection=bank.engine)


def test_with_the_broker_down_the_event_is_left_all_the_same(bank, monkeypatch, caplog):
    handle = bank.waiting(bank.card)

    def down(*anything: object) -> None:
        raise PublishFailed("no broker")

    monkeypatch.setattr(bank.sagas.transport, "nudge", down)
    handle.send("approve", YES, event_id="m1")
    assert bank.inbox(handle) == ["m1"]
    assert "no broker" in caplog.text


# ── what is sent, and when ───────────────────────────────────────────────────────────────────────────────────────────


def test_an_event_of_another_type_names_the_step(bank):
    handle = bank.waiting(bank.card)
    with pytest.raises(InputRejected, match=r"Card\.approve is no Approval"):
        bank.card.approve.send(handle.id, {"ok": "perhaps"})
    with pytest.raises(InputRejected, match=r"Card has no wait named 'aprove'; did you mean 'approve'"):
        handle.send("aprove", YES)
    assert (bank.inbox(handle), bank.nudged) == ([], [])


def test_an_event_may_come_before_its_turn(bank):
    handle = bank.waiting()
    assert bank.step(handle, "score") is StepStatus.DISPATCHED
    bank.loan.approve.send(handle.id, YES)
    bank.look(handle)
    assert bank.step(handle) is None
    coordinator = bank.sagas.coordinator(parks_render_failures=True)
    coordinator.handle(handle.id, e.AttemptSucceeded(slot=e.Slot("score"), attempt=1, result=1))
    assert handle.result(timeout=0) is True


def test_of_several_events_the_first_one_is_the_answer(bank):
    handle = bank.waiting(bank.card)
    handle.send("approve", YES)
    handle.send("approve", Approval(ok=False, by="board"))
    bank.look(handle)
    assert handle.snapshot().steps[("approve", 0)].result == {"ok": True, "by": "finance"}


def test_one_id_is_for_one_event(bank):
    handle = bank.waiting(bank.card)
    for _ in range(2):
        handle.send("approve", YES, event_id="m1")
    assert bank.inbox(handle) == ["m1"]
    with pytest.raises(EventConflict, match="'m1'"):
        handle.send("approve", Approval(ok=False, by="board"), event_id="m1")
    bank.look(handle)
    handle.send("approve", YES, event_id="m1")  # again after the end: that is what the id is for
    with pytest.raises(Refused, match="COMPLETED already"):
        handle.send("approve", YES, event_id="m2")


def test_who_answered_is_kept_in_the_history(bank):
    handle = bank.waiting(bank.card)
    bank.card.approve.send(handle.id, YES, actor="ann@bank")
    bank.look(handle)
    done = [fact for entry in handle.history() for fact in entry.facts if isinstance(fact, e.StepSucceeded)]
    assert [fact.by for fact in done] == ["ann@bank"]


def test_the_wait_of_one_saga_is_not_that_of_another(bank):
    card = bank.waiting(bank.card)
    with pytest.raises(SagaNotFound, match=rf"saga {card.id} is a bank\.card, no bank\.loan"):
        bank.loan.approve.send(card.id, YES)
    with pytest.raises(SagaNotFound, match="no saga has the id"):
        bank.loan.approve.send("nobody", YES)
    assert bank.inbox(card) == []


def test_missing_tables_are_refused_with_the_command_to_run(unmigrated):
    with pytest.raises(SchemaOutOfDate, match="saga migrate"):
        unmigrated.card.approve.send("s1", YES)


def test_eager_tasks_are_refused(bank):
    handle = bank.waiting(bank.card)
    bank.sagas.celery.conf.task_always_eager = True
    with pytest.raises(NotConfigured, match="run_inline"):
        handle.send("approve", YES)


# ── cancel ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def cancelled(bank: Bank, end: Callable[[Session], None]) -> SagaHandle[Any]:
    handle = bank.waiting(bank.card)
    with Session(bank.engine) as session:
        decide(session)
        state = handle.cancel(reason="the customer left", actor="ann", session=session)
        assert (state, bank.nudged) == (SagaStatus.RUNNING, [])
        end(session)
    bank.look(handle)
    return handle


def test_a_cancel_in_a_transaction_turns_the_saga_round_after_the_commit(bank):
    handle = cancelled(bank, Session.commit)
    assert bank.nudged == [handle.id]
    assert handle.state is SagaStatus.COMPENSATED
    assert bank.step(handle) is StepStatus.CANCELLED


def test_a_cancel_that_is_rolled_back_is_none(bank):
    handle = cancelled(bank, Session.rollback)
    assert (bank.nudged, handle.state, bank.step(handle)) == ([], SagaStatus.RUNNING, StepStatus.AWAITING)


def test_a_cancel_needs_a_reason_and_a_saga_that_has_not_ended(bank):
    handle = cancelled(bank, Session.commit)
    with Session(bank.engine) as session:
        with pytest.raises(Refused, match="say why"):
            handle.cancel(reason=" ", session=session)
        with pytest.raises(Refused, match="COMPENSATED already"):
            handle.cancel(reason="again", session=session)


# ── after a deploy ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_wait_that_was_renamed_is_answered_under_either_name(bank):
    """The saga keeps the name of its plan; whoever sends, and whoever takes the result, uses that of today."""
    first, second = bank.waiting(bank.loan), bank.waiting(bank.loan)
    registry._sagas.clear()

    class Loan(Saga[int, bool]):
        name = "bank.loan"

        @step(no_compensation="only looks", idempotent=True)
        def score(self, cents: int) -> Signature[int]:
            return self.task("bank.score", cents)

        @wait_for(Approval, timeout=timedelta(days=2), renamed_from="approve")
        def sign_off(self, cents: int) -> None: ...

        def result(self, cents: int, sign_off: Approval) -> bool:
            return sign_off.ok

    coordinator = bank.sagas.coordinator(parks_render_failures=True)
    for handle, name in ((first, "sign_off"), (second, "approve")):
        coordinator.handle(handle.id, e.AttemptSucceeded(slot=e.Slot("score"), attempt=1, result=1))
        Loan.get(handle.id).send(name, YES, event_id="m1")
        Loan.sign_off.send(handle.id, YES, event_id="m1")
        bank.look(handle)
        assert bank.step(handle, "approve") is StepStatus.SUCCEEDED
        assert bank.step(handle, "sign_off") is None
        assert Loan.get(handle.id).result(timeout=0) is True
