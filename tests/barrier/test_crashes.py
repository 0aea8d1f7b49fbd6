"""Processes that die and databases that give up, around the commit."""

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.orm import Session

from saga_celery.app.barrier import barrier
from saga_celery.errors import CommitUnknown, RetryTransaction
from tests.barrier.participant import PATIENCE, Gate, Participant, open_participant


@pytest.mark.parametrize(("when", "result"), [("before", "second"), ("after", "first")])
def test_crash_around_the_commit(participant: Participant, database_url: str, when: str, result: str) -> None:
    command = [sys.executable, "-m", "tests.barrier.victim", database_url, when]
    died = subprocess.run(command, check=False, timeout=60, capture_output=True)
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert participant.deliver(participant.passage(attempt=2), participant.write(result="second")) == result
    assert participant.effects == ["booked"]


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
@pytest.mark.parametrize("direction", ["action", "compensation"])
def test_rivals_at_each_isolation_level(
    participant: Participant, database_url: str, level: str, direction: str
) -> None:
    if participant.dialect == "sqlite":
        pytest.skip("SQLite has one level")
    engine = open_participant(database_url, isolation_level=level)
    with ThreadPoolExecutor(8) as threads:
        strict = Participant(engine, threads)
        strict.deliver(strict.passage(generation=9), strict.write("elsewhere"))
        gate = Gate(strict.write(result=1))
        first = strict.at_once(strict.action, gate)
        gate.wait_until_reached()
        second = strict.at_once(getattr(strict, direction), strict.write("second", result=2))
        strict.wait_until_blocked()
        gate.open()
        assert first.result(PATIENCE) == 1
        assert second.result(PATIENCE) == (1 if direction == "action" else 2)
    engine.dispose()
    assert participant.effects == ["elsewhere", "booked"] + ["second"] * (direction == "compensation")


def test_conflict_in_the_work_is_run_again_in_a_new_transaction(participant: Participant) -> None:
    runs = []

    def work(session: Session) -> int:
        participant.write_into(session, "booked")
        runs.append(1)
        if len(runs) < 3:
            raise ValueError("wrapped by a repository") from _conflict(participant)
        return len(runs)

    assert participant.deliver(participant.action, work, fatal=("ValueError",)) == 3
    assert participant.effects == ["booked"]


def test_endless_conflict_is_left_to_the_sagas_retry(participant: Participant, monkeypatch: Any) -> None:
    rests: list[int] = []
    monkeypatch.setattr("saga_celery.app.barrier._rest", rests.append)

    def work(_: Session) -> None:
        raise _conflict(participant)

    with pytest.raises(RetryTransaction):
        participant.deliver(participant.action, work)
    assert rests == list(range(1, 10))
    assert participant.slots == {}


@pytest.mark.parametrize("arrived", [True, False])
def test_commit_whose_answer_is_lost_is_settled_by_the_slot(participant: Participant, arrived: bool) -> None:
    commits = []

    class Torn(Session):
        def commit(self) -> None:
            commits.append(1)
            if len(commits) == 1:
                super().commit() if arrived else super().rollback()
                raise _disconnect()
            super().commit()

    with Torn(participant.engine) as session:
        result = barrier(session, delivery=participant.action).run(participant.write(result=len(commits)), session)
    assert result == 0
    assert participant.effects == ["booked"]


def test_commit_that_stays_unknown_is_no_failure(participant: Participant, monkeypatch: Any) -> None:
    monkeypatch.setattr("saga_celery.app.barrier._rest", lambda _: None)

    class Torn(Session):
        def commit(self) -> None:
            self.rollback()
            raise _disconnect()

        def begin(self, nested: bool = False) -> Any:
            if begun:
                raise exc.OperationalError("connect", {}, OSError("refused"))
            begun.append(1)
            return super().begin(nested)

    begun: list[int] = []
    with Torn(participant.engine) as session, pytest.raises(CommitUnknown) as unknown:
        barrier(session, delivery=participant.action).run(participant.write(), session)
    assert unknown.value.saga_outcome_unknown


def test_connection_that_the_server_closes_in_the_work(participant: Participant) -> None:
    if participant.dialect == "sqlite":
        pytest.skip("SQLite has no server")
    runs = []

    def work(session: Session) -> int:
        runs.append(1)
        participant.write_into(session, "booked")
        if len(runs) == 1:
            _close(participant, session)
        return len(runs)

    assert participant.deliver(participant.action, work) == 2
    assert participant.effects == ["booked"]


def _close(participant: Participant, session: Session) -> None:
    postgresql = participant.dialect == "postgresql"
    number = session.scalar(sa.text("SELECT pg_backend_pid()" if postgresql else "SELECT connection_id()"))
    kill = f"SELECT pg_terminate_backend({number})" if postgresql else f"KILL {number}"
    with participant.engine.connect() as other:
        other.exec_driver_sql(kill)


def _conflict(participant: Participant) -> exc.OperationalError:
    """As the drivers report it."""
    if participant.dialect == "mysql":
        return exc.OperationalError("", {}, Exception(1213, "Deadlock found"))
    error = Exception("conflict")
    if participant.dialect == "postgresql":
        error.sqlstate = "40001"  # type: ignore[attr-defined]
    else:
        error.sqlite_errorname = "SQLITE_BUSY"  # type: ignore[attr-defined]
    return exc.OperationalError("", {}, error)


def _disconnect() -> exc.OperationalError:
    return exc.OperationalError("COMMIT", {}, OSError("gone"), connection_invalidated=True)
