"""A million finished sagas cost nothing: what is asked all the time touches what is due, and no more."""

import re
from dataclasses import replace

import pytest
import sqlalchemy as sa

from saga_celery.core.events import SagaResumed
from saga_celery.core.states import SagaStatus, Slot, StepState, StepStatus
from saga_celery.core.steps import Steps
from saga_celery.engine.ports import NUDGE_SLOT, Stuck, Trouble
from saga_celery.store.clock import db_after
from saga_celery.store.retention import Old
from saga_celery.store.schema import saga, saga_awaited, saga_history, saga_step, saga_tag
from tests.lending import make_tables
from tests.store.examples import CHARGE, change, due, letter, new, started

FINISHED = 50_000
OLDER = {
    "postgresql": "t.created_at - i * interval '1 second'",
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f000', t.created_at, -i || ' seconds')",
}


@pytest.fixture
def database_url(empty_url):
    """Of its own: so many rows, and statistics of them, are no gift for the next test."""
    make_tables(empty_url)
    return empty_url


@pytest.fixture
def crowded(store):
    """Fifty thousand finished sagas, each a second older than the last, and three thousand open ones, none due."""
    if store.connections.dialect == "mysql":
        pytest.skip("its EXPLAIN has a form of its own")
    template = started(store, "template")
    store.save(change(template))
    store.start([new(f"open{number}") for number in range(3000)], nudge_after=3600.0)
    digits = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000)"
    columns = {
        "id": "'done' || i",
        "state": "'COMPLETED'",
        "saga_id": "'done' || i",
        "created_at": OLDER[store.connections.dialect],
    }
    with store.connections.transaction() as connection:
        for table in (saga, saga_history):
            names = [column.name for column in table.columns]
            quoted = ", ".join(f'"{name}"' for name in names)
            values = ", ".join(columns.get(name, f't."{name}"') for name in names)
            source = f'"{table.name}" t WHERE t."{names[0]}" = \'template\''
            select = f"{digits} SELECT {values} FROM n, {source}"
            connection.exec_driver_sql(f'INSERT INTO "{table.name}" ({quoted}) {select}')
        dispatched = sa.select(saga.c.id, *map(sa.literal, ("charge", 0, "dispatched", 1, '{"action":{}}')))
        columns = ["saga_id", "step", "item", "status", "start_order", "activities"]
        connection.execute(sa.insert(saga_step).from_select(columns, dispatched))
        connection.exec_driver_sql("ANALYZE")
    return store


def plans_of(store, work):
    """What the database would do for each statement that `work` executes."""
    seen = []
    engine = store.connections.engine

    def note(connection, cursor, statement, parameters, *rest):
        of_many_rows = rest[-1] and statement.startswith("INSERT")  # which reads nothing
        if not of_many_rows and not statement.startswith(("EXPLAIN", "BEGIN", "SET", "ROLLBACK")):
            seen.append((statement, parameters))

    sa.event.listen(engine, "before_cursor_execute", note)
    work()
    sa.event.remove(engine, "before_cursor_execute", note)
    explain = "EXPLAIN " if store.connections.dialect == "postgresql" else "EXPLAIN QUERY PLAN "
    with store.connections.autocommit() as connection:
        found = [connection.exec_driver_sql(explain + sql, parameters).all() for sql, parameters in seen]
    return ["\n".join(str(row[-1] if len(row) > 1 else row[0]) for row in rows) for rows in found]


def scans(plan):
    """The tables that are read from one end to the other."""
    lines = [line.strip(" ->") for line in plan.splitlines()]
    whole = [line for line in lines if line.startswith(("Seq Scan", "SCAN saga")) and "USING INDEX" not in line]
    return [line for line in whole if "USING COVERING INDEX" not in line]


def test_a_sweep_reads_only_what_is_due(crowded, clock):
    (plan,) = plans_of(crowded, lambda: crowded.overdue(200, 30.0))
    assert "ix_saga_awaited_due_at" in plan, plan
    assert scans(plan) == []

    crowded.stuck.record(Stuck(saga_id="open1", slot=CHARGE, attempt=1, trouble=Trouble.NOT_BEGUN), [])
    looks = plans_of(
        crowded,
        lambda: (
            crowded.stuck.overdue(60.0, 100),
            crowded.stuck.still(["open7"], overdue=60.0),
            crowded.stuck.forget(overdue=60.0),
        ),
    )
    assert len(looks) == 5
    assert "ix_saga_awaited_due_at" in looks[0], looks[0]
    for look in looks:
        assert [line for line in scans(look) if " saga_stuck" not in line] == [], look


SEVERAL = tuple(Slot("reserve", number) for number in range(1, 9))

WRITTEN = {
    "a step": {"settled": [NUDGE_SLOT], "awaited": [due()]},
    "steps side by side": {"settled": [NUDGE_SLOT, CHARGE], "awaited": [due(slot) for slot in SEVERAL[:2]]},
    "a fan-out": {"settled": SEVERAL, "awaited": [due(slot) for slot in SEVERAL]},
    "the end": {"settled": [CHARGE], "status": SagaStatus.COMPLETED},
    "a letter": {"settled": [CHARGE], "letters": (letter(),), "status": SagaStatus.FAILED},
    "a resumption": {"facts": [SagaResumed()], "awaited": [due()]},
}


@pytest.mark.parametrize("what", WRITTEN)
def test_a_transition_reads_only_its_own_rows(crowded, what):
    state = replace(crowded.load("open7"), suspended=what == "a resumption")
    stepped = Steps.of(state.steps).put(StepState(name="charge", status=StepStatus.SUCCEEDED, order=1))
    wanted = change(state, **{"steps": stepped, "suspended": False, **WRITTEN[what]})
    assert wanted.wakes == (what == "a resumption")
    plans = plans_of(crowded, lambda: (crowded.load_with_inbox("open7"), crowded.save(wanted)))
    assert len(plans) >= 2
    wide = re.compile(r"\b(saga|saga_history|saga_step|saga_awaited)\b(?! [as])")
    for plan in plans:
        assert not [line for line in scans(plan) if wide.search(line)], plan


def test_the_first_page_reads_no_more_than_a_page(crowded):
    for wanted in ({}, {"name": "shop.order"}, {"name": "shop.order", "limit": 5}):
        (plan,) = plans_of(crowded, lambda wanted=wanted: crowded.queries.find(**wanted))
        assert scans(plan) == [], plan
        assert "saga_by_" in plan


def test_the_metrics_of_what_moved_read_nothing_of_what_ended(crowded, clock):
    """But for the first time, when all of it is counted."""
    clock.turn(100.0)
    ids = [f"done{number}" for number in range(30)]

    def read():
        with crowded.metering.look(60.0) as look:
            look.open(), look.done_since(clock.time), look.standings(ids)
            if crowded.connections.dialect != "sqlite":  # whose statistics, where nobody has a parent, belie that index
                look.children(ids)
            look.transitions(dict.fromkeys(ids, 0), [])
            look.stuck(), look.undo_failed(), look.dead_letters(), look.waiting()
            look.awaited(), look.deliveries(), look.given_up(), look.overdue(), look.heartbeats()

    plans = [plan for plan in plans_of(crowded, read) if plan]
    assert len(plans) >= 13
    for plan in plans:
        assert not [line for line in scans(plan) if re.search(r"\b(saga|saga_history)\b(?! [as])", line)], plan


def test_what_is_open_is_narrow(crowded):
    with crowded.connections.autocommit() as connection:
        sizes = {
            table.name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in (saga, saga_awaited, saga_step)
        }
    assert sizes["saga"] > FINISHED
    assert sizes["saga_awaited"] == 3001


PAGES = (
    {},
    {"name": "shop.order"},
    {"status": SagaStatus.FAILED},
    {"name": "nobody", "status": SagaStatus.COMPLETED},
    {"tags": {"customer": "7"}},
    {"tags": {"customer": "7", "half": "1"}},
    {"tags": {"half": "1"}},
    {"tags": {"half": "1"}, "status": SagaStatus.FAILED},
    {"stuck": True},
    {"stuck": True, "name": "shop.order"},
    {"suspended": True},
    {"ids": ["done7", "done8"]},
)


def test_what_a_person_asks_for_never_reads_all_sagas_or_tags(crowded):
    """Every finished saga has two tags: one that two of them share, and one that half of them share."""
    number = sa.cast(sa.func.substr(saga.c.id, 5), sa.Integer)
    with crowded.connections.transaction() as connection:
        for name, share in (("customer", FINISHED // 2), ("half", 2)):
            tags = sa.select(saga.c.id, sa.literal(name), sa.cast(number % share, sa.String))
            of_finished = tags.where(saga.c.id.startswith("done"))
            connection.execute(sa.insert(saga_tag).from_select(["saga_id", "name", "value"], of_finished))
        connection.exec_driver_sql("ANALYZE")
    asked = [lambda wanted=wanted: crowded.queries.page(50, **wanted) for wanted in PAGES]
    asked += [crowded.tallies.names, lambda: crowded.queries.meant_by("0190", ["shop.order"])]
    for ask in asked:
        plans = plans_of(crowded, ask)
        assert plans
        for plan in plans:
            assert not [line for line in scans(plan) if re.search(r"\b(saga|saga_tag)\b", line)], plan


def test_what_is_old_is_found_and_moved_by_indexes(crowded, clock):
    with crowded.connections.transaction() as connection:
        place = sa.cast(sa.func.substr(saga.c.id, 5), sa.Integer)
        ends = sa.update(saga).where(saga.c.id.like("done%")).values(ended_at=db_after(saga.c.created_at, -place))
        connection.execute(ends)
    with crowded.connections.autocommit() as connection:
        connection.exec_driver_sql("ANALYZE")
    clock.turn(3600.0)
    old = Old(name="shop.order", before={SagaStatus.COMPLETED: clock.time})
    moves = (crowded.retention.archive, crowded.retention.delete, crowded.retention.delete_archived)
    for move in moves:
        portions = []
        found = plans_of(crowded, lambda move=move, portions=portions: portions.append(move(old, 20)))
        assert len(portions[0].ids) == 20
        assert "by_end" in found[0] or "saga_archive" in found[0], found[0]  # of which there are few
        for plan in found:
            narrow = r"saga_(dead_letter|delivery|awaited|ticket|payload|archive|tag|inbox|step)\b"
            assert not [line for line in scans(plan) if not re.search(narrow, line)], plan
