"""Each hole that a barrier must close, by its name, on each database and with real rivals."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from saga_celery.app.barrier import bar
from saga_celery.engine.failures import failure_of
from saga_celery.errors import (
    ActionSuppressed,
    BarrierMisused,
    MessageOutOfDate,
    ResultRejected,
    SlotForgotten,
    StoredFailure,
)
from saga_celery.store.barrier import crossings
from saga_celery.store.barrier.passage import Passage
from saga_celery.store.barrier.table import purge_barrier, saga_barrier
from tests.barrier.participant import PATIENCE, Gate, Participant


class CardDeclined(Exception):
    """No retry mends it."""


class Hiccup(Exception):
    """The next attempt may succeed."""


def fails(error: Exception) -> Any:
    def work(session: Session) -> None:
        Participant.write_into(session, "half done")
        raise error

    return work


# ----------------------------------------------------------------------------------------------------------- duplicates


def test_a_duplicate_is_answered_with_the_stored_result(participant: Participant) -> None:
    first = participant.deliver(participant.action, participant.write(result={"seat": [7, "A"]}))
    again = participant.deliver(participant.passage(attempt=2), participant.write(result="other"))
    assert first == again == {"seat": [7, "A"]}
    assert participant.effects == ["booked"]


def test_a_duplicate_that_runs_at_once_waits_for_the_first_and_gets_its_result(participant: Participant) -> None:
    gate = Gate(participant.write(result=1))
    first = participant.at_once(participant.action, gate)
    gate.wait_until_reached()
    second = participant.at_once(participant.action, participant.write(result=2))
    participant.wait_until_blocked()
    gate.open()
    assert (first.result(PATIENCE), second.result(PATIENCE)) == (1, 1)
    assert participant.effects == ["booked"]


def test_a_duplicate_runs_when_the_first_rolls_back(participant: Participant) -> None:
    gate = Gate(participant.write("lost"), end=Hiccup())
    first = participant.at_once(participant.action, gate)
    gate.wait_until_reached()
    second = participant.at_once(participant.action, participant.write(result=2))
    participant.wait_until_blocked()
    gate.open()
    assert isinstance(first.exception(PATIENCE), Hiccup)
    assert second.result(PATIENCE) == 2
    assert participant.effects == ["booked"]


def test_three_inserters_of_which_the_first_rolls_back(participant: Participant) -> None:
    """InnoDB answers one of the two that wait with a deadlock."""
    gate = Gate(participant.write("lost"), end=Hiccup())
    first = participant.at_once(participant.action, gate)
    gate.wait_until_reached()
    others = [participant.at_once(participant.action, participant.write(result=n)) for n in range(4)]
    participant.wait_until_blocked()
    gate.open()
    assert isinstance(first.exception(PATIENCE), Hiccup)
    assert len({other.result(PATIENCE) for other in others}) == 1
    assert participant.effects == ["booked"]


# ------------------------------------------------------------------------------------------------ hanging, compensation


def test_empty_compensation_runs_nothing(participant: Participant) -> None:
    assert participant.deliver(participant.compensation, participant.write("undone", result=1)) is None
    assert participant.effects == []
    assert participant.slots == {("action", 1): "barred", ("compensation", 1): "done"}


def test_hanging_action_is_suppressed_for_ever_and_is_no_success(participant: Participant) -> None:
    participant.deliver(participant.compensation, participant.write("undone"))
    for attempt in (1, 99):
        with pytest.raises(ActionSuppressed):
            participant.deliver(participant.passage(attempt=attempt), participant.write())
    assert participant.effects == []


def test_compensation_waits_for_a_running_action_and_undoes_it(participant: Participant) -> None:
    gate = Gate(participant.write())
    action = participant.at_once(participant.action, gate)
    gate.wait_until_reached()
    compensation = participant.at_once(participant.compensation, participant.write("undone"))
    participant.wait_until_blocked()
    gate.open()
    action.result(PATIENCE), compensation.result(PATIENCE)
    assert participant.effects == ["booked", "undone"]


def test_compensation_of_an_action_that_rolls_back_meanwhile_is_empty(participant: Participant) -> None:
    gate = Gate(participant.write(), end=Hiccup())
    action = participant.at_once(participant.action, gate)
    gate.wait_until_reached()
    compensation = participant.at_once(participant.compensation, participant.write("undone"))
    participant.wait_until_blocked()
    gate.open()
    assert isinstance(action.exception(PATIENCE), Hiccup)
    assert compensation.result(PATIENCE) is None
    assert participant.effects == []
    with pytest.raises(ActionSuppressed):
        participant.deliver(participant.action, participant.write())


def test_action_that_meets_a_running_compensation_is_suppressed(participant: Participant) -> None:
    """The compensation holds the action's slot, and the action waits for its commit."""
    with participant.session() as session:
        holder = participant.hold(session, participant.compensation)
        action = participant.at_once(participant.action, participant.write())
        participant.wait_until_blocked()
        holder.commit()
    assert isinstance(action.exception(PATIENCE), ActionSuppressed)
    assert participant.effects == []


def test_action_and_compensation_at_once_leave_nothing_done_and_not_undone(participant: Participant) -> None:
    for generation in range(1, 21):
        action = participant.at_once(participant.passage(generation=generation), participant.write("+"))
        passage = participant.passage(participant.compensation.slot.direction, generation=generation)
        participant.at_once(passage, participant.write("-")).result(PATIENCE)
        assert isinstance(action.exception(PATIENCE), ActionSuppressed | None)
    assert participant.effects.count("+") == participant.effects.count("-")


def test_duplicate_compensation_undoes_once(participant: Participant) -> None:
    participant.deliver(participant.action, participant.write())
    gate = Gate(participant.write("undone", result="refund-1"))
    first = participant.at_once(participant.compensation, gate)
    gate.wait_until_reached()
    second = participant.at_once(participant.compensation, participant.write("undone", result="refund-2"))
    participant.wait_until_blocked()
    gate.open()
    assert (first.result(PATIENCE), second.result(PATIENCE)) == ("refund-1", "refund-1")
    assert participant.effects == ["booked", "undone"]


def test_compensation_that_fails_is_run_again_even_when_the_failure_is_fatal(participant: Participant) -> None:
    participant.deliver(participant.action, participant.write())
    with pytest.raises(CardDeclined):
        participant.deliver(participant.compensation, fails(CardDeclined()), fatal=(CardDeclined,))
    participant.deliver(participant.compensation, participant.write("undone"), fatal=(CardDeclined,))
    assert participant.effects == ["booked", "undone"]


def test_compensation_of_an_action_that_failed_for_good_runs_nothing(participant: Participant) -> None:
    with pytest.raises(CardDeclined):
        participant.deliver(participant.action, fails(CardDeclined()), fatal=(CardDeclined,))
    assert participant.deliver(participant.compensation, participant.write("undone")) is None
    assert participant.effects == []


def test_generations_are_separate(participant: Participant) -> None:
    second = participant.passage(generation=2)
    participant.deliver(participant.compensation, participant.write("undone"))
    assert participant.deliver(second, participant.write(result=2)) == 2
    assert participant.slots == {("action", 1): "barred", ("compensation", 1): "done", ("action", 2): "done"}


def test_a_second_compensation_looks_at_the_action_that_it_is_about(participant: Participant) -> None:
    direction = participant.compensation.slot.direction
    participant.deliver(participant.action, participant.write())
    participant.deliver(participant.compensation, participant.write("undone"))
    participant.deliver(participant.passage(direction, generation=2, action_generation=1), participant.write("undone"))
    assert participant.effects == ["booked", "undone", "undone"]


# ------------------------------------------------------------------------------------------------------------- failures


def test_retryable_failure_rolls_back_and_the_next_attempt_runs(participant: Participant) -> None:
    with pytest.raises(Hiccup):
        participant.deliver(participant.action, fails(Hiccup()), fatal=(CardDeclined,))
    assert (participant.effects, participant.slots) == ([], {})
    assert participant.deliver(participant.passage(attempt=2), participant.write(result=2)) == 2


def test_business_failure_is_stored_without_effects_and_raised_again(participant: Participant) -> None:
    with pytest.raises(CardDeclined):
        participant.deliver(participant.action, fails(CardDeclined("no cover")), fatal=(CardDeclined,))
    with pytest.raises(StoredFailure, match="no cover") as again:
        participant.deliver(participant.passage(attempt=2), participant.write())
    assert again.value.saga_failure_type.endswith("CardDeclined")
    assert {"CardDeclined", again.value.saga_failure_type, "Exception"} <= set(again.value.saga_failure_types)
    assert participant.effects == []


@pytest.mark.parametrize("name", ["CardDeclined", f"{CardDeclined.__module__}.CardDeclined", "Exception"])
def test_fatal_takes_names_as_a_step_does(participant: Participant, name: str) -> None:
    with pytest.raises(CardDeclined):
        participant.deliver(participant.action, fails(CardDeclined()), fatal=(name,))
    assert participant.slots == {("action", 1): "failed"}


@pytest.mark.parametrize("result", [object(), float("nan"), {1: {2, object()}}, "x" * 1_048_577])
def test_result_that_can_not_be_stored_rolls_the_effect_back(participant: Participant, result: Any) -> None:
    with pytest.raises(ResultRejected):
        participant.deliver(participant.action, participant.write(result=result))
    assert (participant.effects, participant.slots) == ([], {})


# -------------------------------------------------------------------------------------------------- probe and tombstone


def test_probe_that_answers_never_bars_the_slot(participant: Participant) -> None:
    assert participant.deliver(participant.probe, lambda _: None) is None
    with pytest.raises(ActionSuppressed):
        participant.deliver(participant.action, participant.write())


def test_probe_that_knows_its_attempt_lets_later_ones_pass(participant: Participant) -> None:
    participant.deliver(participant.passage(participant.probe.slot.direction, action_attempt=2), lambda _: None)
    for attempt in (1, 2):
        with pytest.raises(ActionSuppressed):
            participant.deliver(participant.passage(attempt=attempt), participant.write())
    assert participant.deliver(participant.passage(attempt=3), participant.write(result=3)) == 3
    assert participant.deliver(participant.passage(attempt=1), participant.write()) == 3
    assert participant.effects == ["booked"]


def test_compensation_closes_what_a_probe_left_open(participant: Participant) -> None:
    participant.deliver(participant.passage(participant.probe.slot.direction, action_attempt=2), lambda _: None)
    participant.deliver(participant.compensation, participant.write("undone"))
    with pytest.raises(ActionSuppressed):
        participant.deliver(participant.passage(attempt=3), participant.write())
    assert participant.effects == []


def test_probe_after_the_compensation_does_not_loosen_its_bar(participant: Participant) -> None:
    participant.deliver(participant.compensation, participant.write("undone"))
    probe = participant.passage(participant.probe.slot.direction, action_attempt=2)
    assert participant.deliver(probe, lambda _: None) is None
    with participant.session() as session:
        assert bar(session, delivery=probe)
    with pytest.raises(ActionSuppressed):
        participant.deliver(participant.passage(attempt=3), participant.write())


def test_later_probe_bars_later_attempts(participant: Participant) -> None:
    for attempt in (2, 4, 3):
        probe = participant.passage(participant.probe.slot.direction, action_attempt=attempt)
        participant.deliver(probe, lambda _: None)
    with pytest.raises(ActionSuppressed):
        participant.deliver(participant.passage(attempt=4), participant.write())
    assert participant.deliver(participant.passage(attempt=5), participant.write(result=5)) == 5


def test_probe_that_found_something_leaves_no_trace(participant: Participant) -> None:
    assert participant.deliver(participant.probe, lambda _: "charge-1") == "charge-1"
    assert participant.slots == {}


def test_probe_waits_for_a_running_action(participant: Participant) -> None:
    gate = Gate(participant.write(result="charge-1"))
    action = participant.at_once(participant.action, gate)
    gate.wait_until_reached()
    probe = participant.at_once(participant.probe, lambda _: participant.effects or None)
    participant.wait_until_blocked()
    gate.open()
    assert action.result(PATIENCE) == "charge-1"
    assert probe.result(PATIENCE) == ["booked"]


def test_probe_that_misses_a_committed_effect_is_put_right(participant: Participant) -> None:
    participant.deliver(participant.action, participant.write(result="charge-1"))
    assert participant.deliver(participant.probe, lambda _: None) == "charge-1"


def test_probe_that_misses_an_effect_without_result_raises_rather_than_say_never(participant: Participant) -> None:
    participant.deliver(participant.action, participant.write(result=None))
    with pytest.raises(BarrierMisused, match="found"):
        participant.deliver(participant.probe, lambda _: None)


def test_bar_settles_an_unknown_outcome(participant: Participant) -> None:
    with participant.session() as session:
        assert bar(session, delivery=participant.probe)
        assert bar(session, delivery=participant.probe)
    with pytest.raises(ActionSuppressed):
        participant.deliver(participant.action, participant.write())


def test_bar_tells_that_the_action_took_effect(participant: Participant) -> None:
    participant.deliver(participant.action, participant.write())
    with participant.session() as session:
        assert not bar(session, delivery=participant.probe)
    assert participant.slots == {("action", 1): "done"}


# ----------------------------------------------------------------------------------------- the end of an attempt


def ended(participant: Participant, passage: Passage, error: Exception) -> bool:
    """What the wrapper of a task does when an attempt has failed."""
    with participant.session() as session:
        return crossings.end_attempt(participant.crossing(session, passage), failure_of(error))


def test_a_copy_of_an_attempt_that_failed_gets_its_failure(participant: Participant) -> None:
    """However long it slept in the broker: the saga may have turned round on that failure."""
    assert ended(participant, participant.passage(attempt=2), Hiccup("no line"))
    for attempt in (1, 2):
        with pytest.raises(StoredFailure, match="no line") as again:
            participant.deliver(participant.passage(attempt=attempt), participant.write())
        assert again.value.saga_failure_type.endswith("Hiccup")
    assert participant.deliver(participant.compensation, participant.write("undone")) is None
    assert participant.effects == []


def test_the_next_attempt_runs_and_answers_for_all(participant: Participant) -> None:
    ended(participant, participant.action, Hiccup())
    assert participant.deliver(participant.passage(attempt=2), participant.write(result=2)) == 2
    assert participant.deliver(participant.action, participant.write("late")) == 2
    assert not ended(participant, participant.action, Hiccup())
    assert participant.effects == ["booked"]


def test_a_failed_attempt_stays_ended_when_the_next_one_is_rolled_back(participant: Participant) -> None:
    ended(participant, participant.action, Hiccup("first"))
    with pytest.raises(Hiccup):
        participant.deliver(participant.passage(attempt=2), fails(Hiccup("second")))
    with pytest.raises(StoredFailure, match="first"):
        participant.deliver(participant.action, participant.write())


def test_late_word_of_an_earlier_failure_loosens_no_bar(participant: Participant) -> None:
    ended(participant, participant.passage(attempt=3), Hiccup("third"))
    assert not ended(participant, participant.action, Hiccup("first"))
    with pytest.raises(StoredFailure, match="third"):
        participant.deliver(participant.passage(attempt=3), participant.write())


def test_compensation_closes_what_failures_left_open(participant: Participant) -> None:
    ended(participant, participant.action, Hiccup())
    participant.deliver(participant.compensation, participant.write("undone"))
    assert not ended(participant, participant.passage(attempt=2), Hiccup())
    for attempt in (1, 3):
        with pytest.raises(ActionSuppressed):
            participant.deliver(participant.passage(attempt=attempt), participant.write())
    assert participant.effects == []


def test_the_end_of_an_attempt_waits_for_a_copy_that_runs(participant: Participant) -> None:
    gate = Gate(participant.write(result=1))
    copy = participant.at_once(participant.action, gate)
    gate.wait_until_reached()
    end = participant.threads.submit(ended, participant, participant.action, Hiccup())
    participant.wait_until_blocked()
    gate.open()
    assert (copy.result(PATIENCE), end.result(PATIENCE)) == (1, False)
    assert participant.slots == {("action", 1): "done"}


def test_the_end_of_an_attempt_does_not_hide_an_effect_that_was_purged(participant: Participant) -> None:
    participant.deliver(participant.action, participant.write())
    purge_barrier(participant.engine, timedelta(0))
    assert not ended(participant, participant.passage(attempt=2), Hiccup())
    with pytest.raises(SlotForgotten):
        participant.deliver(participant.compensation, participant.write("undone"))


# ------------------------------------------------------------------------------------------------------- time and purge


def test_action_after_not_after_is_refused_and_a_younger_copy_of_it_runs(participant: Participant) -> None:
    late = participant.passage(not_after=datetime(2001, 1, 1, tzinfo=UTC))
    with pytest.raises(MessageOutOfDate, match="out of date") as refused:
        participant.deliver(late, participant.write())
    assert refused.value.saga_outcome_unknown
    assert (participant.effects, participant.slots) == ([], {})
    assert participant.deliver(participant.passage(not_after=_hence(1)), participant.write(result=1)) == 1


@pytest.mark.parametrize("direction", ["compensation", "probe"])
def test_only_an_action_can_come_too_late(participant: Participant, direction: str) -> None:
    participant.deliver(participant.action, participant.write())
    late = replace(getattr(participant, direction), not_after=datetime(2001, 1, 1, tzinfo=UTC))
    assert participant.deliver(late, participant.write("ran", result=1)) == 1


def test_action_before_not_after_runs_and_a_late_copy_gets_its_result(participant: Participant) -> None:
    assert participant.deliver(participant.passage(not_after=_hence(1)), participant.write(result=1)) == 1
    late = participant.passage(not_after=datetime(2001, 1, 1, tzinfo=UTC))
    assert participant.deliver(late, participant.write(result=2)) == 1


def test_purge_forgets_only_what_no_message_can_come_for(participant: Participant) -> None:
    participant.deliver(participant.passage(generation=1), participant.write())
    participant.deliver(participant.passage(generation=2, not_after=_hence(1)), participant.write())
    participant.deliver(participant.passage(generation=3), participant.write())
    participant.deliver(participant.passage(generation=3, not_after=_hence(1)), participant.write())
    assert purge_barrier(participant.engine, timedelta(hours=1)) == 0
    assert purge_barrier(participant.engine, timedelta(0)) == 2
    assert ("action", 2) in participant.slots


def test_a_copy_with_a_later_not_after_keeps_the_slot_longer(participant: Participant) -> None:
    """The second attempt's message lives longer than the first one's, whose row it is answered from."""
    soon, late = _hence(0.0001), _hence(1)
    participant.deliver(participant.passage(not_after=_hence(0.5)), participant.write())
    participant.deliver(participant.passage(attempt=2, not_after=late), participant.write())
    with participant.engine.connect() as connection:
        kept = connection.scalar(sa.select(saga_barrier.c.not_after))
    assert kept is not None
    assert kept > soon
    assert abs(kept - late) < timedelta(milliseconds=1)


def test_a_slot_that_is_taken_anew_is_kept_for_the_later_message(participant: Participant) -> None:
    late = _hence(1)
    ended(participant, participant.passage(not_after=_hence(0.5)), Hiccup())
    participant.deliver(participant.passage(attempt=2, not_after=late), participant.write())
    with participant.engine.connect() as connection:
        kept = connection.scalar(sa.select(saga_barrier.c.not_after))
    assert kept is not None
    assert abs(kept - late) < timedelta(milliseconds=1)


def test_compensation_after_a_purge_is_not_taken_for_an_empty_one(participant: Participant) -> None:
    participant.deliver(participant.action, participant.write())
    purge_barrier(participant.engine, timedelta(0))
    with pytest.raises(SlotForgotten):
        participant.deliver(participant.compensation, participant.write("undone"))
    assert participant.slots.keys() == {("purged", 0)}


def test_compensation_of_a_saga_younger_than_the_purge_may_be_empty(participant: Participant) -> None:
    purge_barrier(participant.engine, timedelta(0))
    young = participant.passage(participant.compensation.slot.direction, saga_id=_saga_id_at(_hence(1)))
    assert participant.deliver(young, participant.write("undone")) is None


def _hence(hours: float) -> datetime:
    return datetime.now(UTC) + timedelta(hours=hours)  # noqa: TID251 - compared with the database's own time


def _saga_id_at(time: datetime) -> str:
    stamp = f"{int(time.timestamp() * 1000):012x}"
    return f"{stamp[:8]}-{stamp[8:]}-7000-8000-000000000000"


# --------------------------------------------------------------------------------------------------------- what is kept


def test_what_is_kept_is_plain_json(participant: Participant) -> None:
    participant.deliver(participant.action, participant.write(result={"text": "h\x00é😀", "none": None}))
    with participant.engine.connect() as connection:
        kept = connection.scalar(sa.select(saga_barrier.c.result))
    assert json.loads(kept or "") == {"text": "h\x00é😀", "none": None}
