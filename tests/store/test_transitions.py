"""A transition is stored as a whole or not at all, once for each version."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings

from saga_celery.core import events as e
from saga_celery.core.states import Failure, Message, Reason, SagaStatus, Slot, StepState, StepStatus
from saga_celery.engine.coordinator import Coordinator
from saga_celery.engine.ports import DEADLINE_SLOT, NUDGE_SLOT, Awaited, Outgoing
from saga_celery.store.schema import saga_awaited, saga_history, saga_step
from tests.store import examples
from tests.store.examples import CHARGE, change, due, letter, moved, started

numbered = count()


def rows(store, table, *where):
    with store.connections.autocommit() as connection:
        return connection.execute(sa.select(table).where(*where)).all()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(move=examples.moves)
def test_a_state_comes_back_as_it_was_stored(store, move):
    before = started(store, f"s{next(numbered)}", headers={"traceparent": "00-é"}, input=["ü", None])
    assert moved(store, before, **move) == replace(before, version=1, **move)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=examples.moves, second=examples.moves)
def test_a_second_transition_replaces_what_the_first_one_stored(store, first, second):
    """Steps are never taken back, so those of the first stay; dead letters are exactly those of the second."""
    once = moved(store, started(store, f"s{next(numbered)}"), **first)
    second["steps"] = {**once.steps, **second["steps"]}
    twice = moved(store, once, **second)
    assert replace(twice, letters=()) == replace(once, version=2, **{**second, "letters": ()})
    assert set(map(repr, twice.letters)) == set(map(repr, second["letters"]))


def test_no_saga_no_state(store):
    assert store.load("nobody") is None
    assert store.load("nobody", fresh=False) is None


def test_a_transition_that_comes_second_stores_nothing(store):
    state = started(store)
    assert store.save(change(state, status=SagaStatus.RUNNING))
    step = StepState(name="charge", status=StepStatus.SCHEDULED)
    late = change(state, steps={("charge", 0): step}, awaited=(due(),), letters=(letter(),), settled=(NUDGE_SLOT,))
    assert not store.save(late)
    assert store.load("s1") == replace(state, status=SagaStatus.RUNNING, version=1)
    assert [row.version for row in rows(store, saga_history)] == [1]
    assert [(row.step, row.item) for row in rows(store, saga_awaited)] == [("", 0)]


def test_of_eight_rivals_exactly_one_stores_each_version(another, store):
    started(store)
    rivals = [another() for _ in range(8)]
    gate = threading.Barrier(8, timeout=60)
    won: list[tuple[int, str]] = []

    def race(number):
        for version in range(15):
            gate.wait()
            state = rivals[number].load("s1")
            assert state.version == version
            gate.wait()
            note = e.NewsIgnored(slot=CHARGE, attempt=version, note=f"rival {number}")
            if rivals[number].save(change(state, [note], result=f"rival {number}")):
                won.append((version, f"rival {number}"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(race, range(8)))
    assert [version for version, _ in sorted(won)] == list(range(15))
    assert [entry.facts[0].note for entry in store.queries.history("s1")] == [who for _, who in sorted(won)]
    assert store.load("s1").result == sorted(won)[-1][1]


def test_each_transition_leaves_one_row_of_history_and_names_the_person(store):
    state = started(store)
    acted = e.OperatorActed(verb=e.Verb.CANCEL, actor="ada", reason="wrong order")
    state = moved(store, state, [e.SagaStarted(), e.StepScheduled(slot=CHARGE, order=1)])
    moved(store, state, [acted])
    history = store.queries.history("s1")
    assert [(entry.version, entry.actor) for entry in history] == [(1, None), (2, "ada")]
    assert history[0].facts == (e.SagaStarted(), e.StepScheduled(slot=CHARGE, order=1))
    assert history[1].facts == (acted,)


def test_only_steps_that_changed_are_written(store):
    one = StepState(name="reserve", status=StepStatus.SUCCEEDED, order=1, result={"id": 1})
    two = StepState(name="charge", status=StepStatus.SCHEDULED, order=2)
    state = moved(store, started(store), steps={("reserve", 0): one})
    with store.connections.transaction() as connection:  # a mark that only a write would wipe out
        connection.execute(sa.update(saga_step).values(start_order=77))
    state = moved(store, state, steps={**state.steps, ("charge", 0): two})
    assert state.steps[("reserve", 0)].order == 77


def test_awaited_rows_come_and_go_with_transitions(store, clock):
    state = started(store, timeout=60.0)
    first = due(seconds=30.0, attempt=1, timeout=5.0)
    state = moved(store, state, awaited=(first,), settled=(NUDGE_SLOT,))
    assert {(row.step, row.item) for row in rows(store, saga_awaited)} == {("charge", 0), ("", DEADLINE_SLOT.item)}
    (row,) = rows(store, saga_awaited, saga_awaited.c.step == "charge")
    assert (row.awaited, row.attempt, row.timeout, row.version) == (Awaited.START, 1, 5.0, 1)
    assert (row.due_at - clock.time).total_seconds() == 30.0
    assert row.since == clock.time
    clock.turn(7)
    again = due(CHARGE._replace(generation=2), Awaited.END, 15.0, attempt=1, epoch=3, worker="w1", timeout=5.0)
    state = moved(store, state, awaited=(again,))
    (row,) = rows(store, saga_awaited, saga_awaited.c.step == "charge")
    assert (row.awaited, row.epoch, row.worker, row.generation, row.version) == (Awaited.END, 3, "w1", 2, 2)
    assert row.since == clock.time
    moved(store, state, settled=(CHARGE,))
    assert [row.item for row in rows(store, saga_awaited)] == [DEADLINE_SLOT.item]


@pytest.mark.parametrize("end", [SagaStatus.COMPLETED, SagaStatus.COMPENSATED])
def test_a_saga_that_is_done_awaits_nothing(store, end):
    state = moved(store, started(store, timeout=60.0), awaited=(due(),))
    moved(store, state, status=end, awaited=(due(Slot("reserve")),))
    assert rows(store, saga_awaited) == []
    assert store.queries.snapshot("s1").saga.ended_at is not None


def test_a_parked_saga_has_not_ended_and_keeps_what_it_awaits(store):
    moved(store, started(store, timeout=60.0), status=SagaStatus.FAILED, letters=(letter(),))
    assert len(rows(store, saga_awaited)) == 2
    assert store.queries.snapshot("s1").saga.ended_at is None


def test_dead_letters_mirror_the_state(store, clock):
    state = moved(store, started(store), letters=(letter("a"), letter("b")), status=SagaStatus.FAILED)
    clock.turn(5)
    state = moved(store, state, letters=(letter("b"), letter("c", result={"late": 1})))
    found = store.queries.dead_letters()
    assert [(one.letter.step, one.saga_id) for one in found] == [("b", "s1"), ("c", "s1")]
    assert (found[1].since - found[0].since).total_seconds() == 5.0
    state = moved(store, state, letters=(letter("b", detail="again"),))
    assert [one.letter.detail for one in store.queries.dead_letters()] == ["again"]
    moved(store, state, letters=(), status=SagaStatus.RUNNING)
    assert store.queries.dead_letters() == []


def test_an_effect_that_came_late_stands_beside_the_letter_of_its_step(store):
    late = letter("a", reason=Reason.LATE_EFFECT, result={"late": 1})
    now = letter("a", generation=2)
    state = moved(store, started(store), letters=(late, now), status=SagaStatus.FAILED)
    assert state.letters == (late, now)
    state = moved(store, state, letters=(late,))
    assert state.letters == (late,)
    assert [one.letter for one in store.queries.dead_letters()] == [late]


def test_a_failure_with_what_no_database_stores_is_stored_all_the_same(store):
    broken = Failure(type="OSError", message="no '\udcff\x00'")
    facts = [e.AttemptEnded(slot=CHARGE, attempt=1, failure=broken)]
    step = StepState(name="charge", status=StepStatus.FAILED)
    step = replace(step, action=replace(step.action, failure=broken))
    state = moved(store, started(store), facts, steps={("charge", 0): step}, letters=(letter(detail="\udcff\x00"),))
    assert state.steps[("charge", 0)].action.failure == broken
    assert state.letters[0].detail == "��"
    assert store.queries.history("s1")[0].facts == tuple(facts)


# ── when the database gives up, or does not answer ───────────────────────────────────────────────────────────────────


def lose_the_answer(store, times=1):
    """Make the next commits of transitions succeed without telling so, as a broken connection does."""
    engine = store.connections.engine
    left = [times]

    def broken(connection):
        if connection.dialect.name == "postgresql":
            connection.connection.dbapi_connection.close()
            return connection.dialect.dbapi.OperationalError("server closed the connection unexpectedly")
        if connection.dialect.name == "sqlite":
            return connection.dialect.dbapi.ProgrammingError("Cannot operate on a closed database.")
        return connection.dialect.dbapi.err.OperationalError(2013, "Lost connection to server during query")

    if engine.dialect.name == "postgresql":

        def after(connection, cursor, statement, *rest):
            if "WITH moved" in statement and left[0]:
                left[0] -= 1
                raise broken(connection)

        sa.event.listen(engine, "after_cursor_execute", after)
        return left
    commit = engine.dialect.do_commit

    def do_commit(raw):
        commit(raw)
        if left[0]:
            left[0] -= 1
            raise broken(engine)

    engine.dialect.do_commit = do_commit
    return left


def test_a_transition_whose_answer_was_lost_is_known_to_be_stored(store):
    state = started(store)
    left = lose_the_answer(store)
    assert store.save(change(state, status=SagaStatus.RUNNING))
    assert left == [0]
    assert store.load("s1").version == 1
    assert len(store.queries.history("s1")) == 1


def test_a_rivals_transition_is_not_taken_for_one_whose_answer_was_lost(another, store):
    state = started(store)
    mine = change(state, [e.NewsIgnored(slot=CHARGE, attempt=1, note="mine")])
    assert another().save(change(state, [e.NewsIgnored(slot=CHARGE, attempt=1, note="a rival's")]))
    if store.connections.dialect != "postgresql":  # where an overtaken transition commits nothing that could be lost
        assert not store.save(mine)
        return
    lose_the_answer(store)
    assert not store.save(mine)


def test_a_transition_that_is_given_up_is_run_again(store, database_url):
    if store.connections.dialect == "sqlite":
        pytest.skip("SQLite has one writer at a time, who meets nobody")
    state = started(store)
    engine = store.connections.engine
    given_up = [2]

    def deadlock(connection, cursor, statement, *rest):
        if statement.lstrip().startswith(("WITH moved", "UPDATE saga ")) and given_up[0]:
            given_up[0] -= 1
            if connection.dialect.name == "postgresql":
                cursor.execute("DO $$ BEGIN RAISE EXCEPTION 'deadlock' USING ERRCODE = '40P01'; END $$")
            else:
                cursor.execute("SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213, MESSAGE_TEXT = 'deadlock'")

    sa.event.listen(engine, "before_cursor_execute", deadlock)
    assert store.save(change(state, status=SagaStatus.RUNNING))
    assert given_up == [0]
    assert store.load("s1").version == 1


# ── one round trip ───────────────────────────────────────────────────────────────────────────────────────────────────


def round_trips(store, tmp_path, work):
    """What libpq sent: how often it waited for the server."""
    with store.connections.autocommit() as connection:
        raw = connection.connection.dbapi_connection
    with (tmp_path / "trace").open("w+") as trace:
        raw.pgconn.trace(trace.fileno())
        work()
        raw.pgconn.untrace()
        trace.seek(0)
        sent = [line.split("\t")[-2 if line.endswith("\t\n") else 3] for line in trace if "\tF\t" in line]
    return [kind for kind in sent if kind.split()[0] in ("Sync", "Query")]


@pytest.mark.parametrize("already", [0, 10])
def test_postgres_stores_and_loads_in_one_round_trip_each(postgres_store, tmp_path, already):
    """`already` transitions before: psycopg prepares statements that come often."""
    state = started(postgres_store)
    for _ in range(already):
        state = moved(postgres_store, state)
    step = StepState(name="charge", status=StepStatus.DISPATCHED, result=[1])
    wanted = change(state, steps={("charge", 0): step}, awaited=(due(),), settled=(NUDGE_SLOT,), letters=(letter(),))
    assert len(round_trips(postgres_store, tmp_path, lambda: postgres_store.save(wanted))) == 1
    assert len(round_trips(postgres_store, tmp_path, lambda: postgres_store.load("s1"))) == 1


# ── states that were stored lately ───────────────────────────────────────────────────────────────────────────────────


def statements(store):
    seen = []
    sa.event.listen(store.connections.engine, "before_cursor_execute", lambda c, cur, sql, *rest: seen.append(sql))
    return seen


def test_a_state_that_was_stored_here_needs_no_read(store):
    stored = moved(
        store, started(store), steps={("a", 0): StepState(name="a", status=StepStatus.SUCCEEDED, result=(1,))}
    )
    seen = statements(store)
    assert store.load("s1", fresh=False) == stored
    assert seen == []


def test_whoever_changes_a_result_in_hand_changes_nobody_elses(store):
    moved(store, started(store), steps={("a", 0): StepState(name="a", status=StepStatus.SUCCEEDED, result={"n": [1]})})
    store.load("s1", fresh=False).steps[("a", 0)].result["n"].append(2)
    assert store.load("s1", fresh=False).steps[("a", 0)].result == {"n": [1]}


def test_a_state_that_lost_a_race_is_read_anew_and_one_that_is_done_is_forgotten(another, store):
    state = moved(store, started(store))
    assert another().save(change(state, result="theirs"))
    assert not store.save(change(store.load("s1", fresh=False), result="mine"))
    assert store.load("s1").result == "theirs"
    state = moved(store, store.load("s1"), status=SagaStatus.COMPLETED)
    seen = statements(store)
    assert store.load("s1", fresh=False) == state
    assert seen


class Nobody:
    """A broker that takes everything."""

    def send(self, messages: list[Outgoing]) -> None: ...

    def nudge(self, saga_ids: list[str], priority: int | None = None) -> None: ...

    def is_foreign(self, message: Message) -> bool:
        return False

    def backlog(self, message: Message | None = None) -> int:
        return 0


class Ready:
    """Saga code that answers everything at once."""

    def render(self, plan, state, wish):
        if not hasattr(wish, "slot"):
            return e.ResultRendered(result="done")
        return e.Rendered(slot=wish.slot, message=Message(task="x"), policy=examples.Policy(resend=True))


def test_news_that_a_stale_state_takes_for_old_are_not_swallowed(another, store):
    """Here the first attempt is out, elsewhere the second; for the state known here news of that change nothing."""

    def coordinator(store):
        return Coordinator(store=store, transport=Nobody(), renderer=Ready(), backoff=lambda retry, tries: 0.0)

    here, elsewhere = coordinator(store), coordinator(another())
    started(store)
    slot = Slot("reserve")
    here.handle("s1", e.Nudged())
    elsewhere.handle("s1", e.AttemptLost(slot=slot, attempt=1, reason="died"))
    elsewhere.handle("s1", e.RestOver(slot=slot))
    assert store.load("s1", fresh=False).steps[("reserve", 0)].action.attempt == 1
    handled = here.handle("s1", e.AttemptStarted(slot=slot, attempt=2, worker="w1"))
    assert [type(fact) for fact in handled.facts] == [e.AttemptClaimed]
