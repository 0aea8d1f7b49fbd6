"""Every fact of a history can be told."""

from hypothesis import given

from saga_celery.app.reading.sentences import sentence
from saga_celery.core import events as e
from saga_celery.core.states import DeadLetter, Direction, Failure, Reason, Slot, Turn, TurnKind
from tests.store import examples


@given(examples.facts())
def test_every_fact_is_one_printable_line(fact):
    told = sentence(fact)
    assert told
    assert "\n" not in told
    assert "\x1b" not in told


def test_what_a_person_did_is_told_with_the_reason():
    fact = e.OperatorActed(verb=e.Verb.SKIP, actor="ann", reason="paid by hand", step="charge")
    assert sentence(fact) == "ann asked for skip of charge: paid by hand"


def test_what_a_person_said_of_a_step_in_doubt_is_told():
    never = e.OperatorActed(
        verb=e.Verb.RESOLVE, actor="ann", reason="looked", step="charge", resolution=e.Resolution.NEVER
    )
    assert sentence(never) == "ann asked for resolve of charge as never: looked"


def test_a_compensation_in_doubt_is_in_doubt_whether_it_undid():
    slot = Slot("charge", 0, Direction.COMPENSATION)
    assert sentence(e.CompensationInDoubt(slot=slot)) == "charge in doubt: nobody knows whether it was undone"
    letter = DeadLetter(step="charge", direction=Direction.COMPENSATION, reason=Reason.IN_DOUBT, detail="w1 died")
    told = "saga FAILED, waits for a person: compensation of charge: nobody knows whether it was undone (w1 died)"
    assert sentence(e.SagaParked(letter=letter)) == told


def test_what_a_person_waived_is_not_said_to_be_undone():
    assert sentence(e.SagaCompensated()) == "saga COMPENSATED: everything that took effect is undone"
    told = sentence(e.SagaCompensated(waived=("b", "c[2]")))
    assert told.endswith("is undone, but not b, c[2], whose compensation a person skipped")


def test_an_attempt_is_told_with_its_error():
    slot = Slot("charge", 2, Direction.COMPENSATION)
    fact = e.AttemptEnded(slot=slot, attempt=3, failure=Failure(type="shop.Broken", message="no luck\nat all"))
    assert sentence(fact) == "compensation of charge[2], attempt 3 failed: shop.Broken: no luck"


def test_every_cause_has_its_words():
    turns = {
        TurnKind.CANCEL: "cancelled: why",
        TurnKind.ABORT: "charge aborted: why",
        TurnKind.FAILURE: "charge failed: why",
        TurnKind.DEADLINE: "the saga's time ran out",
    }
    for kind, words in turns.items():
        fact = e.SagaTurned(turn=Turn(kind=kind, reason="why", step="charge"))
        assert sentence(fact) == f"saga to turn round: {words}"
