"""What of an open saga has yet to be rendered, held against what the machine really asks for."""

from dataclasses import replace

import pytest

from saga_celery.core import events as e
from saga_celery.core.plan import Plan, PlannedStep
from saga_celery.core.states import (
    Activity,
    Direction,
    Message,
    Policy,
    SagaState,
    SagaStatus,
    StepState,
    StepStatus,
    Turn,
    TurnKind,
)
from saga_celery.definition.ahead import RESULT, Ahead, ahead, whole
from tests.core.stories import FATAL, asks, done, fails, linear, lost, plan, story, undone

S = StepStatus
A, UNDO_A, ASK_A = (Ahead("a", direction) for direction in Direction)
B, UNDO_B = Ahead("b", Direction.ACTION), Ahead("b", Direction.COMPENSATION)
PLAN = linear("a", "b")
SENT = Activity(message=Message(task="t"))


def state(*steps, **values):
    return SagaState(
        **{"id": "s1", "name": "story", "plan_hash": PLAN.hash, "status": SagaStatus.RUNNING}
        | {"steps": {(step.name, step.item): step for step in steps}}
        | values
    )


def step(status, name="a", **values):
    return StepState(name=name, status=status, **values)


@pytest.mark.parametrize("status", [SagaStatus.PENDING, SagaStatus.RUNNING])
def test_all_is_ahead_of_what_has_not_begun(status):
    assert [*ahead(PLAN, state(status=status))] == [A, UNDO_A, B, UNDO_B, RESULT]
    assert [*whole(PLAN)] == [A, UNDO_A, B, UNDO_B, RESULT]


@pytest.mark.parametrize(
    ("status", "values", "expected"),
    [
        (S.SCHEDULED, {}, [A, UNDO_A]),
        (S.DISPATCHED, {}, [UNDO_A]),
        (S.DISPATCHED, {"action": Activity(policy=Policy(probe=True))}, [ASK_A, UNDO_A]),
        (S.PROBING, {"action": Activity(policy=Policy(probe=True)), "probe": SENT}, [UNDO_A]),
        (S.IN_DOUBT, {}, [UNDO_A]),
        (S.SUCCEEDED, {}, [UNDO_A]),
        (S.SUCCEEDED, {"compensation": SENT}, []),
        (S.SUCCEEDED, {"compensation": Activity(void=True)}, []),
        (S.SKIPPED, {}, []),
    ],
)
def test_a_step_needs_what_is_not_rendered_yet(status, values, expected):
    running = state(step(status, **values))
    assert [*ahead(PLAN, running)] == [*expected, B, UNDO_B, RESULT]
    turned = replace(running, turn=Turn(kind=TurnKind.CANCEL), status=SagaStatus.COMPENSATING)
    assert [*ahead(PLAN, turned)] == [each for each in expected if each != A and status is not S.SCHEDULED]


@pytest.mark.parametrize(
    ("status", "values", "expected"),
    [
        (S.GIVEN_UP, {}, [UNDO_A]),
        (S.COMPENSATION_SCHEDULED, {}, [UNDO_A]),
        (S.COMPENSATION_SCHEDULED, {"compensation": SENT}, []),
        (S.COMPENSATING, {"compensation": SENT}, []),
        (S.COMPENSATED, {"compensation": SENT}, []),
        (S.FAILED, {}, []),
    ],
)
def test_on_the_way_back(status, values, expected):
    back = state(step(status, **values), status=SagaStatus.COMPENSATING, turn=Turn(kind=TurnKind.FAILURE))
    assert [*ahead(PLAN, back)] == expected
    parked = replace(back, status=SagaStatus.FAILED, parked_from=SagaStatus.COMPENSATING)
    assert [*ahead(PLAN, parked)] == expected


def test_what_can_not_be_undone_has_no_compensation_ahead():
    kept = Plan(saga="story", steps=(PlannedStep(name="a"),))
    assert [*ahead(kept, state())] == [A, RESULT]
    assert [*ahead(kept, state(step(S.SUCCEEDED)))] == [RESULT]


def test_items_of_a_fan_out_count_once():
    items = [step(S.SUCCEEDED, item=item, compensation=SENT if item == 1 else None) for item in (0, 1, 2)]
    assert [*ahead(linear("a"), state(*items))] == [UNDO_A, RESULT]


def test_a_pivot_in_flight_may_call_the_turn_off():
    beside = plan(("a", "b"), pivot="b")
    turned = state(
        step(S.CANCELLED), step(S.DISPATCHED, "b", action=SENT), turn=Turn(kind=TurnKind.CANCEL, reason="why")
    )
    assert [*ahead(beside, turned)] == [A, UNDO_A, RESULT]


@pytest.mark.parametrize(
    "news",
    [
        (done("a"), done("b")),
        (done("a"), fails("b"), undone("a")),
        (fails("a"),),
        (lost("a"), lost("a")),
        (done("a"), asks(e.Verb.CANCEL), done("b"), undone("b"), undone("a")),
        (done("a"), fails("b", FATAL), undone("a")),
    ],
)
def test_the_machine_never_asks_for_what_was_not_said_to_be_ahead(news, monkeypatch):
    told = story(PLAN)
    real = told._answer

    def answer(wish):
        slot = getattr(wish, "slot", None)
        asked.append(Ahead(slot.step, slot.direction) if slot else RESULT)
        return real(wish)

    monkeypatch.setattr(told, "_answer", answer)
    for each in (e.Nudged(), *news):
        asked: list[Ahead] = []
        foreseen = set(ahead(PLAN, told.state))
        told.when(each)
        assert set(asked) <= foreseen
