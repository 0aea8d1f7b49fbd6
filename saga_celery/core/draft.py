"""A decision while it is being made: the state so far, the facts that led there, and the commands that follow."""

from __future__ import annotations

from dataclasses import dataclass

from saga_celery.core import events as e
from saga_celery.core.commands import Command, Render, RenderResult, Rest, Send, Settle, StartChild, TurnChild, Watch
from saga_celery.core.copies import replace
from saga_celery.core.evolve import evolve
from saga_celery.core.plan import Plan
from saga_celery.core.states import (
    DeadLetter,
    Direction,
    Reason,
    SagaState,
    SagaStatus,
    Slot,
    StepState,
)
from saga_celery.core.steps import Steps


class NotAllowed(Exception):
    """The state does not allow what an operator asked for; nothing was recorded."""


class Outdated(NotAllowed):
    """The saga has moved since the operator looked at it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the machine made of a piece of news."""

    state: SagaState
    facts: tuple[e.Fact, ...]
    commands: tuple[Command, ...]


class Draft:
    """Collects facts and commands; every fact changes `state` at once, so that later rules see it."""

    def __init__(self, plan: Plan, state: SagaState) -> None:
        self.plan = plan
        self.state = state if isinstance(state.steps, Steps) else replace(state, steps=Steps(state.steps))
        self.facts: list[e.Fact] = []
        self._slots: dict[tuple[str, int, Direction], Send | Watch | Rest | Settle] = {}
        self._render_result = False
        self._renders: dict[Slot, Render] = {}
        self._to_children: list[StartChild | TurnChild] = []

    def record(self, fact: e.Fact) -> None:
        """Take a fact down and apply it."""
        self.state = evolve(self.state, fact)
        self.facts.append(fact)

    def command(self, command: Send | Watch | Rest | Settle) -> None:
        """Ask for something about an activity; only the latest wish about each one counts."""
        slot = command.slot
        self._slots[(slot.step, slot.item, slot.direction)] = command

    def to_child(self, command: StartChild | TurnChild) -> None:
        """Ask for something about a child saga."""
        self._to_children.append(command)

    def render(self, slot: Slot) -> None:
        """Ask for the message of an activity; suspended, for nothing but the compensation that a success stores."""
        if not self.state.suspended or slot.direction is Direction.COMPENSATION:
            self._renders[slot] = Render(slot=slot)

    def render_result(self) -> None:
        """Ask for the result of the saga."""
        self._render_result = True

    def park(self, letter: DeadLetter) -> None:
        """Put the saga into the dead letters, once for each activity and each effect that came late."""
        if not self.state.has_letter(letter):
            self.record(e.SagaParked(letter=letter))

    def unpark(self, letter: DeadLetter) -> None:
        """Take a dead letter back; the saga goes on where it stood when none is left."""
        onward = self.state.parked_from or SagaStatus.RUNNING
        others = [other for other in self.state.letters if other != letter]
        self.record(e.SagaUnparked(letter=letter, to=SagaStatus.FAILED if others else onward))

    @property
    def steps(self) -> Steps:
        """The steps as they are now, to be looked for by status."""
        return Steps.of(self.state.steps)

    def step(self, slot: Slot) -> StepState | None:
        """The step that a slot belongs to, as it is now."""
        return self.state.step(slot.step, slot.item)

    def decision(self) -> Decision:
        """Everything that was decided."""
        renders: list[Command] = list(self._renders.values())
        if self._render_result:
            renders.append(RenderResult())
        return Decision(
            state=self.state, facts=tuple(self.facts), commands=(*self._slots.values(), *self._to_children, *renders)
        )


def letter(slot: Slot, reason: Reason, detail: str) -> DeadLetter:
    """A dead letter about an activity."""
    step, item, direction, generation = slot
    return DeadLetter(step=step, item=item, direction=direction, generation=generation, reason=reason, detail=detail)
