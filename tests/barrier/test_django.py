"""The barrier on Django's own connection, on each database."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import celery
import pytest
import sqlalchemy as sa
from django.db import connections, transaction
from django.db.transaction import TransactionManagementError
from django.test.utils import override_settings

from saga_celery.app.barrier import bar, barrier
from saga_celery.core.states import Direction, Failure
from saga_celery.errors import (
    ActionSuppressed,
    BarrierMisused,
    CommitUnknown,
    MessageOutOfDate,
    RetryTransaction,
    SchemaOutOfDate,
    SlotForgotten,
    StoredFailure,
)
from saga_celery.store.barrier.crossings import Crossing, Handling, end_attempt
from saga_celery.store.barrier.django import DjangoConnection
from saga_celery.store.barrier.table import barrier_metadata, purge_barrier
from saga_celery.store.django import is_django
from tests.barrier.django_project import Project, project_on
from tests.barrier.participant import PATIENCE, Participant
from tests.barrier.test_forms import headers

LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)


@pytest.fixture
def project(participant: Participant, database_url: str) -> Iterator[Project]:
    with project_on(database_url, participant) as made:
        yield made


# ---------------------------------------------------------------------------------------------------------------- forms


def test_the_three_forms_share_one_slot(project: Project, participant: Participant) -> None:
    action, connection = participant.action, project.connection

    @barrier(connection, delivery=action)
    def decorated(given: Any, seat: int) -> Any:
        assert given is connection
        return project.write(result={"seat": seat})()

    def block() -> Any:
        with barrier(connection, delivery=action) as once:
            return once.result if once.done else once.store(project.write("second", result=0)())

    assert decorated(7) == {"seat": 7}
    assert project.deliver(action, project.write("third")) == {"seat": 7}
    assert block() == {"seat": 7}
    assert participant.effects == ["booked"]
    assert connection.get_autocommit()


def test_a_block_stores_and_rolls_back(project: Project, participant: Participant) -> None:
    for error in (ValueError("no"), None):
        try:
            with barrier(project.connection, delivery=participant.action) as once:
                project.write(error=error)()
                once.store([1])
        except ValueError:
            assert participant.effects == []
    assert project.deliver(participant.action, project.write("again")) == [1]
    assert participant.effects == ["booked"]


def test_outside_a_saga_the_work_runs_and_is_committed(project: Project, participant: Participant) -> None:
    assert project.deliver(None, project.write(result=(1,))) == (1,)
    with pytest.raises(ValueError, match="no"):
        project.deliver(None, project.write(error=ValueError("no")))
    assert (participant.effects, participant.slots) == (["booked"], {})


def test_a_delivery_crosses_once(project: Project, participant: Participant) -> None:
    app = celery.Celery("participant", broker="memory://", set_as_current=True)
    app.conf.task_store_eager_result = False

    @app.task(shared=False)
    def book() -> None:
        barrier(project.connection).run(project.write())
        barrier(project.connection).run(project.write("second"))

    with pytest.raises(BarrierMisused, match="once"):
        book.apply(headers=headers(participant)).get()
    app.close()
    assert participant.effects == ["booked"]


# ---------------------------------------------------------------------------------------------------------------- holes


def test_a_duplicate_gets_the_stored_result(project: Project, participant: Participant) -> None:
    first = project.deliver(participant.action, project.write(result={"seat": [7, "é%s"]}))
    assert project.deliver(participant.passage(attempt=2), project.write(result="other")) == first
    assert participant.effects == ["booked"]


def test_a_duplicate_at_the_same_moment_waits(project: Project, participant: Participant) -> None:
    reached, opened = threading.Event(), threading.Event()

    def slow() -> Any:
        project.write()()
        reached.set()
        assert opened.wait(PATIENCE)
        return "first"

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(project.in_thread, participant.action, slow)
        assert reached.wait(PATIENCE)
        second = threads.submit(project.in_thread, participant.action, project.write("second", result="second"))
        if participant.dialect != "sqlite":  # it has no place to look at who waits for the lock
            participant.wait_until_blocked()
        opened.set()
        assert (first.result(PATIENCE), second.result(PATIENCE)) == ("first", "first")
    assert participant.effects == ["booked"]


def test_empty_compensation_and_a_late_action(project: Project, participant: Participant) -> None:
    assert project.deliver(participant.compensation, project.write("undone", result=1)) is None
    for _ in range(2):
        with pytest.raises(ActionSuppressed):
            project.deliver(participant.action, project.write())
    assert participant.effects == []


def test_compensation_undoes_once(project: Project, participant: Participant) -> None:
    project.deliver(participant.action, project.write())
    for _ in range(2):
        assert project.deliver(participant.compensation, project.write("undone", result=3)) == 3
    assert participant.effects == ["booked", "undone"]


def test_a_failure_leaves_no_trace_and_a_fatal_one_only_itself(project: Project, participant: Participant) -> None:
    with pytest.raises(ValueError, match="no line"):
        project.deliver(participant.action, project.write(error=ValueError("no line")), fatal=(KeyError,))
    assert participant.slots == {}
    with pytest.raises(KeyError):
        project.deliver(participant.passage(attempt=2), project.write(error=KeyError("declined")), fatal=(KeyError,))
    with pytest.raises(StoredFailure, match="declined"):
        project.deliver(participant.passage(attempt=3), project.write())
    assert (participant.effects, participant.slots) == ([], {("action", 1): "failed"})


def test_a_probe_bars_what_it_did_not_find(project: Project, participant: Participant) -> None:
    assert project.deliver(participant.probe, lambda: "found") == "found"
    assert participant.slots == {}
    assert project.deliver(participant.probe, lambda: None) is None
    assert bar(project.connection, delivery=participant.probe)
    with pytest.raises(ActionSuppressed):
        project.deliver(participant.action, project.write())


def test_the_end_of_an_attempt_keeps_out_its_copies(project: Project, participant: Participant) -> None:
    handling = Handling(plain=lambda result: result, failure_of=lambda _: Failure(type=""), rest=lambda _: None)
    with DjangoConnection(project.connection).beside() as beside:
        assert end_attempt(Crossing(beside, participant.action, handling), Failure(type="x.Hiccup", message="no line"))
    with pytest.raises(StoredFailure, match="no line"):
        project.deliver(participant.action, project.write())
    assert project.deliver(participant.passage(attempt=2), project.write(result=2)) == 2


@pytest.mark.parametrize("use_tz", [True, False])
def test_times_are_those_of_the_database(project: Project, participant: Participant, use_tz: bool) -> None:
    """Whatever zone Django gives to its times; without `USE_TZ` they are naive, in the zone of the settings."""
    now = datetime.now(UTC)  # noqa: TID251 - compared with the database's own time
    with override_settings(USE_TZ=use_tz):
        with pytest.raises(MessageOutOfDate):
            project.deliver(participant.passage(not_after=LONG_AGO), project.write())
        for later in (now + timedelta(hours=1), now + timedelta(hours=2), now + timedelta(minutes=90)):
            assert project.deliver(participant.passage(not_after=later), project.write(result=1)) == 1
        assert participant.not_after == now + timedelta(hours=2)
        assert purge_barrier(participant.engine, timedelta(hours=3)) == 0
        started = {hours: participant.passage(Direction.COMPENSATION, saga_id=_saga_id(now, hours)) for hours in (2, 4)}
        assert project.deliver(started[2], project.write("undone")) is None
        with pytest.raises(SlotForgotten):
            project.deliver(started[4], project.write("undone"))


def _saga_id(now: datetime, hours_ago: int) -> str:
    """A UUID version 7 of that time."""
    milliseconds = int((now - timedelta(hours=hours_ago)).timestamp() * 1000)
    return str(UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62))


def test_statements_can_be_logged_and_bound_by_the_server(project: Project, participant: Participant) -> None:
    """With `DEBUG`, Django writes the values into the statement; with `server_side_binding` PostgreSQL does."""
    if participant.dialect == "postgresql":
        project.connection.settings_dict["OPTIONS"]["server_side_binding"] = True
    soon = datetime.now(UTC) + timedelta(hours=1)  # noqa: TID251 - compared with the database's own time
    with override_settings(DEBUG=True):
        assert project.deliver(participant.passage(not_after=soon), project.write(result="é%s")) == "é%s"
        assert project.deliver(participant.passage(not_after=soon), project.write(result="again")) == "é%s"
        assert project.deliver(participant.compensation, project.write("undone", result=1)) == 1
    assert any("saga_barrier" in each["sql"] for each in project.connection.queries)
    assert participant.effects == ["booked", "undone"]


# --------------------------------------------------------------------------------------------------------- transactions


def test_a_transaction_of_somebody_else_is_refused_and_left_alone(project: Project, participant: Participant) -> None:
    with transaction.atomic(), pytest.raises(BarrierMisused, match="TransactionTestCase"):
        project.deliver(participant.action, project.write())
    project.connection.set_autocommit(False)
    with pytest.raises(BarrierMisused, match="autocommit"):
        project.deliver(participant.action, project.write())
    project.connection.rollback()
    assert (participant.effects, participant.slots) == ([], {})


def test_blocks_within_are_savepoints(project: Project, participant: Participant) -> None:
    def work() -> str:
        with pytest.raises(ValueError, match="no"), transaction.atomic():
            project.write("undone", error=ValueError("no"))()
        with transaction.atomic():
            project.write()()
        return "done"

    assert project.deliver(participant.action, work) == "done"
    assert participant.effects == ["booked"]


def test_a_commit_inside_is_refused(project: Project, participant: Participant) -> None:
    def work() -> None:
        project.write()()
        project.connection.commit()

    with pytest.raises(TransactionManagementError):
        project.deliver(participant.action, work)
    assert (participant.effects, participant.slots) == ([], {})


@pytest.mark.parametrize("form", ["run", "with"])
def test_a_transaction_that_is_marked_for_rollback_is_no_success(
    project: Project, participant: Participant, form: str
) -> None:
    def work() -> None:
        with pytest.raises(ValueError, match="no"), transaction.atomic(savepoint=False):
            project.write(error=ValueError("no"))()

    def block() -> None:
        with barrier(project.connection, delivery=participant.action):
            work()

    with pytest.raises((TransactionManagementError, BarrierMisused)):
        block() if form == "with" else project.deliver(participant.action, work)
    assert (participant.effects, participant.slots) == ([], {})


def test_the_mark_is_seen_at_the_commit(project: Project) -> None:
    """Where no statement comes between, as outside a saga."""

    def work() -> None:
        project.write()()
        transaction.set_rollback(True)

    with pytest.raises(BarrierMisused, match="marked for rollback"):
        project.deliver(None, work)
    assert project.participant.effects == []


def test_a_conflict_is_run_again_and_an_endless_one_is_left_to_the_saga(
    project: Project, participant: Participant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else holds what the work needs; on SQLite, all that there is."""
    project.connection.settings_dict["OPTIONS"].update({"timeout": 0} if participant.dialect == "sqlite" else {})
    project.effect.objects.create(what="seat")
    rests: list[int] = []

    def work() -> int:
        project.effect.objects.select_for_update(nowait=True).get(what="seat")
        return len(rests)

    with _held(participant) as holder:

        def rest(tries: int) -> None:
            rests.append(tries)
            if len(rests) == 12:
                holder.rollback()

        monkeypatch.setattr("saga_celery.app.barrier._rest", rest)
        with pytest.raises(RetryTransaction):
            project.deliver(participant.action, work)
        assert project.deliver(participant.action, work) == 12
    assert participant.slots == {("action", 1): "done"}


@contextmanager
def _held(participant: Participant) -> Iterator[sa.Connection]:
    with participant.engine.connect() as holder:
        if participant.dialect == "sqlite":
            holder.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            holder.exec_driver_sql("UPDATE effect SET what = 'seat' WHERE what = 'seat'")
        yield holder


def test_a_connection_that_the_server_closes_in_the_work(project: Project, participant: Participant) -> None:
    _skip_without_server(participant)
    runs: list[int] = []

    def work() -> int:
        project.write()()
        runs.append(1)
        if len(runs) == 1:
            project.connection_is_cut()
        return len(runs)

    assert project.deliver(participant.action, work) == 2
    assert participant.effects == ["booked"]


@pytest.mark.parametrize("arrives", [True, False])
def test_a_connection_that_the_server_closes_at_the_commit(
    project: Project, participant: Participant, monkeypatch: pytest.MonkeyPatch, arrives: bool
) -> None:
    """Nobody knows whether it arrived: the slot does."""
    _skip_without_server(participant)
    runs: list[int] = []
    _cut_at_commit(project, monkeypatch, arrives)

    def work() -> int:
        runs.append(1)
        return project.write(result=len(runs))()

    assert project.deliver(participant.action, work) == (1 if arrives else 2)
    assert participant.effects == ["booked"]


def test_a_server_that_is_gone_after_the_commit(
    project: Project, participant: Participant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the end of a block Django connects again, and what it then meets is not what the commit met."""
    _skip_without_server(participant)
    monkeypatch.setattr("saga_celery.app.barrier._rest", lambda _: None)
    _cut_at_commit(project, monkeypatch, arrives=True)

    def work() -> str:
        project.write()()
        project.connection.settings_dict["PORT"] = "1"  # nobody listens there
        return "done"

    port = project.connection.settings_dict["PORT"]
    with pytest.raises(CommitUnknown):
        project.deliver(participant.action, work)
    project.connection.settings_dict["PORT"] = port
    assert project.deliver(participant.action, project.write("again")) == "done"
    assert participant.effects == ["booked"]


def _skip_without_server(participant: Participant) -> None:
    if participant.dialect == "sqlite":
        pytest.skip("SQLite has no server")


def _cut_at_commit(project: Project, monkeypatch: pytest.MonkeyPatch, arrives: bool) -> None:
    """Cut the connection before or after the first commit, which is to say that it broke either way."""
    wrapper = connections["default"]
    really = wrapper._commit

    def commit() -> None:
        monkeypatch.setattr(wrapper, "_commit", really)
        if arrives:
            really()
        project.connection_is_cut()
        really()

    monkeypatch.setattr(wrapper, "_commit", commit)


def test_what_waits_for_the_commit_runs_after_it(project: Project, participant: Participant) -> None:
    seen: list[list[str]] = []

    def work() -> str:
        transaction.on_commit(lambda: seen.append(participant.effects))
        return project.write(result="done")()

    with pytest.raises(ValueError, match="no"):
        project.deliver(participant.action, lambda: (work(), project.write(error=ValueError("no"))()))
    assert seen == []
    for _ in range(2):
        assert project.deliver(participant.action, work) == "done"
    assert seen == [["booked"]]


def test_what_waits_for_the_commit_and_fails_takes_nothing_back(project: Project, participant: Participant) -> None:
    def work() -> str:
        transaction.on_commit(lambda: [][0])
        return project.write(result="done")()

    with pytest.raises(IndexError):
        project.deliver(participant.action, work)
    assert project.deliver(participant.action, work) == "done"
    assert participant.effects == ["booked"]


def test_a_connection_that_the_work_closes_is_no_success(project: Project, participant: Participant) -> None:
    def work() -> None:
        project.write()()
        project.connection.close()

    with pytest.raises(BarrierMisused, match="was closed inside"):
        project.deliver(participant.action, work)
    assert (participant.effects, participant.slots) == ([], {})
    project.deliver(participant.action, project.write("again"))
    assert participant.effects == ["again"]


def test_a_missing_table_says_what_to_run(project: Project, participant: Participant) -> None:
    barrier_metadata.drop_all(participant.engine)
    with pytest.raises(SchemaOutOfDate, match="saga migrate --barrier --database"):
        project.deliver(participant.action, project.write())
    assert participant.effects == []


def test_what_is_taken_for_a_connection_of_djangos(project: Project, participant: Participant) -> None:
    assert is_django(project.connection)
    with participant.session() as session:
        assert not any(is_django(each) for each in (session, session.connection(), participant.session, None))
    project.connection.vendor = "oracle"
    with pytest.raises(BarrierMisused, match="oracle"):
        project.deliver(participant.action, project.write())
