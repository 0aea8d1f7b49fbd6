"""Gates: a lock has one open saga, a name no more than its limit, and who waits is let in in order."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa

from saga_celery.core import events as e
from saga_celery.core.states import SagaStatus
from saga_celery.engine.admission import Entry, Terms
from saga_celery.engine.ports import DEADLINE_SLOT, Awaited
from saga_celery.errors import Locked
from saga_celery.store.schema import saga, saga_awaited, saga_ticket
from tests.store.examples import change, new, started

IN = Entry(admitted=True)
WAITS = Entry(admitted=False)


def begin(store, saga_id, **values):
    """A saga that was started on terms."""
    priority, timeout = values.pop("priority", None), values.pop("timeout", None)
    given = {"priority": priority, "timeout": timeout, "terms": Terms(**values)}
    (inserted,) = store.start([new(saga_id, **given)], nudge_after=10.0)
    return inserted


def end(store, saga_id, status=SagaStatus.COMPLETED):
    """The saga comes to a stop; nothing is handed on yet."""
    before = store.load(saga_id)
    assert store.save(change(before, (e.SagaStarted(),), status=status))


def awaited(store, saga_id):
    with store.connections.autocommit() as connection:
        rows = connection.execute(sa.select(saga_awaited).where(saga_awaited.c.saga_id == saga_id)).all()
    return {row.awaited: row for row in rows}


# ---------------------------------------------------------------------------------------------------------------- lock


def test_the_first_is_let_in_and_the_second_waits_until_it_has_ended(store):
    begin(store, "s1", lock="order-7")
    begin(store, "s2", lock="order-7")
    assert store.gates.enter("s1") == IN
    assert store.gates.enter("s2") == WAITS
    end(store, "s1")
    assert store.gates.leave("s1") == ["s2"]
    assert store.gates.enter("s2") == IN


def test_another_lock_is_another_gate(store):
    begin(store, "s1", lock="order-7")
    begin(store, "s2", lock="ORDER-7")
    assert store.gates.enter("s1") == IN
    assert store.gates.enter("s2") == IN


def test_a_lock_holds_for_sagas_of_every_name(store):
    store.start([new("s1", name="shop.order", terms=Terms(lock="order-7"))], nudge_after=0.0)
    store.start([new("s2", name="shop.return", terms=Terms(lock="order-7"))], nudge_after=0.0)
    assert store.gates.enter("s1") == IN
    assert store.gates.enter("s2") == WAITS


def test_whoever_asks_first_the_first_in_the_queue_is_let_in(store):
    begin(store, "s1", lock="order-7")
    begin(store, "s2", lock="order-7")
    assert store.gates.enter("s2") == Entry(admitted=False, others=("s1",))


def test_one_that_waits_for_a_person_keeps_its_lock(store):
    begin(store, "s1", lock="order-7")
    begin(store, "s2", lock="order-7")
    store.gates.enter("s1")
    end(store, "s1", SagaStatus.FAILED)
    assert store.gates.leave("s1") == []
    assert store.gates.enter("s2") == WAITS
    end(store, "s1", SagaStatus.COMPENSATED)
    assert store.gates.leave("s1") == ["s2"]


def test_the_queue_is_served_by_priority_and_then_in_order(store, clock):
    for number, priority in enumerate([None, None, 5, None, 9, 5]):
        begin(store, f"s{number}", lock="order-7", priority=priority)
        clock.turn(1)
    assert store.gates.enter("s1").others == ("s4",)
    served = []
    holder = "s4"
    while holder:
        served.append(holder)
        end(store, holder)
        (holder,) = store.gates.leave(holder) or [None]
    assert served == ["s4", "s2", "s5", "s0", "s1", "s3"]


def test_one_that_is_cancelled_while_it_waits_makes_room(store):
    for number in (1, 2, 3):
        begin(store, f"s{number}", lock="order-7")
    store.gates.enter("s1")
    end(store, "s2", SagaStatus.COMPENSATED)
    assert store.gates.leave("s2") == []
    end(store, "s1")
    assert store.gates.leave("s1") == ["s3"]


def test_a_hand_over_that_was_lost_is_found_by_whoever_waits(store):
    begin(store, "s1", lock="order-7")
    begin(store, "s2", lock="order-7")
    store.gates.enter("s1")
    end(store, "s1")  # and its process dies
    assert store.gates.enter("s2") == IN


def test_a_cancelled_one_whose_process_died_stands_in_nobodys_way(store):
    for number in (1, 2, 3):
        begin(store, f"s{number}", lock="order-7")
    store.gates.enter("s1")
    end(store, "s2", SagaStatus.COMPENSATED)
    end(store, "s1")
    assert store.gates.enter("s3") == IN


def test_what_has_ended_leaves_no_ticket(store):
    begin(store, "s1", lock="order-7", max_running=3)
    store.gates.enter("s1")
    end(store, "s1")
    store.gates.leave("s1")
    assert store.gates.leave("s1") == ()
    with store.connections.autocommit() as connection:
        assert connection.execute(sa.select(saga_ticket)).all() == []


# -------------------------------------------------------------------------------------------------------------- family


def test_a_child_shares_the_lock_of_its_parent_and_so_does_its_own_child(store):
    begin(store, "s1", lock="order-7")
    begin(store, "s2", lock="order-7")
    store.gates.enter("s1")
    store.start([new("s3", shares_lock_of="s1")], nudge_after=0.0)
    store.start([new("s4", shares_lock_of="s3")], nudge_after=0.0)
    assert store.gates.enter("s3").admitted
    assert store.gates.enter("s4").admitted
    assert store.gates.enter("s2") == WAITS


def test_a_lock_is_free_when_the_last_of_the_family_has_ended(store):
    begin(store, "s1", lock="order-7")
    begin(store, "s2", lock="order-7")
    store.gates.enter("s1")
    store.start([new("s3", shares_lock_of="s1")], nudge_after=0.0)
    store.gates.enter("s3")
    end(store, "s1")
    assert store.gates.leave("s1") == []
    end(store, "s3")
    assert store.gates.leave("s3") == ["s2"]


def test_the_child_of_a_saga_without_a_lock_needs_no_ticket(store):
    started(store, "s1")
    store.start([new("s2", shares_lock_of="s1")], nudge_after=0.0)
    assert not store.load("s2").gated
    assert awaited(store, "s2").keys() == {Awaited.NUDGE}


# --------------------------------------------------------------------------------------------------------------- limit


def test_no_more_than_the_limit_are_under_way(store):
    for number in range(4):
        begin(store, f"s{number}", max_running=2)
    assert [store.gates.enter(f"s{number}").admitted for number in range(4)] == [True, True, False, False]
    end(store, "s1", SagaStatus.FAILED)  # takes no place while it waits for a person
    assert store.gates.leave("s1") == ["s2"]
    end(store, "s0")
    assert store.gates.leave("s0") == ["s3"]


def test_each_name_has_a_limit_of_its_own(store):
    begin(store, "s1", max_running=1)
    store.start([new("s2", name="shop.return", terms=Terms(max_running=1))], nudge_after=0.0)
    assert store.gates.enter("s1") == IN
    assert store.gates.enter("s2") == IN


def test_the_limit_that_was_given_last_counts(store):
    for number in range(3):
        begin(store, f"s{number}", max_running=1)
    assert store.gates.enter("s0") == IN
    assert store.gates.enter("s1") == WAITS
    begin(store, "s3", max_running=3)
    assert store.gates.enter("s3") == Entry(admitted=False, others=("s1", "s2"))


def test_one_that_waits_for_its_lock_takes_no_place_and_stops_nobody(store):
    begin(store, "s1", lock="order-7", max_running=2)
    begin(store, "s2", lock="order-7", max_running=2)
    begin(store, "s3", max_running=2)
    begin(store, "s4", max_running=2)
    assert [store.gates.enter(f"s{number}").admitted for number in (1, 2, 3, 4)] == [True, False, True, False]
    end(store, "s1", SagaStatus.FAILED)  # keeps its lock, gives back its place
    assert store.gates.leave("s1") == ["s4"]


def test_a_lock_that_is_free_waits_for_a_place(store):
    begin(store, "s1", max_running=1)
    begin(store, "s2", lock="order-7", max_running=1)
    assert store.gates.enter("s1") == IN
    assert store.gates.enter("s2") == WAITS
    end(store, "s1")
    assert store.gates.leave("s1") == ["s2"]


# ---------------------------------------------------------------------------------------------------------------- time


@pytest.mark.parametrize("given", [{"delay": 3600.0}, {"hours": 1}])
def test_a_scheduled_saga_begins_when_its_time_has_come(store, clock, given):
    terms = {"at": clock.time + timedelta(**given)} if "hours" in given else given
    begin(store, "s1", **terms)
    assert store.gates.enter("s1") == WAITS
    clock.turn(3599)
    assert store.overdue(10, 30.0) == []
    clock.turn(1)
    (row,) = store.overdue(10, 30.0)
    assert row.awaited is Awaited.ADMISSION
    assert store.gates.enter("s1") == IN
    assert store.queries.snapshot("s1").saga.starts_at == clock.time


def test_a_time_that_has_passed_is_now(store, clock):
    begin(store, "s1", lock="order-7")
    clock.turn(60)
    begin(store, "s2", lock="order-7", at=clock.time - timedelta(hours=1))
    assert store.gates.enter("s2").others == ("s1",)


def test_a_scheduled_saga_takes_its_place_in_the_queue_when_its_time_has_come(store, clock):
    begin(store, "s1", lock="order-7", delay=60.0)
    begin(store, "s2", lock="order-7")
    assert store.gates.enter("s2") == IN
    clock.turn(30)
    begin(store, "s3", lock="order-7")
    clock.turn(31)
    end(store, "s2")
    assert store.gates.leave("s2") == ["s3"]
    end(store, "s3")
    assert store.gates.leave("s3") == ["s1"]


def test_the_deadline_begins_to_count_when_the_saga_is_let_in(store, clock):
    begin(store, "s1", lock="order-7")
    begin(store, "s2", lock="order-7", timeout=60.0)
    store.gates.enter("s1")
    store.gates.enter("s2")
    clock.turn(86_400)
    assert store.queries.snapshot("s2").saga.deadline_at is None
    assert DEADLINE_SLOT not in {row.slot for row in store.overdue(10, 30.0)}
    end(store, "s1")
    store.gates.leave("s1")
    assert store.queries.snapshot("s2").saga.deadline_at == clock.time + timedelta(seconds=60)
    clock.turn(59)
    assert Awaited.DEADLINE not in {row.awaited for row in store.overdue(10, 30.0)}
    clock.turn(1)
    assert Awaited.DEADLINE in {row.awaited for row in store.overdue(10, 30.0)}


# --------------------------------------------------------------------------------------------------------------- looks


def test_who_is_let_in_awaits_a_nudge(store):
    begin(store, "s1", lock="order-7")
    assert awaited(store, "s1").keys() == {Awaited.ADMISSION}
    store.gates.enter("s1")
    assert awaited(store, "s1").keys() == {Awaited.NUDGE}


def test_the_next_in_turn_is_looked_at_more_often_than_those_behind_it(store, clock):
    for number in (1, 2, 3):
        begin(store, f"s{number}", lock="order-7")
        store.gates.enter(f"s{number}")
    later = [(awaited(store, f"s{number}")[Awaited.ADMISSION].due_at - clock.time).seconds for number in (2, 3)]
    assert later == [15, 300]
    end(store, "s1")
    store.gates.leave("s1")
    assert (awaited(store, "s3")[Awaited.ADMISSION].due_at - clock.time).seconds == 15


# -------------------------------------------------------------------------------------------------------------- refuse


def test_one_that_is_not_to_wait_is_refused_before_anything_is_stored(store):
    begin(store, "s1", lock="order-7")
    with pytest.raises(Locked, match="lock 'order-7' is held by saga s1; nothing was started"):
        begin(store, "s2", lock="order-7", refuse=True)
    assert store.load("s2") is None


def test_two_of_one_batch_refuse_each_other(store):
    with pytest.raises(Locked, match="held by saga s1"):
        store.start([new(f"s{n}", terms=Terms(lock="order-7", refuse=True)) for n in (1, 2)], nudge_after=0.0)
    assert store.load("s1") is None


def test_a_key_that_is_taken_answers_before_the_lock_does(store):
    terms = Terms(lock="order-7", refuse=True)
    (first,) = store.start([new("s1", key="k", terms=terms)], nudge_after=0.0)
    (again,) = store.start([new("s2", key="k", terms=terms)], nudge_after=0.0)
    assert (first.created, again.created, again.id) == (True, False, "s1")
    store.gates.enter("s1")
    end(store, "s1", SagaStatus.FAILED)
    (again,) = store.start([new("s2", key="k", terms=terms)], nudge_after=0.0, if_exists="new_if_ended")
    assert not again.created
    end(store, "s1", SagaStatus.COMPENSATED)
    begin(store, "s3", lock="order-7")
    with pytest.raises(Locked, match="s3"):
        store.start([new("s2", key="k", terms=terms)], nudge_after=0.0, if_exists="new_if_ended")


def test_a_scheduled_one_holds_nothing_yet(store):
    begin(store, "s1", lock="order-7", delay=60.0)
    assert begin(store, "s2", lock="order-7", refuse=True).created


def test_of_two_that_started_unseen_by_each_other_the_second_is_refused(store):
    """As it is when both transactions were open at once."""
    begin(store, "s1", lock="order-7", refuse=True)
    with store.connections.transaction() as connection:
        connection.execute(sa.update(saga_ticket).values(lock="other"))
    begin(store, "s2", lock="order-7", refuse=True)
    with store.connections.transaction() as connection:
        connection.execute(sa.update(saga_ticket).values(lock="order-7"))
    assert store.gates.enter("s2") == Entry(admitted=False, others=("s1",), refused_by="s1")


# ---------------------------------------------------------------------------------------------------------------- cost


def test_a_saga_without_terms_runs_no_statement_for_gates(store):
    seen = []

    def note(connection, cursor, statement, *rest):
        if not statement.startswith("BEGIN"):
            seen.append(statement)

    sa.event.listen(store.connections.engine, "before_cursor_execute", note)
    store.start([new("s1", timeout=60.0)], nudge_after=0.0)
    state = store.load("s1")
    before = len(seen)
    assert store.save(change(state, (e.SagaStarted(),), status=SagaStatus.COMPLETED))
    sa.event.remove(store.connections.engine, "before_cursor_execute", note)
    assert not [statement for statement in seen if "saga_ticket" in statement or "saga_gate" in statement]
    if store.connections.dialect == "postgresql":
        assert len(seen) - before == 1


# --------------------------------------------------------------------------------------------------------------- races


def test_a_cancel_that_comes_first_has_the_saga(store):
    begin(store, "s1", lock="order-7", timeout=60.0)
    end(store, "s1", SagaStatus.COMPENSATED)
    assert store.gates.enter("s1") == WAITS
    assert awaited(store, "s1") == {}


def open_now(store):
    """How many sagas are in, by lock."""
    t = saga_ticket.c
    query = sa.select(t.lock, sa.func.count()).join(saga, saga.c.id == t.saga_id).group_by(t.lock)
    with store.connections.autocommit() as connection:
        held = query.where(t.admitted_at.is_not(None), saga.c.state == SagaStatus.PENDING.value)
        return {row[0]: row[1] for row in connection.execute(held).all()}


def test_fifty_at_once_are_let_in_one_after_the_other(store, another):
    """Whoever is in looks whether anybody else is; nobody is lost, whoever starts and ends when."""
    total, hands = 50, 5
    stores = [another() for _ in range(hands)]
    together = threading.Barrier(hands, timeout=120)
    overlaps, done, guard = [], [], threading.Lock()

    def work(mine, first):
        together.wait()
        todo = []
        for number in range(first, total, hands):
            begin(mine, f"s{number:02}", lock="order-7")
            entry = mine.gates.enter(f"s{number:02}")
            todo += [*entry.others, *([f"s{number:02}"] if entry.admitted else [])]
            while todo:
                saga_id = todo.pop()
                with guard:
                    if saga_id in done:
                        continue
                    done.append(saga_id)
                if open_now(mine)["order-7"] != 1:
                    overlaps.append(saga_id)
                end(mine, saga_id)
                todo += mine.gates.leave(saga_id)

    with ThreadPoolExecutor(hands) as pool:
        list(pool.map(work, stores, range(hands)))
    assert overlaps == []
    assert sorted(done) == [f"s{number:02}" for number in range(total)]
