"""What a scrape tells is what happened, on the first scrape and on later ones."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa
from celery import Celery
from celery.canvas import Signature
from sqlalchemy.orm import Session

from saga_celery import Retry, Saga, SagaApp, parallel, sleep, step, wait_for
from saga_celery.contrib.metrics import meter
from saga_celery.contrib.metrics.tally import SAGA_BOUNDS, STEP_BOUNDS, Distribution
from saga_celery.core import events as e
from saga_celery.core.states import Direction, SagaStatus, Slot
from saga_celery.store import SQLStore
from saga_celery.store.migrate import migrate
from saga_celery.store.schema import saga, saga_delivery
from tests.app.test_children import family
from tests.cli.conftest import Order
from tests.contrib.metrics.conftest import Scraper

__all__ = ["family"]


def of(samples: dict[str, float], *names: str) -> dict[str, float]:
    """Those of some metrics that are not 0."""
    return {key: value for key, value in samples.items() if value and key.split("{")[0] in names}


COUNTERS = ("saga_started_total", "saga_finished_total", "saga_duration_seconds_count", "saga_duration_seconds_sum")
BUCKET = "saga_duration_seconds_bucket"
ENDED_EACH_WAY = {
    "saga_started_total{saga=shop.order}": 4,
    "saga_started_total{saga=shop.parcel}": 1,
    "saga_finished_total{saga=shop.order,outcome=compensated}": 1,
    "saga_finished_total{saga=shop.order,outcome=completed}": 1,
    "saga_finished_total{saga=shop.order,outcome=failed}": 1,
    "saga_finished_total{saga=shop.parcel,outcome=failed}": 1,
    "saga_duration_seconds_count{saga=shop.order,outcome=compensated}": 1,
    "saga_duration_seconds_count{saga=shop.order,outcome=completed}": 1,
    "saga_duration_seconds_sum{saga=shop.order,outcome=completed}": 40,
}
NAMES = ["shop.order", "shop.parcel"]


def end_each_way(shop) -> None:
    """One that took 40 seconds, and one each that is undone, is being undone, is in doubt and is exhausted."""
    slow = shop.start()
    shop.news(slow, e.Nudged())
    shop.clock.turn(10)
    shop.succeed(slow, "charge", "c-1")
    shop.clock.turn(30)
    shop.succeed(slow, "tell", "told")
    shop.compensated()
    shop.undoing()
    shop.in_doubt()
    shop.exhausted()


def test_the_first_scrape_counts_all_there_is(shop, scrape):
    end_each_way(shop)
    samples = scrape()
    assert of(samples, *COUNTERS) == pytest.approx(ENDED_EACH_WAY)
    assert samples["saga_duration_seconds_bucket{saga=shop.order,outcome=completed,le=15.0}"] == 0
    assert samples["saga_duration_seconds_bucket{saga=shop.order,outcome=completed,le=60.0}"] == 1
    assert samples["saga_duration_seconds_bucket{saga=shop.order,outcome=compensated,le=0.1}"] == 1
    assert samples["saga_up"] == 1
    assert not of(samples, "saga_step_attempts_total")  # these are counted from now on


def test_later_scrapes_count_what_came_since_once(shop, scrape):
    assert scrape()["saga_up"] == 1
    end_each_way(shop)
    assert of(scrape(), *COUNTERS) == ENDED_EACH_WAY
    assert of(scrape(), *COUNTERS) == ENDED_EACH_WAY
    counted, anew = (of(one(), *COUNTERS, BUCKET) for one in (scrape, Scraper(shop.sagas)))
    assert counted == pytest.approx(anew)
    assert len(counted) > len(ENDED_EACH_WAY)


def test_attempts_and_how_long_they_took(shop, scrape):
    scrape()
    saga_id = shop.start()
    shop.news(saga_id, e.Nudged())
    shop.clock.turn(2)
    scrape()  # between an attempt and its answer
    shop.fail(saga_id, Slot("charge"))
    shop.clock.turn(12)
    shop.news(saga_id, e.RestOver(slot=Slot("charge")))
    shop.clock.turn(3)
    shop.news(saga_id, e.AttemptLost(slot=Slot("charge"), attempt=2, reason="worker w1 died"))
    shop.clock.turn(60)
    shop.news(saga_id, e.RestOver(slot=Slot("charge")))
    shop.clock.turn(0.25)
    shop.succeed(saga_id, "charge", "c-1", attempt=3)
    shop.fail(saga_id, Slot("tell"))
    shop.clock.turn(7)
    shop.news(saga_id, e.AttemptSucceeded(slot=Slot("charge", 0, Direction.COMPENSATION), attempt=1))
    assert of(scrape(), "saga_step_attempts_total", "saga_step_seconds_count", "saga_step_seconds_sum") == {
        "saga_step_attempts_total{saga=shop.order,step=charge,direction=action,outcome=failed}": 1,
        "saga_step_attempts_total{saga=shop.order,step=charge,direction=action,outcome=lost}": 1,
        "saga_step_attempts_total{saga=shop.order,step=charge,direction=action,outcome=succeeded}": 1,
        "saga_step_attempts_total{saga=shop.order,step=charge,direction=compensation,outcome=succeeded}": 1,
        "saga_step_attempts_total{saga=shop.order,step=tell,direction=action,outcome=failed}": 1,
        "saga_step_seconds_count{saga=shop.order,step=charge,direction=action}": 2,
        "saga_step_seconds_sum{saga=shop.order,step=charge,direction=action}": 2.25,
        "saga_step_seconds_count{saga=shop.order,step=charge,direction=compensation}": 1,
        "saga_step_seconds_sum{saga=shop.order,step=charge,direction=compensation}": 7,
        "saga_step_seconds_count{saga=shop.order,step=tell,direction=action}": 1,
    }


def test_an_attempt_that_was_out_when_the_counting_began_has_an_outcome_but_no_time(shop, scrape):
    saga_id = shop.start()
    shop.news(saga_id, e.Nudged())
    scrape()
    shop.succeed(saga_id, "charge", "c-1")
    assert of(scrape(), "saga_step_attempts_total", "saga_step_seconds_count") == {
        "saga_step_attempts_total{saga=shop.order,step=charge,direction=action,outcome=succeeded}": 1
    }


def test_a_parked_saga_that_goes_on_and_is_parked_again_failed_twice(shop, scrape):
    saga_id = shop.exhausted()
    assert scrape()["saga_finished_total{saga=shop.parcel,outcome=failed}"] == 1
    for failed in (2, 3):
        retry = e.OperatorAsked(verb=e.Verb.RETRY, actor="ann", reason="mended")
        state = shop.news(saga_id, retry)
        assert state.status is SagaStatus.RUNNING
        shop.fail(saga_id, Slot("label"), attempt=state.step("label").action.attempt)
        assert scrape()["saga_finished_total{saga=shop.parcel,outcome=failed}"] == failed


def test_a_saga_with_two_dead_letters_failed_once(shop, scrape):
    class TwinSaga(Saga[Order]):
        name = "shop.twin"

        @step(pivot=True, retry=Retry(attempts=1))
        def pay(self, order: Order) -> Signature[str]:
            return self.task("card.pay", order.cents)

        with parallel():

            @step(retry=Retry(attempts=1), no_compensation="behind the pivot")
            def left(self, order: Order) -> Signature[str]:
                return self.task("shop.left", order.sku)

            @step(retry=Retry(attempts=1), no_compensation="behind the pivot")
            def right(self, order: Order) -> Signature[str]:
                return self.task("shop.right", order.sku)

    scrape()
    saga_id = TwinSaga.start(Order(sku="tea", cents=5)).id
    shop.news(saga_id, e.Nudged())
    shop.succeed(saga_id, "pay", "p-1")
    shop.fail(saga_id, Slot("left"))
    assert len(shop.fail(saga_id, Slot("right")).letters) == 2
    samples = scrape()
    assert samples["saga_finished_total{saga=shop.twin,outcome=failed}"] == 1
    assert samples["saga_dead_letters{saga=shop.twin,reason=exhausted}"] == 2


def test_a_saga_that_ended_long_ago_and_is_undone_now_ends_once_more(shop, scrape):
    scrape()
    shop.clock.turn(1000)
    asked = e.OperatorAsked(verb=e.Verb.RERUN, actor="ann", reason="wrong", step="charge")
    undone = shop.compensated()
    for _ in range(3):  # until it is forgotten
        shop.clock.turn(1000)
        before = scrape()
    shop.clock.turn(1000)
    assert shop.news(undone, asked).status is SagaStatus.RUNNING
    again = scrape()
    assert again["saga_started_total{saga=shop.order}"] == before["saga_started_total{saga=shop.order}"] == 1
    assert again["saga_open{saga=shop.order,state=running}"] == 1
    again_charged = shop.sagas.store.load(undone).step("charge").action
    slot = Slot("charge", generation=again_charged.generation)
    shop.news(undone, e.AttemptSucceeded(slot=slot, attempt=again_charged.attempt, result="c-2"))
    told = shop.sagas.store.load(undone).step("tell")
    slot = told.slot(Direction.ACTION)
    shop.news(undone, e.AttemptSucceeded(slot=slot, attempt=told.action.attempt, result="told"))
    after = scrape()
    assert after["saga_finished_total{saga=shop.order,outcome=compensated}"] == 1
    assert after["saga_finished_total{saga=shop.order,outcome=completed}"] == 1


def test_children_that_are_undone_between_two_scrapes(family, monkeypatch):
    """They are done before and after; only their parent was open."""
    monkeypatch.setattr(meter, "OVERLAP", 0.0)  # nor were they started lately
    scrape = Scraper(family.sagas)
    handle = family.completed_below()
    assert scrape()["saga_finished_total{saga=t.middle,outcome=completed}"] == 1
    assert scrape()["saga_up"] == 1
    family.fails(handle.id, "last")
    family.done(family.middle(handle), "own", direction=Direction.COMPENSATION)
    family.done(family.leaf(handle), "grow", direction=Direction.COMPENSATION)
    family.done(handle.id, "first", direction=Direction.COMPENSATION)
    assert family.states(*family.all_three(handle)) == [SagaStatus.COMPENSATED] * 3
    found = of(scrape(), "saga_finished_total", "saga_started_total", "saga_step_attempts_total")
    undone = [key for key in found if "direction=compensation,outcome=succeeded" in key]
    assert len(undone) == 5  # three tasks, and two parents that had a child undone
    assert {key: value for key, value in found.items() if "attempts" not in key} == {
        "saga_started_total{saga=t.leaf}": 1,
        "saga_started_total{saga=t.middle}": 1,
        "saga_started_total{saga=t.top}": 1,
        "saga_finished_total{saga=t.leaf,outcome=completed}": 1,
        "saga_finished_total{saga=t.middle,outcome=completed}": 1,
        "saga_finished_total{saga=t.leaf,outcome=compensated}": 1,
        "saga_finished_total{saga=t.middle,outcome=compensated}": 1,
        "saga_finished_total{saga=t.top,outcome=compensated}": 1,
    }
    assert of(scrape(), "saga_finished_total") == of(found, "saga_finished_total")


def test_a_start_that_commits_late_is_counted(shop, scrape):
    """Its row tells of a time at which somebody has looked already."""
    scrape()
    shop.clock.turn(20)
    engine = sa.create_engine(shop.app.conf.saga_database_url)
    with Session(engine) as session:
        late = shop.start(session=session)
        shop.clock.turn(20)
        assert not of(scrape(), "saga_started_total")
        session.commit()
    engine.dispose()
    shop.news(late, e.Nudged())
    shop.succeed(late, "charge", "c-1")
    shop.succeed(late, "tell", "told")
    assert of(scrape(), "saga_started_total", "saga_finished_total") == {
        "saga_started_total{saga=shop.order}": 1,
        "saga_finished_total{saga=shop.order,outcome=completed}": 1,
    }


def test_sagas_that_are_deleted_are_forgotten(shop, scrape):
    saga_id = shop.start()
    scrape()
    with shop.sagas.store.connections.autocommit() as connection:
        connection.execute(sa.delete(saga).where(saga.c.id == saga_id))
    samples = scrape()
    assert samples["saga_started_total{saga=shop.order}"] == 1
    assert samples["saga_open{saga=shop.order,state=pending}"] == 0
    assert not scrape.collector._meter._known


def test_what_is_done_is_not_remembered_for_long(shop, scrape):
    scrape()
    shop.completed()
    for _ in range(5):
        shop.clock.turn(meter.OVERLAP)
        samples = scrape()
    assert samples["saga_finished_total{saga=shop.order,outcome=completed}"] == 1
    assert not scrape.collector._meter._known


# -------------------------------------------------------------------------------------------------------------- gauges


def test_what_is_open(shop, scrape):
    end_each_way(shop)
    shop.start(delay=timedelta(seconds=500))
    shop.clock.turn(100)
    samples = scrape()
    assert of(samples, "saga_open", "saga_oldest_open_seconds") == {
        "saga_open{saga=shop.order,state=compensating}": 1,
        "saga_open{saga=shop.order,state=failed}": 1,
        "saga_open{saga=shop.order,state=pending}": 1,
        "saga_open{saga=shop.parcel,state=failed}": 1,
        "saga_oldest_open_seconds{saga=shop.order}": 100,
    }
    assert samples["saga_oldest_open_seconds{saga=shop.parcel}"] == 0


def test_what_is_stuck(shop, scrape):
    shop.completed()
    shop.exhausted()
    shop.in_doubt()
    undoing = shop.undoing()
    undo = Slot("charge", 0, Direction.COMPENSATION)
    for attempt in (1, 2):
        shop.fail(undoing, undo, attempt=attempt)
        shop.clock.turn(300)
        if attempt == 1:
            shop.news(undoing, e.RestOver(slot=undo))
    shop.start()
    shop.clock.turn(100)
    samples = scrape()
    assert of(samples, "saga_stuck", "saga_undo_failed", "saga_dead_letters") == {
        "saga_stuck{saga=shop.order}": 3,
        "saga_stuck{saga=shop.parcel}": 1,
        "saga_undo_failed{saga=shop.order}": 1,
        "saga_dead_letters{saga=shop.order,reason=compensation_exhausted}": 1,
        "saga_dead_letters{saga=shop.order,reason=in_doubt}": 1,
        "saga_dead_letters{saga=shop.parcel,reason=exhausted}": 1,
    }
    queries = shop.sagas.store.queries
    for name in NAMES:
        assert samples[f"saga_stuck{{saga={name}}}"] == queries.count(name=name, stuck=True)
    assert samples["saga_overdue_seconds"] == pytest.approx(queries.oldest_overdue())
    assert samples["saga_overdue_seconds"] > 60


def test_who_waits_for_an_event(shop, scrape):
    class ApprovalSaga(Saga[Order]):
        name = "shop.approval"

        @wait_for(bool, timeout=timedelta(days=2))
        def approve(self, order: Order) -> None:
            return None

        nap = sleep(timedelta(hours=1))

    waiting = ApprovalSaga.start(Order(sku="tea", cents=5))
    for _ in range(2):
        shop.news(ApprovalSaga.start(Order(sku="tea", cents=5)).id, e.Nudged())
    shop.news(waiting.id, e.Nudged())
    assert scrape()["saga_waiting_for_signal{saga=shop.approval}"] == 3
    shop.news(waiting.id, e.EventSent(wait="approve", event_id="e-1", payload=True))
    assert shop.sagas.store.load(waiting.id).step("nap").status == "awaiting"
    samples = scrape()
    assert samples["saga_waiting_for_signal{saga=shop.approval}"] == 2
    assert not of(samples, "saga_step_attempts_total")  # neither an answer nor the time is an attempt


def test_the_outbox(shop, scrape):
    shop.start()
    shop.clock.turn(30)
    shop.news(shop.start(), e.Nudged())
    with shop.sagas.store.connections.autocommit() as connection:
        for number, due_at in enumerate((shop.clock.time, None, None)):
            row = {"saga_id": "s", "event": "saga_completed", "task": "ops.tell", "payload": "{}", "headers": "{}"}
            since = shop.clock.time - timedelta(seconds=5)
            values = {**row, "id": str(number), "tries": 0, "since": since, "due_at": due_at}
            connection.execute(sa.insert(saga_delivery).values(values))
    shop.clock.turn(10)
    names = ("saga_outbox_depth", "saga_outbox_oldest_seconds", "saga_hooks_given_up", "saga_held")
    assert of(scrape(), *names) == {
        "saga_outbox_depth{kind=nudge}": 1,
        "saga_outbox_depth{kind=step}": 1,
        "saga_outbox_depth{kind=hook}": 1,
        "saga_outbox_oldest_seconds{kind=nudge}": 40,
        "saga_outbox_oldest_seconds{kind=step}": 10,
        "saga_outbox_oldest_seconds{kind=hook}": 15,
        "saga_hooks_given_up": 2,
    }
    shop.sagas.pause(task="card.charge", reason="the bank is down")
    shop.news(shop.start(), e.Nudged())
    samples = scrape()
    assert (samples["saga_held"], samples["saga_outbox_depth{kind=step}"]) == (1, 1)


def test_who_lives_and_who_sweeps(shop, scrape):
    shop.sagas.beat("gone@h.1", [], 2.0)
    shop.clock.turn(100)
    shop.sagas.beat("saga-sweep@h.2", [], 3.0)
    shop.sagas.beat("celery@h.5", [], 70.0)
    shop.clock.turn(3)
    shop.sagas.beat("celery@h.3", [])
    shop.sagas.beat("celery@h.4", [])
    shop.clock.turn(1)
    samples = scrape()
    assert (samples["saga_workers"], samples["saga_worker_heartbeat_seconds"]) == (4, 1)
    assert (samples["saga_sweepers"], samples["saga_sweeper_round_seconds"]) == (1, 7)


# ------------------------------------------------------------------------------------------------------------ two apps


def test_two_apps_in_one_process(shop, scrape, tmp_path):
    other = Celery("other", broker="memory://", set_as_current=False)
    other.conf.saga_database_url = url = f"sqlite:///{tmp_path / 'other.db'}"
    sagas = SagaApp(other)
    sagas._store = SQLStore(url, chance=lambda: 0.5, clock=shop.clock)
    migrate(sagas.store.connections)
    of_other = Scraper(sagas)
    try:
        shop.sagas.desk  # noqa: B018 - the sagas of this process are bound to the app that was made last
        shop.start()  # hence in the other one
        assert of(of_other(), "saga_started_total") == {"saga_started_total{saga=shop.order}": 1}
        assert of(scrape(), "saga_started_total") == {}
    finally:
        sagas.dispose()


# ------------------------------------------------------------------------------------------------------------- buckets


@pytest.mark.parametrize("bounds", [SAGA_BOUNDS, STEP_BOUNDS])
def test_a_bound_belongs_to_its_range(bounds):
    found = Distribution(bounds)
    for bound in bounds:
        found.observe(bound)
    found.observe(bounds[-1] + 1)
    found.observe(-0.5)
    assert [count for _, count in found.buckets()] == [*range(2, len(bounds) + 2), len(bounds) + 2]
    assert found.buckets()[-1][0] == "+Inf"
    assert found.seconds == pytest.approx(sum(bounds) + bounds[-1] + 1)
