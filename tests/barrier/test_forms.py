"""The ways to write it, inside a saga's delivery and outside of any."""

import inspect
from collections.abc import Iterator
from typing import Any

import celery
import pytest
import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from saga_celery.app.barrier import bar, barrier, current_delivery
from saga_celery.core.states import Direction
from saga_celery.errors import ActionSuppressed, BarrierMisused, ResultRejected, RetryTransaction, StoredFailure
from saga_celery.store.barrier.table import barrier_metadata, create_barrier_table
from tests.barrier.participant import PATIENCE, SAGA, Participant


def headers(participant: Participant, direction: Direction = Direction.ACTION, attempt: int = 1) -> dict[str, Any]:
    slot = participant.passage(direction).slot
    return {
        "saga_v": 1,
        "saga_id": SAGA,
        "saga_name": "trip",
        "saga_plan": "0" * 16,
        "saga_slot": [slot.step, slot.item, slot.direction.value, slot.generation],
        "saga_attempt": attempt,
        "saga_epoch": 1,
        "saga_resends": 0,
        "saga_claim": False,
        "saga_safe": True,
        "saga_timeout": 60.0,
        "saga_report_to": "saga",
        "saga_action": [1, 1],
    }


@pytest.fixture
def app() -> Iterator[celery.Celery]:
    app = celery.Celery("participant", broker="memory://", set_as_current=True)
    app.conf.task_store_eager_result = False
    yield app
    app.close()


# ------------------------------------------------------------------------------------------------------------ decorator


def test_decorator_gives_the_body_a_session_and_hides_it_from_callers(
    participant: Participant, app: celery.Celery
) -> None:
    @app.task(shared=False)
    @barrier(participant.session)
    def book(session: Session, seat: int, *, row: str = "A") -> str:
        participant.write_into(session, f"{row}{seat}")
        return f"{row}{seat}"

    for _ in range(2):
        assert book.apply((7,), {"row": "B"}, headers=headers(participant)).get() == "B7"
    assert participant.effects == ["B7"]
    assert list(inspect.signature(book.run).parameters) == ["seat", "row"]
    assert participant.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def test_decorated_task_called_plainly_runs_each_time_and_commits(participant: Participant, app: celery.Celery) -> None:
    @app.task(shared=False)
    @barrier(participant.session)
    def book(session: Session) -> str:
        participant.write_into(session, "booked")
        return "booked"

    assert (book(), book.apply().get()) == ("booked", "booked")
    assert participant.effects == ["booked", "booked"]
    assert participant.slots == {}


def test_decorator_takes_a_scoped_session_and_connections(participant: Participant) -> None:
    scoped = scoped_session(sessionmaker(participant.engine))

    @barrier(scoped, delivery=participant.action)
    def book(session: Session) -> int:
        participant.write_into(scoped(), "booked")
        return 1

    @barrier(participant.engine.connect, delivery=participant.compensation)
    def undo(connection: sa.Connection) -> int:
        assert isinstance(connection, sa.Connection)
        return 2

    assert (book(), undo(), undo()) == (1, 2, 2)
    assert participant.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def test_decorator_refuses_a_session(participant: Participant) -> None:
    with participant.session() as session, pytest.raises(BarrierMisused, match="sessionmaker"):
        barrier(session)(lambda session: None)
    with pytest.raises(BarrierMisused, match="decorator"):
        barrier(participant.session, delivery=participant.action).run(lambda: None)


# ----------------------------------------------------------------------------------------------------------------- with


def once(participant: Participant, passage: Any, result: Any, *, error: BaseException | None = None, **kw: Any) -> Any:
    with participant.session() as session, barrier(session, delivery=passage, **kw) as once:
        if once.done:
            return once.result
        participant.write_into(session, "booked")
        if error is not None:
            raise error
        return once.store(result)


def test_with_form(participant: Participant) -> None:
    assert once(participant, participant.action, (1, 2)) == [1, 2]
    assert once(participant, participant.action, "other") == [1, 2]
    assert participant.effects == ["booked"]


def test_with_form_without_store_keeps_none(participant: Participant) -> None:
    for _ in range(2):
        with participant.session() as session, barrier(session, delivery=participant.action) as block:
            if not block.done:
                participant.write_into(session, "booked")
        assert block.result is None
    assert participant.effects == ["booked"]


def test_with_form_rolls_back_what_a_block_does_although_it_was_done(participant: Participant) -> None:
    once(participant, participant.action, 1)
    with participant.session() as session, barrier(session, delivery=participant.action) as block:
        participant.write_into(session, "again")
        with pytest.raises(BarrierMisused, match="done"):
            block.store(2)
    assert participant.effects == ["booked"]


def test_with_form_rolls_back_and_runs_again(participant: Participant) -> None:
    for error in (ValueError("no"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            once(participant, participant.action, 1, error=error)
    assert once(participant, participant.action, 2) == 2
    assert participant.effects == ["booked"]


def test_with_form_stores_fatal_failures(participant: Participant) -> None:
    with pytest.raises(ValueError, match="no"):
        once(participant, participant.action, 1, error=ValueError("no"), fatal=(ValueError,))
    with pytest.raises(StoredFailure, match="no"):
        once(participant, participant.action, 1)
    assert participant.effects == []


def test_with_form_suppresses_and_skips(participant: Participant) -> None:
    assert once(participant, participant.compensation, 1) is None
    with pytest.raises(ActionSuppressed):
        once(participant, participant.action, 1)
    assert participant.effects == []


def test_with_form_refuses_what_is_no_json(participant: Participant) -> None:
    with pytest.raises(ResultRejected):
        once(participant, participant.action, object())
    assert (participant.effects, participant.slots) == ([], {})


def test_with_form_in_a_probe(participant: Participant) -> None:
    for answer, slots in (("found", {}), (None, {("action", 1): "barred"})):
        with participant.session() as session, barrier(session, delivery=participant.probe) as block:
            assert block.store(answer) == answer
        assert participant.slots == slots


def test_with_form_leaves_conflicts_to_the_sagas_retry(participant: Participant) -> None:
    deadlock = exc.OperationalError("", {}, Exception(1213, "Deadlock found"))
    with pytest.raises(RetryTransaction):
        once(participant, participant.action, 1, error=deadlock)
    assert (participant.effects, participant.slots) == ([], {})


def test_with_form_outside_a_saga(participant: Participant) -> None:
    assert once(participant, None, (1,)) == (1,)
    with pytest.raises(ValueError, match="no"):
        once(participant, None, 1, error=ValueError("no"))
    assert participant.effects == ["booked"]


def test_a_block_is_entered_once(participant: Participant) -> None:
    with participant.session() as session:
        block = barrier(session, delivery=participant.action)
        with block:
            pass
        with pytest.raises(BarrierMisused, match="once"):
            block.__enter__()


# ------------------------------------------------------------------------------------------------- the delivery


def test_delivery_is_read_from_the_running_task(participant: Participant, app: celery.Celery) -> None:
    seen = []

    @app.task(shared=False)
    def helper() -> None:
        seen.append(current_delivery())

    @app.task(shared=False)
    def book() -> None:
        helper()  # a task that is called as a function belongs to the same delivery

    assert current_delivery() is None
    book.apply()
    book.apply(headers=headers(participant, attempt=3))
    assert seen[0] is None
    assert (seen[1].saga_id, seen[1].attempt) == (SAGA, 3)


def test_a_delivery_crosses_once(participant: Participant, app: celery.Celery) -> None:
    @app.task(shared=False)
    def book() -> None:
        with participant.session() as session:
            barrier(session).run(participant.write(), session)
            barrier(session).run(participant.write("second"), session)

    with pytest.raises(BarrierMisused, match="once"):
        book.apply(headers=headers(participant)).get()
    assert participant.effects == ["booked"]


def test_a_delivery_may_cross_again_after_a_failure(participant: Participant, app: celery.Celery) -> None:
    @app.task(shared=False)
    def book() -> None:
        with pytest.raises(ValueError, match="no"):
            once_here(participant, error=ValueError("no"))
        once_here(participant)

    book.apply(headers=headers(participant)).get()
    assert participant.effects == ["booked"]


def once_here(participant: Participant, error: Exception | None = None) -> None:
    with participant.session() as session, barrier(session):
        participant.write_into(session, "booked")
        if error is not None:
            raise error


def test_bar_needs_a_delivery(participant: Participant) -> None:
    with participant.session() as session, pytest.raises(BarrierMisused, match="delivery="):
        bar(session)


# ------------------------------------------------------------------------------------------------- transactions


def test_session_in_a_transaction_is_refused_and_left_alone(participant: Participant) -> None:
    with participant.session() as session:
        participant.write_into(session, "mine")
        for delivery in (participant.action, None):
            with pytest.raises(BarrierMisused, match="transaction"):
                barrier(session, delivery=delivery).run(lambda: None)
            with pytest.raises(BarrierMisused, match="transaction"), barrier(session, delivery=delivery):
                pass
        session.commit()
    assert participant.effects == ["mine"]


def test_commit_inside_is_refused_and_rolled_back(participant: Participant) -> None:
    def work(target: Any) -> None:
        target.execute(sa.text("INSERT INTO effect (what) VALUES ('booked')"))
        with target.begin_nested():
            pass  # savepoints are the work's own
        target.commit()

    with participant.session() as session, pytest.raises(BarrierMisused, match="commit"):
        barrier(session, delivery=participant.action).run(work, session)
    with participant.engine.connect() as connection, pytest.raises(BarrierMisused, match="commit"):
        barrier(connection, delivery=participant.action).run(work, connection)
    assert (participant.effects, participant.slots) == ([], {})


def test_rollback_inside_is_noticed(participant: Participant) -> None:
    def work(session: Session) -> None:
        session.rollback()
        participant.write_into(session, "without a record")

    with pytest.raises(BarrierMisused, match="roll back"):
        participant.deliver(participant.action, work)
    assert participant.effects == []


def test_autocommit_is_refused(participant: Participant) -> None:
    if participant.dialect == "sqlite":
        pytest.skip("there the barrier begins by itself")
    engine = participant.engine.execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection, pytest.raises(BarrierMisused, match="AUTOCOMMIT"):
        barrier(connection, delivery=participant.action).run(lambda: None)


def test_sqlite_driver_without_transactions_of_its_own(tmp_path: Any) -> None:
    """`isolation_level=None` alone would commit each statement by itself."""
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'db'}", connect_args={"isolation_level": None})
    create_barrier_table(engine)
    participant = Participant(engine, None)  # type: ignore[arg-type]
    with pytest.raises(ZeroDivisionError):
        participant.deliver(participant.action, lambda _: 1 / 0)
    assert participant.slots == {}
    engine.dispose()


def test_plain_connection_and_its_duplicate(participant: Participant) -> None:
    for _ in range(2):
        with participant.engine.connect() as connection:
            work = barrier(connection, delivery=participant.action, fatal=(KeyError,))
            assert work.run(
                lambda on: on.execute(sa.text("INSERT INTO effect (what) VALUES ('x')")).rowcount, connection
            )
    assert participant.effects == ["x"]


# ------------------------------------------------------------------------------------------------- the table


def test_table_is_created_once_by_any_number_of_processes(participant: Participant) -> None:
    barrier_metadata.drop_all(participant.engine)
    made = [participant.threads.submit(create_barrier_table, participant.engine) for _ in range(4)]
    for each in made:
        each.result(PATIENCE)
    create_barrier_table(participant.engine)
    with participant.engine.begin() as connection:
        create_barrier_table(connection)
    assert set(barrier_metadata.tables) == {"saga_barrier"}


def test_names_too_long_for_the_table_are_refused(participant: Participant) -> None:
    with pytest.raises(ValueError, match="letters"):
        participant.passage(saga_id="x" * 65)


def test_a_late_compensation_of_a_later_generation_undoes_the_first_action(
    participant: Participant, app: celery.Celery
) -> None:
    @app.task(shared=False)
    @barrier(participant.session)
    def work(session: Session, name: str) -> str:
        participant.write_into(session, name)
        return name

    compensation = headers(participant, Direction.COMPENSATION)
    step, item, direction, _ = compensation["saga_slot"]
    later = {**compensation, "saga_slot": [step, item, direction, 2], "saga_action": [1, 1]}

    work.apply(("done",), headers=headers(participant)).get()
    work.apply(("undone",), headers=later).get()

    assert participant.effects == ["done", "undone"]
