"""What the tables do not hold can not happen; what happened can be told again; and plans are what their text says."""

from dataclasses import replace

import pytest

from saga_celery.core import events as e
from saga_celery.core.evolve import IllegalFact, evolve
from saga_celery.core.lifecycle import SAGA_NOTES, SAGA_TABLE, STEP_NOTES, STEP_TABLE, UNPARKED
from saga_celery.core.plan import Plan, PlannedStep, StepKind
from saga_celery.core.retry import Retry
from saga_celery.core.states import (
    NEXT_MOVES,
    Activity,
    DeadLetter,
    Direction,
    Failure,
    Message,
    Policy,
    Reason,
    SagaState,
    SagaStatus,
    Slot,
    StepState,
    StepStatus,
    Turn,
    TurnKind,
)
from tests.core.stories import linear, plan

SLOT = Slot("a")
LETTER = DeadLetter(step="a", reason=Reason.EXHAUSTED)
SAMPLES = {
    "slot": SLOT,
    "order": 1,
    "items": 2,
    "message": None,
    "policy": Policy(),
    "attempt": 1,
    "epoch": 1,
    "worker": "w1",
    "failure": Failure(type="X"),
    "turn": Turn(kind=TurnKind.CANCEL),
    "letter": LETTER,
    "to": SagaStatus.RUNNING,
    "verb": e.Verb.CANCEL,
    "actor": "ada",
    "reason": "why",
    "note": "late",
    "wait": "approve",
    "event_id": "event-1",
    "from_step": "a",
    "generation": 2,
    "before": Message(task="a"),
    "after": Message(task="a"),
}
STEP_FACTS = e.StepFact.__args__
SAGA_FACTS = [fact for fact in e.SagaFact.__args__ if fact is not e.SagaUnparked]


def sample(kind):
    """A fact of this kind, with whatever it needs."""
    fields = kind.__dataclass_fields__
    return kind(**{name: SAMPLES[name] for name in fields if name in SAMPLES})


def with_step(status: StepStatus | None) -> SagaState:
    steps = {} if status is None else {("a", 0): StepState(name="a", status=status)}
    return SagaState(id="s1", name="law", plan_hash="x", status=SagaStatus.RUNNING, steps=steps)


@pytest.mark.parametrize("kind", STEP_FACTS)
@pytest.mark.parametrize("status", [None, *StepStatus])
def test_a_step_changes_as_the_table_says_and_not_otherwise(status, kind):
    state = with_step(status)
    if status in STEP_NOTES.get(kind, ()):
        assert evolve(state, sample(kind)).steps[("a", 0)].status is status
    elif (status, kind) in STEP_TABLE:
        assert evolve(state, sample(kind)).steps[("a", 0)].status is STEP_TABLE[(status, kind)]
    else:
        with pytest.raises(IllegalFact, match=kind.__name__):
            evolve(state, sample(kind))
    assert state == with_step(status)


@pytest.mark.parametrize("kind", SAGA_FACTS)
@pytest.mark.parametrize("status", SagaStatus)
def test_a_saga_changes_as_the_table_says_and_not_otherwise(status, kind):
    state = replace(with_step(None), status=status)
    if status in SAGA_NOTES.get(kind, ()):
        assert evolve(state, sample(kind)).status is status
    elif (status, kind) in SAGA_TABLE:
        assert evolve(state, sample(kind)).status is SAGA_TABLE[(status, kind)]
    else:
        with pytest.raises(IllegalFact, match=kind.__name__):
            evolve(state, sample(kind))
    assert state == replace(with_step(None), status=status)


@pytest.mark.parametrize("to", SagaStatus)
@pytest.mark.parametrize("status", SagaStatus)
def test_only_what_is_parked_is_taken_back(status, to):
    state = replace(with_step(None), status=status, letters=(LETTER,), parked_from=SagaStatus.RUNNING)
    fact = e.SagaUnparked(letter=LETTER, to=to)
    if status is SagaStatus.FAILED and to in UNPARKED:
        after = evolve(state, fact)
        assert (after.status, after.letters) == (to, ())
    else:
        with pytest.raises(IllegalFact, match="SagaUnparked"):
            evolve(state, fact)


def test_a_second_letter_keeps_where_the_saga_came_from():
    state = replace(with_step(None), status=SagaStatus.COMPENSATING)
    other = replace(LETTER, step="b")
    state = evolve(evolve(state, e.SagaParked(letter=LETTER)), e.SagaParked(letter=other))
    assert (state.parked_from, state.letters) == (SagaStatus.COMPENSATING, (LETTER, other))
    state = evolve(state, e.SagaUnparked(letter=LETTER, to=SagaStatus.FAILED))
    assert (state.parked_from, state.letters) == (SagaStatus.COMPENSATING, (other,))
    assert state.letter_for("b", 0, Direction.ACTION) == other
    assert state.letter_for("a", 0, Direction.ACTION) is None


def test_every_fact_has_its_name_and_every_reason_its_next_move():
    assert {kind.__name__: kind for kind in (*STEP_FACTS, *SAGA_FACTS, e.SagaUnparked)} == e.FACTS
    assert set(NEXT_MOVES) == set(Reason)
    assert all(NEXT_MOVES.values())
    for moves in NEXT_MOVES.values():
        assert {e.Verb(move) for move in moves}


def test_an_activity_that_was_never_rendered_has_the_generation_of_its_action():
    step = StepState(name="a", status=StepStatus.SCHEDULED, action=Activity(generation=3))
    assert step.slot(Direction.PROBE) == Slot("a", 0, Direction.PROBE, 3)


@pytest.mark.parametrize(
    "status", [SagaStatus.COMPLETED, SagaStatus.COMPENSATED, SagaStatus.FAILED], ids=lambda status: status.value
)
def test_three_statuses_are_ends(status):
    assert status.ended
    assert not SagaStatus.RUNNING.ended


class TestPlan:
    def test_the_text_gives_the_plan_again(self):
        wait = PlannedStep(name="w", kind=StepKind.WAIT)
        for each in (linear("a", "p", "b", pivot="p"), plan(("a", "b"), ("c",)), Plan(saga="w", steps=(wait,))):
            assert Plan.from_json(each.to_json()) == each
            assert Plan.from_json(each.to_json()).hash == each.hash

    def test_the_hash_is_the_same_on_every_machine_and_release(self):
        assert linear("a", "b", pivot="b").hash == "a8bc6bd95710b537cc85d07cb5113a71"

    @pytest.mark.parametrize(
        "other",
        [
            linear("a", "c"),
            linear("b", "a"),
            linear("a", "b", pivot="b"),
            linear("a", "b", keeps=("a",)),
            plan(("a", "b")),
            replace(linear("a", "b"), saga="another"),
        ],
    )
    def test_another_graph_has_another_hash(self, other):
        assert other.hash != linear("a", "b").hash

    def test_followers_are_all_that_comes_after(self):
        found = plan(("a",), ("b", "c"), ("d",)).followers
        assert found == {"a": {"b", "c", "d"}, "b": {"d"}, "c": {"d"}, "d": frozenset()}


class TestRetry:
    def test_counts_attempts(self):
        assert Retry(attempts=2).allows_another(1)
        assert not Retry(attempts=2).allows_another(2)

    @pytest.mark.parametrize("wrong", [{"attempts": 0}, {"delay": -1}, {"maximum": -1}])
    def test_refuses_what_can_not_be(self, wrong):
        with pytest.raises(ValueError, match="Retry"):
            Retry(**wrong)
