"""What a person can do about a dead letter as its saga stands: whatever is named here is not refused."""

from __future__ import annotations

from typing import NamedTuple

from saga_celery.core.plan import Plan, StepKind
from saga_celery.core.states import NEXT_MOVES, DeadLetter, Direction, Reason, SagaState, SagaStatus, StepStatus


class Move(NamedTuple):
    """A verb, with what it has to be told beside its reason."""

    verb: str
    resolution: str = ""
    """What is said of a step in doubt."""
    result: bool = False
    """The result of the step goes with it."""


def next_moves(plan: Plan, state: SagaState, letter: DeadLetter) -> tuple[Move, ...]:
    """Everything that settles a dead letter, the likeliest first.

    Args:
        plan: the graph that the saga was started with.
        state: the saga.
        letter: one of its dead letters.
    """
    if letter.reason is Reason.IN_DOUBT:
        answered = letter.direction is Direction.ACTION and plan.by_name[letter.step].kind is not StepKind.WAIT
        done = Move("resolve", "done", result=answered)
        return (done, Move("resolve", "never"), *_plain(letter)[1:])
    return tuple(move for move in _plain(letter) if _is_possible(plan, state, letter, move.verb))


def verbs(moves: tuple[Move, ...]) -> tuple[str, ...]:
    """The verbs, each once."""
    return tuple(dict.fromkeys(move.verb for move in moves))


def behind_pivot(plan: Plan, state: SagaState) -> bool:
    """Tell whether the point of no return lies behind."""
    pivots = (state.step(planned.name) for planned in plan.steps if planned.pivot)
    return any(pivot is not None and pivot.status in _DONE for pivot in pivots)


_DONE = (StepStatus.SUCCEEDED, StepStatus.SKIPPED)


def _plain(letter: DeadLetter) -> tuple[Move, ...]:
    return tuple(Move(verb) for verb in NEXT_MOVES[letter.reason])


def _is_possible(plan: Plan, state: SagaState, letter: DeadLetter, verb: str) -> bool:
    """The saga's own result can not be passed over, and only a saga that goes forward before its pivot turns round."""
    if verb == "skip":
        return letter.step != ""
    return verb != "cancel" or _turns_round(plan, state)


def _turns_round(plan: Plan, state: SagaState) -> bool:
    going_back = state.parked_from is SagaStatus.COMPENSATING
    in_the_way = any(other.reason is not Reason.RENDER_FAILED for other in state.letters)
    return not (going_back or in_the_way or behind_pivot(plan, state))
