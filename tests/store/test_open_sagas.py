"""Which sagas have not ended, by name and plan."""

import pytest

from saga_celery.core.plan import Plan, PlannedStep
from saga_celery.core.states import Activity, Message, Policy, SagaStatus, StepState, StepStatus
from saga_celery.store import open_sagas
from saga_celery.store.views import OpenGroup
from tests.store.examples import moved, new, started

PLAN = Plan(saga="shop.order", steps=(PlannedStep(name="charge"),))


def group(store, **wanted):
    [found] = [each for each in store.open_sagas.groups() if all(getattr(each, k) == v for k, v in wanted.items())]
    return found


def test_open_sagas_are_counted_by_name_and_plan(store):
    for number in range(3):
        started(store, f"open{number}")
    moved(store, started(store, "parked"), status=SagaStatus.FAILED)
    moved(store, started(store, "done"), status=SagaStatus.COMPLETED)
    moved(store, started(store, "undone"), status=SagaStatus.COMPENSATED)
    store.start([new("other", name="shop.order", plan=PLAN)], nudge_after=1.0)
    found = {(each.name, each.plan_hash): each.count for each in store.open_sagas.groups()}
    template = store.load("open0")
    assert found == {(template.name, template.plan_hash): 4, ("shop.order", PLAN.hash): 1}


def test_their_ids_come_page_by_page_and_those_with_most_ahead_first(store, clock, monkeypatch):
    monkeypatch.setattr(open_sagas, "PAGE", 2)
    store.start([new(f"s{number}") for number in (3, 1, 2)], nudge_after=1.0)  # all at one moment
    clock.turn(1)
    for name, status in (("r2", SagaStatus.RUNNING), ("p", SagaStatus.FAILED), ("done", SagaStatus.COMPLETED)):
        moved(store, started(store, name), status=status)
        clock.turn(1)
    moved(store, started(store, "r1"), status=SagaStatus.RUNNING)
    state = store.load("s1")
    found = [*store.open_sagas.ids(OpenGroup(name=state.name, plan_hash=state.plan_hash, count=6))]
    assert found == ["r2", "r1", "p", "s1", "s2", "s3"]
    assert [*store.open_sagas.ids(OpenGroup(name=state.name, plan_hash="other", count=0))] == []


@pytest.mark.parametrize(
    ("status", "probe", "saga_status", "expected"),
    [
        (StepStatus.DISPATCHED, True, SagaStatus.RUNNING, {"charge"}),
        (StepStatus.DISPATCHED, False, SagaStatus.RUNNING, set()),
        (StepStatus.SUCCEEDED, True, SagaStatus.RUNNING, set()),
        (StepStatus.DISPATCHED, True, SagaStatus.COMPLETED, set()),
    ],
)
def test_steps_under_way_that_may_be_probed(store, status, probe, saga_status, expected):
    activity = Activity(message=Message(task="t"), policy=Policy(probe=probe))
    step = StepState(name="charge", status=status, action=activity)
    state = moved(store, started(store), status=saga_status, steps={("charge", 0): step})
    assert store.open_sagas.probed(OpenGroup(name=state.name, plan_hash=state.plan_hash, count=1)) == expected
