"""The history in sentences: one for each fact."""

from __future__ import annotations

from typing import assert_never

from saga_celery.app.reading import words
from saga_celery.app.reading.excerpt import data, excerpt, first_line
from saga_celery.core import events as e
from saga_celery.core.states import DeadLetter, Failure, Slot, Turn, TurnKind


def sentence(fact: e.Fact) -> str:
    """What a fact says, in words."""
    return _of_step(fact) if isinstance(fact, e.StepFact) else _of_saga(fact)


def failure_line(failure: Failure | None) -> str:
    """An error on one line; nothing when there is none."""
    if failure is None:
        return ""
    return excerpt(f"{failure.type}: {first_line(failure.message)}" if failure.message else failure.type)


def cause(turn: Turn) -> str:
    """Why a saga turned round."""
    match turn.kind:
        case TurnKind.FAILURE:
            why = failure_line(turn.failure) or first_line(turn.reason)
            return f"{words.step_label(turn.step, turn.item)} failed: {why}"
        case TurnKind.ABORT:
            return f"{turn.step} aborted: {first_line(turn.reason)}"
        case TurnKind.CANCEL:
            return f"cancelled: {first_line(turn.reason)}"
        case TurnKind.DEADLINE:
            return "the saga's time ran out"
        case TurnKind.REQUEST:
            return f"undone on request: {first_line(turn.reason)}"
        case _:
            assert_never(turn.kind)


# ---------------------------------------------------------------------------------------------------------------- saga


def _of_saga(fact: e.SagaFact) -> str:
    match fact:
        case e.SagaStarted():
            return "saga taken up"
        case e.SagaTurned():
            return f"saga to turn round: {cause(fact.turn)}"
        case e.TurnDropped():
            return "the pivot succeeded meanwhile, so the saga goes forward all the same"
        case e.SagaCompensating():
            return "saga goes backward"
        case e.SagaCompensated():
            return f"saga COMPENSATED: everything that took effect is undone{_but(fact.waived)}"
        case e.SagaCompleted():
            return f"saga COMPLETED{_with_result(fact.result)}"
        case e.SagaParked():
            return f"saga FAILED, waits for a person: {_letter(fact.letter)}"
        case e.SagaUnparked():
            return f"dead letter of {_place(fact.letter)} settled: saga is {fact.to.value}"
        case e.EffectAfterEnd():
            return f"dead letter: {_letter(fact.letter)}{_with_result(fact.letter.result)}"
        case e.LetterDismissed():
            return f"dead letter of {_place(fact.letter)} dismissed"
        case e.SagaOverdue():
            return "overdue: the saga's time ran out behind the pivot; it goes on"
        case e.SagaSuspended():
            return "saga suspended: nothing is sent until it is resumed"
        case e.SagaResumed():
            return "saga resumed"
        case e.SagaRerun():
            return f"saga runs again from {excerpt(fact.from_step)} on"
        case e.OperatorActed():
            asked = f"{fact.verb.value}{_at(fact.step)}{_as(fact)}"
            return f"{excerpt(fact.actor)} asked for {asked}: {excerpt(fact.reason)}"
        case e.EventKept():
            came = f"event {excerpt(fact.event_id)}{_from(fact.actor)} came early for {excerpt(fact.wait)}"
            return f"{came}, kept{_with_result(fact.payload)}"
        case e.NewsIgnored() if not fact.slot.step:
            return excerpt(fact.note)
        case e.NewsIgnored():
            return f"{_attempt(fact.slot, fact.attempt)}: {excerpt(fact.note)}{_because(fact.failure)}"
        case _:
            assert_never(fact)


def _place(letter: DeadLetter) -> str:
    return words.activity_label(Slot(letter.step, letter.item, letter.direction))


def _letter(letter: DeadLetter) -> str:
    detail = first_line(letter.detail)
    return f"{_place(letter)}: {words.reason(letter)}{f' ({detail})' if detail else ''}"


# ---------------------------------------------------------------------------------------------------------------- step


def _of_step(fact: e.StepFact) -> str:
    label = words.activity_label(fact.slot)
    step = words.step_label(fact.slot.step, fact.slot.item)
    match fact:
        case e.StepScheduled():
            return f"{label}: its turn has come"
        case e.StepFannedOut():
            return f"{label} became a list of {fact.items}"
        case e.ItemQueued():
            return f"{label}: message for {excerpt(fact.message.task)} stored"
        case e.FanOutUndone():
            return f"{step}: nothing of its list stands any more"
        case e.ActivityRendered():
            return f"{label}: {_stored(fact)}"
        case e.StepSkipped():
            return f"{label} skipped by {excerpt(fact.by)}{_with_result(fact.result)}"
        case e.StepDispatched() | e.CompensationDispatched() | e.ProbeDispatched():
            return f"{_attempt(fact.slot, fact.attempt)} sent"
        case e.StepAwaiting():
            return f"{label} waits"
        case e.AttemptClaimed():
            return f"{_attempt(fact.slot, fact.attempt)} begun by {excerpt(fact.worker)}"
        case e.AttemptEnded():
            how = _how(fact)
            return f"{_attempt(fact.slot, fact.attempt)} {how}{_because(fact.failure)}"
        case e.RetryScheduled() | e.CompensationRetryScheduled():
            return f"{label} rests before its next attempt"
        case e.ProbeScheduled():
            return f"{step}: outcome unknown, its probe will be asked"
        case e.StepSucceeded():
            return f"{_attempt(fact.slot, fact.attempt)} done{_late(fact)}{_by(fact.by)}{_with_result(fact.result)}"
        case e.StepFailed():
            return f"{label} failed for good and took no effect{_because(fact.failure)}"
        case e.StepGivenUp():
            return f"{label} given up: it may have taken effect and will be undone{_because(fact.failure)}"
        case e.StepCancelled():
            return f"{label} called off before it began"
        case e.StepInDoubt():
            return f"{label} in doubt: nobody knows whether it took effect"
        case e.CompensationInDoubt():
            return f"{step} in doubt: nobody knows whether it was undone"
        case e.StepExhausted():
            return f"{label} used up its attempts behind the pivot"
        case e.CompensationScheduled():
            return f"{label}: its turn has come"
        case e.StepCompensated():
            return f"{step} undone{_by(fact.by)}"
        case e.CompensationExhausted():
            return f"{label} failed for good"
        case e.EffectRepeated():
            return f"{_attempt(fact.slot, fact.attempt)}: took effect as well{_with_result(fact.result)}"
        case e.EffectRuledOut():
            return f"{step}: took no effect, its probe found twice"
        case e.CompensationSkipped():
            return f"{step}: nothing to undo, said {excerpt(fact.by)}"
        case e.StepReopened():
            return f"{label} to be run again, as generation {fact.slot.generation}"
        case e.ResultReplaced():
            return f"{step}: result replaced by {excerpt(fact.by)}{_with_result(fact.result)}"
        case e.InputEdited():
            return f"{label}: {_edited(fact)}"
        case _:
            assert_never(fact)


def _edited(fact: e.InputEdited) -> str:
    """Which arguments, not what they are: values may be nobody's business."""
    before, after = fact.before, fact.after
    changed = [*(["list of arguments"] if before.args != after.args else []), *map(excerpt, fact.changed)]
    return f"to be run as generation {fact.slot.generation} with another {', '.join(changed) or 'key'}"


def _stored(fact: e.ActivityRendered) -> str:
    if fact.waived_by:
        return f"waived by {excerpt(fact.waived_by)}, nothing will be run"
    return f"message for {excerpt(fact.message.task)} stored" if fact.message else "nothing to run"


def _attempt(slot: Slot, attempt: int) -> str:
    label = words.activity_label(slot)
    return f"{label}, attempt {attempt}" if attempt else label


def _how(fact: e.AttemptEnded) -> str:
    if fact.lost:
        return "ended without an outcome"
    return "failed" if fact.counted else "asked for a rest, which uses up no attempt"


def _late(fact: e.StepSucceeded) -> str:
    return ", late" if fact.late else ""


def _by(actor: str) -> str:
    return "" if actor == "worker" else f", said {excerpt(actor)}"


def _from(actor: str) -> str:
    return f" from {excerpt(actor)}" if actor else ""


def _at(step: str) -> str:
    return f" of {excerpt(step)}" if step else ""


def _as(fact: e.OperatorActed) -> str:
    return f" as {fact.resolution.value}" if fact.resolution else ""


def _but(waived: tuple[str, ...]) -> str:
    return f", but not {', '.join(map(excerpt, waived))}, whose compensation a person skipped" if waived else ""


def _because(failure: Failure | None) -> str:
    line = failure_line(failure)
    return f": {line}" if line else ""


def _with_result(result: object) -> str:
    return "" if result is None else f", result {data(result)}"
