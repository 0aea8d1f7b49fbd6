"""States and facts come back as they went."""

import math
from dataclasses import dataclass

import pytest
from hypothesis import given

from saga_celery.core.events import FACTS, AttemptEnded, StepSucceeded
from saga_celery.core.retry import Retry
from saga_celery.core.states import Activity, Direction, Failure, Policy, Slot, StepState, StepStatus
from saga_celery.store import codec
from tests.store import examples


@given(examples.steps)
def test_a_step_survives(step):
    assert codec.from_json(StepState, codec.loads(codec.dumps(_by_hand(step)))) == step


def _by_hand(step):
    return codec.to_json(step)


@given(examples.facts())
def test_every_fact_survives(fact):
    assert codec.fact_from_json(codec.loads(codec.dumps(codec.fact_to_json(fact)))) == fact


def test_every_kind_of_fact_can_be_written_and_read():
    for kind in FACTS.values():
        assert codec.encoder(kind)
        assert codec.decoder(kind)


def test_what_is_empty_by_default_is_left_out():
    assert "worker" not in codec.to_json(Activity())
    assert codec.to_json(StepState(name="charge", status=StepStatus.FAILED))["status"] == "failed"


def test_what_most_rows_would_hold_is_left_out():
    assert codec.to_json(Policy()) == {}
    assert codec.to_json(Policy(retry=Retry(attempts=5))) == {
        "retry": {"attempts": 5, "delay": 1.0, "maximum": 300.0, "jitter": True}
    }
    assert codec.to_json(Slot("charge")) == ["charge"]
    assert codec.to_json(Slot("charge", 2)) == ["charge", 2]
    assert codec.to_json(Slot("charge", 0, Direction.PROBE)) == ["charge", 0, "probe"]
    assert codec.to_json(Slot("charge", generation=2)) == ["charge", 0, "action", 2]


def test_what_was_left_out_means_for_ever_what_it_meant():
    retry = Retry(attempts=3, delay=1.0, maximum=300.0, jitter=True)
    policy = Policy(retry=retry, timeout=300.0, queue_grace=30.0, settle_delay=5.0, needs_result=True)
    assert codec.from_json(Policy, {}) == policy
    assert codec.from_json(Activity, {}) == Activity(generation=1, policy=policy)
    told = {"fact": "StepSucceeded", "slot": ["charge"], "attempt": 1}
    assert codec.fact_from_json(told) == StepSucceeded(slot=Slot("charge"), attempt=1, by="worker")
    assert codec.from_json(Slot, ["charge"]) == Slot("charge", 0, Direction.ACTION, 1)


def test_a_default_that_changes_changes_nothing_that_is_stored(monkeypatch):
    @dataclass(frozen=True, kw_only=True)
    class Later:
        seconds: float = 60.0

    monkeypatch.setitem(codec.UNWRITTEN, Later, {"seconds": 300.0})
    assert codec.to_json(Later()) == {"seconds": 60.0}
    assert codec.to_json(Later(seconds=300.0)) == {}
    assert codec.from_json(Later, {}) == Later(seconds=300.0)


def test_false_is_kept_where_true_is_the_default():
    assert codec.from_json(Policy, codec.to_json(Policy(needs_result=False))).needs_result is False


def test_a_field_of_a_later_release_is_dropped():
    assert codec.from_json(Activity, {"attempt": 2, "colour": "red"}) == Activity(attempt=2)


def test_a_failure_may_hold_what_no_database_stores():
    failure = Failure(type="OSError", message="no file '\udcff\x00'")
    fact = AttemptEnded(slot=Slot("charge"), attempt=1, failure=failure)
    text = codec.facts_to_text([fact])
    assert text.encode()
    assert "\x00" not in text
    assert codec.fact_from_json(codec.loads(text)[0]) == fact


def test_nan_is_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        codec.dumps({"x": math.nan})
