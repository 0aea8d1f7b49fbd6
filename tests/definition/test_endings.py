"""What `result()` raises: the whole story, as data that survives any border and as words for three in the morning."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery.backends.base import Backend
from celery.utils.serialization import ensure_serializable
from kombu.utils.json import dumps

from saga_celery.core.events import Fact, StepCompensated
from saga_celery.core.moves import Move
from saga_celery.core.states import (
    Activity,
    DeadLetter,
    Direction,
    Failure,
    Reason,
    SagaStatus,
    Slot,
    StepState,
    StepStatus,
    Turn,
    TurnKind,
)
from saga_celery.definition import HistoryEntry, Snapshot
from saga_celery.definition.endings import LONGEST_LINE, unsuccessful
from saga_celery.errors import Cause, ParkedStep, SagaCompensated, SagaFailed, SagaUnsuccessful, UndoneStep

THREE = datetime(2026, 1, 1, 3, 0, tzinfo=UTC)
DECLINED = Failure(type="billing.CardDeclined", message="no money\non it", traceback="Traceback: line 7", step="charge")


def step(name: str, status: StepStatus, **values: Any) -> StepState:
    return StepState(name=name, status=status, **values)


def saga(state: SagaStatus, *steps: StepState, **values: Any) -> Snapshot:
    return Snapshot(
        id="s1", name="shop.order", state=state, steps={(each.name, each.item): each for each in steps}, **values
    )


def moves(*of_each: str) -> tuple[tuple[Move, ...], ...]:
    """For each letter the moves that are possible: `retry skip`."""
    return tuple(tuple(Move(verb) for verb in verbs.split()) for verbs in of_each)


def undone(step: str, item: int = 0) -> Fact:
    return StepCompensated(slot=Slot(step, item, Direction.COMPENSATION), attempt=1)


def history(*facts: Fact) -> list[HistoryEntry]:
    return [
        HistoryEntry(version=number, at=THREE + timedelta(seconds=number), facts=(fact,))
        for number, fact in enumerate(facts, 1)
    ]


def compensated() -> SagaUnsuccessful:
    return unsuccessful(
        saga(
            SagaStatus.COMPENSATED,
            step("reserve", StepStatus.COMPENSATED),
            step("points", StepStatus.COMPENSATED, item=2),
            step("label", StepStatus.COMPENSATION_SKIPPED),
            step("charge", StepStatus.FAILED, action=Activity(attempt=5)),
            turn=Turn(kind=TurnKind.FAILURE, reason="CardDeclined: no money", step="charge", failure=DECLINED),
        ),
        history(undone("points", 2), undone("label"), undone("reserve")),
    )


def failed() -> SagaUnsuccessful:
    down = Activity(attempt=20, failure=Failure(type="billing.Down"))
    return unsuccessful(
        saga(
            SagaStatus.FAILED,
            step("reserve", StepStatus.SUCCEEDED),
            step("charge", StepStatus.COMPENSATION_EXHAUSTED, compensation=down),
            step("ship", StepStatus.FAILED, action=Activity(attempt=1)),
            turn=Turn(kind=TurnKind.ABORT, reason="refused by the boss", step="ship"),
            letters=(
                DeadLetter(
                    step="charge",
                    direction=Direction.COMPENSATION,
                    reason=Reason.COMPENSATION_EXHAUSTED,
                    detail="billing.Down: HTTP 503",
                ),
                DeadLetter(step="ship", item=3, reason=Reason.IN_DOUBT, detail="worker w1 died"),
            ),
            moves=(
                (Move("retry"), Move("skip")),
                (Move("resolve", "done", result=True), Move("resolve", "never"), Move("retry"), Move("skip")),
            ),
        ),
        history(),
    )


def test_an_undone_saga_tells_why_where_and_what_was_undone():
    error = compensated()

    assert isinstance(error, SagaCompensated)
    assert (error.saga_id, error.saga_name, error.step, error.attempts) == ("s1", "shop.order", "charge", 5)
    assert error.cause == Cause(
        kind="failure", type="billing.CardDeclined", message="no money\non it", traceback="Traceback: line 7"
    )
    assert error.undone == (
        UndoneStep(step="points", item=2, at=THREE + timedelta(seconds=1)),
        UndoneStep(step="reserve", at=THREE + timedelta(seconds=3)),
    ), "in their order, and what an operator passed over is not among them"
    assert (error.letters, error.next_moves) == ((), ())
    assert str(error) == (
        "saga shop.order s1 was undone: step 'charge' failed after 5 attempts: billing.CardDeclined: no money\n"
        "  undone: points[2] (03:00:01), reserve (03:00:03)\n"
        "  more: celery -A <your app> saga show s1"
    )


def test_a_parked_saga_tells_what_waits_and_what_to_press():
    error = failed()

    assert isinstance(error, SagaFailed)
    assert error.cause == Cause(kind="abort", message="refused by the boss")
    assert (error.step, error.attempts, error.undone) == ("ship", 1, ())
    assert error.letters[0] == ParkedStep(
        step="charge",
        direction="compensation",
        reason="compensation_exhausted",
        detail="billing.Down: HTTP 503",
        attempts=20,
        moves=("retry", "skip"),
    )
    assert error.letters[1].attempts == 0, "of an item that is not there"
    assert error.next_moves == ("retry", "skip", "resolve")
    assert str(error) == (
        "saga shop.order s1 waits for a person: step 'ship' aborted it: refused by the boss\n"
        "  waits: compensation of charge, compensation_exhausted: billing.Down: HTTP 503\n"
        "    next: celery -A <your app> saga retry s1 --step charge --reason '…'\n"
        "    or: celery -A <your app> saga skip s1 --step charge --reason '…'\n"
        "  waits: ship[3], in_doubt: worker w1 died\n"
        "    next: celery -A <your app> saga resolve s1 --step 'ship[3]' --as done --result '…' --reason '…'\n"
        "    or: celery -A <your app> saga resolve s1 --step 'ship[3]' --as never --reason '…'\n"
        "    or: celery -A <your app> saga retry s1 --step 'ship[3]' --reason '…'\n"
        "    or: celery -A <your app> saga skip s1 --step 'ship[3]' --reason '…'\n"
        "  more: celery -A <your app> saga show s1"
    )


@pytest.mark.parametrize(
    ("turn", "sentence"),
    [
        (Turn(kind=TurnKind.CANCEL, reason="wrong address"), "was undone: cancelled: wrong address"),
        (Turn(kind=TurnKind.REQUEST, reason="recall"), "was undone: it was complete, and undone on request: recall"),
        (Turn(kind=TurnKind.DEADLINE, reason="the saga's time ran out"), "was undone: the saga's time ran out"),
        (Turn(kind=TurnKind.FAILURE, reason="r", step="a"), "was undone: step 'a' failed after 1 attempt: r"),
        (None, "was undone: no cause is known"),
    ],
)
def test_every_turn_has_its_sentence(turn: Turn | None, sentence: str):
    a = step("a", StepStatus.FAILED, action=Activity(attempt=1))
    assert str(unsuccessful(saga(SagaStatus.COMPENSATED, a, turn=turn), [])).splitlines()[0].endswith(sentence)


def test_without_a_turn_the_first_dead_letter_is_the_cause():
    letter = DeadLetter(step="ship", reason=Reason.EXHAUSTED, detail="billing.CardDeclined: no money")
    ship = step("ship", StepStatus.EXHAUSTED, action=Activity(attempt=3, failure=DECLINED))
    error = unsuccessful(saga(SagaStatus.FAILED, ship, letters=(letter,), moves=moves("retry skip")), [])
    assert (error.cause.kind, error.cause.type, error.cause.traceback) == (
        "exhausted",
        "billing.CardDeclined",
        "Traceback: line 7",
    )
    assert "waits for a person: step 'ship' exhausted after 3 attempts: billing.CardDeclined: no money\n" in str(error)


def test_code_of_the_saga_that_raised_is_told_with_its_traceback():
    letter = DeadLetter(step="", reason=Reason.RENDER_FAILED, detail="KeyError: 'id'\nTraceback\n  line 3")
    error = unsuccessful(saga(SagaStatus.FAILED, letters=(letter,), moves=moves("retry cancel")), [])
    assert error.cause == Cause(kind="render_failed", message="KeyError: 'id'", traceback="Traceback\n  line 3")
    assert "its result render_failed: KeyError: 'id'\n  waits: result, render_failed: KeyError: 'id'\n" in str(error)
    assert "saga cancel s1 --reason" in str(error)


def test_a_step_that_took_effect_again_after_its_undoing_counts_where_it_was_undone_last():
    twice = saga(SagaStatus.COMPENSATED, step("a", StepStatus.COMPENSATED), step("b", StepStatus.COMPENSATED))
    error = unsuccessful(twice, history(undone("a"), undone("b"), undone("a")))
    assert [each.step for each in error.undone] == ["b", "a"]


def test_texts_of_others_stay_on_one_short_line():
    turn = Turn(kind=TurnKind.CANCEL, reason="\x1b[31mred " + "x" * 1000)
    line = str(unsuccessful(saga(SagaStatus.COMPENSATED, turn=turn), [])).splitlines()[0]
    assert "\x1b" not in line
    assert len(line) < LONGEST_LINE + 80


@pytest.mark.parametrize("make", [compensated, failed])
def test_it_crosses_the_borders_of_processes(make: Any):
    error = make()
    pickled = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    as_json = json.loads(dumps(ensure_serializable(error.args, dumps)))
    from_backend = Backend.exception_to_python(
        Backend.__new__(Backend),
        {"exc_type": type(error).__name__, "exc_message": as_json, "exc_module": type(error).__module__},
    )
    for copy in (pickled, from_backend):
        assert type(copy) is type(error)
        assert str(copy) == str(error)
        for name in ("saga_id", "saga_name", "cause", "step", "attempts", "undone", "letters", "next_moves"):
            assert getattr(copy, name) == getattr(error, name)


def test_a_message_alone_will_do():
    error = SagaFailed("no more is known")
    assert (str(error), error.saga_id, error.cause, error.undone, error.letters) == (
        "no more is known",
        "",
        None,
        (),
        (),
    )
