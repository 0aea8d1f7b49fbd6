"""A small language for tests of the machine: `story(plan).given(…).when(…).expect(…)`.

A story answers the machine's wishes for messages as the coordinator would, so that a test tells only what is
special. What the machine recorded last is `facts`, what it asked for is `commands`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from saga_celery.core import events as e
from saga_celery.core.commands import Command, Render, RenderResult
from saga_celery.core.evolve import evolve
from saga_celery.core.machine import decide
from saga_celery.core.plan import Plan, PlannedStep, StepKind
from saga_celery.core.retry import Retry
from saga_celery.core.states import (
    Activity,
    Direction,
    Failure,
    Message,
    Policy,
    SagaState,
    SagaStatus,
    Slot,
    StepState,
    StepStatus,
    step_label,
)

ACTION, COMPENSATION, PROBE = Direction.ACTION, Direction.COMPENSATION, Direction.PROBE
ONCE = Policy(retry=Retry(attempts=1))
"""One attempt, and not safe to run twice."""
TWICE = Policy(retry=Retry(attempts=2), resend=True)
"""Two attempts, safe to repeat."""

FATAL = Failure(type="shop.Refused")
MISHAP = Failure(type="builtins.OSError", message="unplugged")

Told = Callable[["Story"], e.News]


def linear(*names: str, pivot: str = "", keeps: tuple[str, ...] = (), **kinds: StepKind) -> Plan:
    """Steps one after the other; those in `keeps`, the pivot, and what waits have no compensation."""
    return plan(*((name,) for name in names), pivot=pivot, keeps=keeps, **kinds)


def plan(*layers: tuple[str, ...], pivot: str = "", keeps: tuple[str, ...] = (), **kinds: StepKind) -> Plan:
    """Layers of steps that run side by side; each is a task, unless its kind is given."""
    steps: list[PlannedStep] = []
    before: tuple[str, ...] = ()
    for layer in layers:
        for name in layer:
            kind = kinds.get(name, StepKind.TASK)
            compensable = name not in (pivot, *keeps) and kind in (StepKind.TASK, StepKind.CHILD)
            steps.append(PlannedStep(name=name, after=before, kind=kind, pivot=name == pivot, compensable=compensable))
        before = layer
    return Plan(saga="story", steps=tuple(steps))


def story(plan: Plan, **policies: Policy) -> Story:
    """Begin a story.

    Args:
        plan: the graph.
        policies: by step name, or by `step_compensation` and `step_probe`; else two attempts, safe to repeat.
    """
    return Story(plan, policies)


class Story:
    def __init__(self, plan: Plan, policies: dict[str, Policy]) -> None:
        self.plan = plan
        self.policies = policies
        self.state = SagaState(id="s1", name=plan.saga, plan_hash=plan.hash, input={"order": 7})
        self.answers: dict[Any, Callable[[Slot | None], e.News]] = {}
        self.history: list[e.Fact] = []
        self.facts: tuple[e.Fact, ...] = ()
        self.commands: tuple[Command, ...] = ()

    # ------------------------------------------------------------------------------------------------- given, when

    def given(self, *news: e.News | Told) -> Story:
        """What happened before."""
        for each in (e.Nudged(), *news) if self.state.status is SagaStatus.PENDING else news:
            self._take(each)
        return self

    def when(self, news: e.News | Told) -> Story:
        """What happens now."""
        self._take(news)
        return self

    def where(self, step: str, direction: Direction = ACTION, answer: Any = None) -> Story:
        """How the saga's code answers from now on: a `Failure` is raised, a text aborts, None is SKIP, a policy just
        waits, `...` is well."""
        key = (step, direction)
        match answer:
            case Failure():
                self.answers[key] = lambda slot: e.RenderFailed(slot=slot if step else None, failure=answer)
            case str():
                self.answers[key] = lambda slot: e.RenderAborted(slot=_of(slot), reason=answer)
            case Policy():
                self.answers[key] = lambda slot: e.WaitRendered(slot=_of(slot), policy=answer)
            case None:
                self.answers[key] = lambda slot: e.Rendered(slot=_of(slot), message=None, policy=Policy())
            case _:
                self.answers.pop(key)
        return self

    def fans_out(self, step: str, items: int, policy: Policy = TWICE) -> Story:
        """The step returns a list of this length."""
        messages = tuple(Message(task=f"{step}.action", args=(number,)) for number in range(1, items + 1))

        def answer(slot: Slot | None) -> e.News:
            found = _of(slot)
            if found.item:
                return e.Rendered(slot=found, message=messages[found.item - 1], policy=policy)
            return e.FanOutRendered(slot=found, messages=messages, policy=policy)

        self.answers[(step, ACTION)] = answer
        return self

    # ------------------------------------------------------------------------------------------------------ expect

    def expect(self, *facts: type[Any] | e.Fact) -> Story:
        """Exactly these facts, each by its kind or in full."""
        kinds = [fact if isinstance(fact, type) else type(fact) for fact in facts]
        assert [type(found).__name__ for found in self.facts] == [kind.__name__ for kind in kinds]
        for found, fact in zip(self.facts, facts, strict=True):
            assert isinstance(fact, type) or found == fact
        return self

    def nothing(self) -> Story:
        """No facts, and the state as it was."""
        return self.expect()

    def asks(self, *commands: type[Any] | Command) -> Story:
        """At least these commands."""
        for wanted in commands:
            if isinstance(wanted, type):
                assert any(isinstance(command, wanted) for command in self.commands), self.commands
            else:
                assert wanted in self.commands, self.commands
        return self

    def ends(self, status: SagaStatus, **steps: StepStatus) -> Story:
        """Where the saga, and steps of it, stand; and the history tells the same."""
        assert self.state.status is status, self.state
        for name, expected in steps.items():
            assert self.status(name) is expected, self.state.steps
        folded = SagaState(id="s1", name=self.plan.saga, plan_hash=self.plan.hash, input={"order": 7})
        for fact in self.history:
            folded = evolve(folded, fact)
        assert folded == self.state
        return self

    def letters(self, *expected: tuple[str, Any]) -> Story:
        """The dead letters: step and reason of each."""
        found = [(step_label(letter.step, letter.item), letter.reason) for letter in self.state.letters]
        assert found == list(expected)
        return self

    def undone(self) -> list[str]:
        """The steps whose compensation was sent, in that order."""
        return [
            step_label(fact.slot.step, fact.slot.item)
            for fact in self.history
            if isinstance(fact, e.CompensationDispatched)
        ]

    def out(self, step: str, status: StepStatus = StepStatus.DISPATCHED) -> list[int]:
        """The items of a step that are under way, or stand in another status."""
        return [each.item for each in self.state.steps.values() if (each.name, each.status) == (step, status)]

    def step(self, name: str) -> StepState:
        """A step by its name, or an item of a fan-out: `reserve[2]`."""
        step, _, item = name.partition("[")
        found = self.state.step(step, int(item.rstrip("]") or 0))
        assert found is not None, f"{name} has not begun"
        return found

    def status(self, name: str) -> StepStatus:
        return self.step(name).status

    # ------------------------------------------------------------------------------------------------------- inside

    def _take(self, told: e.News | Told) -> None:
        news = told(self) if callable(told) else told
        self.facts, self.commands = (), ()
        wishes = self._decide(news)
        while wishes:
            wish = wishes.pop(0)
            wishes += [more for more in self._decide(self._answer(wish)) if more not in wishes]
        self.history += self.facts

    def _decide(self, news: e.News) -> list[Command]:
        decision = decide(self.plan, self.state, news)
        self.state = decision.state
        self.facts += decision.facts
        self.commands += decision.commands
        return [command for command in decision.commands if isinstance(command, Render | RenderResult)]

    def _answer(self, wish: Command) -> e.News:
        slot = wish.slot if isinstance(wish, Render) else None
        key = (slot.step, slot.direction) if slot else ("", ACTION)
        if key in self.answers:
            return self.answers[key](slot)
        if slot is None:
            return e.ResultRendered(result="the result")
        name = slot.step if slot.direction is ACTION else f"{slot.step}_{slot.direction}"
        message = Message(
            task=f"{slot.step}.{slot.direction}", kwargs={"result": self.state.steps[(slot.step, slot.item)].result}
        )
        return e.Rendered(slot=slot, message=message, policy=self.policies.get(name, TWICE))


def _of(slot: Slot | None) -> Slot:
    assert slot is not None
    return slot


# ------------------------------------------------------------------------------------------------------------- the news


def _activity(at: Story, step: str, direction: Direction) -> tuple[Slot, Activity]:
    found = at.step(step)
    return found.slot(direction), found.activity(direction)


def done(step: str, result: Any = None, *, direction: Direction = ACTION, attempt: int | None = None) -> Told:
    """An activity took effect; the attempt is the latest unless told otherwise."""

    def tell(at: Story) -> e.News:
        slot, activity = _activity(at, step, direction)
        return e.AttemptSucceeded(slot=slot, attempt=attempt or activity.attempt, result=result)

    return tell


def undone(step: str, *, attempt: int | None = None) -> Told:
    return done(step, direction=COMPENSATION, attempt=attempt)


def fails(
    step: str,
    failure: Failure = FATAL,
    *,
    direction: Direction = ACTION,
    attempt: int | None = None,
    took_effect: bool = False,
    retry_after: float | None = None,
    counts: bool = True,
) -> Told:
    def tell(at: Story) -> e.News:
        slot, activity = _activity(at, step, direction)
        return e.AttemptFailed(
            slot=slot,
            attempt=attempt or activity.attempt,
            failure=failure,
            took_effect=took_effect,
            retry_after=retry_after,
            counts=counts,
        )

    return tell


def lost(step: str, *, direction: Direction = ACTION, attempt: int | None = None) -> Told:
    def tell(at: Story) -> e.News:
        slot, activity = _activity(at, step, direction)
        return e.AttemptLost(slot=slot, attempt=attempt or activity.attempt, reason="worker w1 died")

    return tell


def starts(
    step: str, worker: str = "w1", *, direction: Direction = ACTION, attempt: int | None = None, **more: bool
) -> Told:
    def tell(at: Story) -> e.News:
        slot, activity = _activity(at, step, direction)
        return e.AttemptStarted(slot=slot, attempt=attempt or activity.attempt, worker=worker, **more)

    return tell


def rested(step: str, direction: Direction = ACTION) -> Told:
    return lambda at: e.RestOver(slot=at.step(step).slot(direction))


def answers(step: str, verdict: e.Verdict, result: Any = None, *, attempt: int | None = None) -> Told:
    def tell(at: Story) -> e.News:
        slot, activity = _activity(at, step, PROBE)
        return e.ProbeAnswered(slot=slot, attempt=attempt or activity.attempt, verdict=verdict, result=result)

    return tell


def asks(
    verb: e.Verb, step: str = "", resolution: e.Resolution | None = None, result: Any = None, **more: Any
) -> e.OperatorAsked:
    return e.OperatorAsked(
        verb=verb, actor="ada", reason="she knows", step=step, resolution=resolution, result=result, **more
    )


def undo_exhausted() -> Story:
    """A compensation failed for good."""
    return story(linear("a", "b"), b=ONCE, a_compensation=ONCE).given(
        done("a"), fails("b"), fails("a", direction=COMPENSATION)
    )


def undo_in_doubt() -> Story:
    """Nobody knows what became of a compensation."""
    return story(linear("a", "b"), b=ONCE, a_compensation=ONCE).given(
        done("a"), fails("b"), lost("a", direction=COMPENSATION)
    )
