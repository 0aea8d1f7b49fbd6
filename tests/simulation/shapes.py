"""Random sagas: a graph, and for each step how its messages are treated and how its participant behaves.

Some steps wait, for an event or for a time, and some run another saga.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto
from random import Random  # noqa: TID251 - every draw of a simulated world comes from its seed

from saga_celery.core.plan import Plan, PlannedStep, StepKind
from saga_celery.core.retry import Retry
from saga_celery.core.states import Policy


class Seat(Enum):
    """What the worker of a step has."""

    IN_PLACE = auto()
    """The saga database: it claims attempts and stores outcomes itself."""
    REPORTING = auto()
    """Only the broker: it tells what happens, and may not be heard."""
    FOREIGN = auto()
    """No saga code: links tell that it ended."""


@dataclass(frozen=True, kw_only=True)
class StepShape:
    """A step, and the odds of what its code and its participant do."""

    planned: PlannedStep
    action: Policy
    compensation: Policy
    seat: Seat
    fails: float
    fatal: float
    unstorable: float
    """Odds of an effect whose result can not be stored."""
    compensation_fails: float
    skips: bool
    void: bool
    """The compensation renders to SKIP."""
    aborts: bool
    asks: bool = False
    """Of a wait: a task asks for the event."""
    events: tuple[float, ...] = ()
    """Of a wait: when somebody answers it, in seconds from the start."""
    child: SagaShape | None = None
    items: int | None = None
    """How long the list is that the code returns; None: it returns one message."""

    @property
    def kind(self) -> StepKind:
        return self.planned.kind

    @property
    def keyed(self) -> bool:
        """The participant runs the action once per key."""
        return self.action.resend


@dataclass(frozen=True, kw_only=True)
class SagaShape:
    """A saga."""

    plan: Plan
    steps: dict[str, StepShape]
    deadline: float | None

    def all(self) -> Iterator[SagaShape]:
        """The saga, and those within it."""
        yield self
        for step in self.steps.values():
            if step.child is not None:
                yield from step.child.all()


def random_shape(
    rng: Random, lists: Random, name: str = "simulated", depth: int = 0, *, may_pivot: bool = True
) -> SagaShape:
    """One to six steps in layers of up to three that run side by side; at most one pivot.

    Args:
        rng: what everything is drawn from.
        lists: and what from, which steps return lists.
        name: of the saga.
        depth: how many sagas it lies in.
        may_pivot: a saga that its parent may have to undo has no pivot.
    """
    names = [f"s{number}" for number in range(rng.randint(1, 3 if depth else 6))]
    pivot = rng.choice(names) if may_pivot and rng.random() < 0.4 else None
    luck = rng.choice((0.0, 0.0, 0.05, 0.15))
    shapes: list[StepShape] = []
    layer: list[str] = []
    before: tuple[str, ...] = ()
    behind_pivot = False
    for step in names:
        if layer and (len(layer) == 3 or rng.random() < 0.65):
            behind_pivot = behind_pivot or pivot in layer
            before, layer = tuple(layer), []
        layer.append(step)
        made = _step(rng, step, before, pivot=step == pivot, behind=behind_pivot, luck=luck)
        shapes.append(_of_some_kind(rng, lists, made, f"{name}.{step}", depth, behind=behind_pivot))
    plan = Plan(saga=name, steps=tuple(shape.planned for shape in shapes))
    deadline = rng.uniform(1, 90) if rng.random() < 0.2 else None
    fanned = [_fanned(lists, shape) if lists.random() < 0.15 else shape for shape in shapes]
    return SagaShape(plan=plan, steps={shape.planned.name: shape for shape in fanned}, deadline=deadline)


def _fanned(rng: Random, shape: StepShape) -> StepShape:
    """The same step with a list of messages; a pivot has none, and no list can be asked."""
    if shape.planned.pivot or shape.kind is not StepKind.TASK:
        return shape
    limit = rng.choice((None, 1, 2, 3))
    return replace(shape, items=rng.choice((0, 1, 2, 3, 5)), action=replace(shape.action, probe=False, limit=limit))


def _of_some_kind(rng: Random, lists: Random, step: StepShape, child: str, depth: int, *, behind: bool) -> StepShape:
    drawn = rng.random()
    planned = step.planned
    if drawn < 0.08 and not planned.pivot:
        return _wait(rng, step)
    if drawn < 0.12 and not planned.pivot:
        length = replace(step.action, wait=rng.uniform(0, 20))
        return replace(step, planned=replace(planned, kind=StepKind.SLEEP, compensable=False), action=length)
    if drawn < 0.22 and depth < 2:
        of_child = replace(planned, kind=StepKind.CHILD, compensable=not (behind or planned.pivot))
        inner = random_shape(rng, lists, child, depth + 1, may_pivot=behind or planned.pivot)
        return replace(step, planned=of_child, child=inner, void=False)
    return step


def _wait(rng: Random, step: StepShape) -> StepShape:
    policy = replace(
        step.action,
        wait=rng.choice((5.0, 30.0, 120.0)),
        skippable=rng.random() < 0.3,
        resend=True,
        probe=False,
        null_safe=False,
    )
    return replace(
        step,
        planned=replace(step.planned, kind=StepKind.WAIT, compensable=False),
        action=policy,
        asks=rng.random() < 0.4,
        seat=Seat.IN_PLACE,
        unstorable=0.0,
        events=tuple(rng.uniform(0, 60) for _ in range(rng.choice((0, 1, 1, 1, 2)))),
    )


def _step(rng: Random, name: str, after: tuple[str, ...], *, pivot: bool, behind: bool, luck: float) -> StepShape:
    compensable = not behind and not pivot and rng.random() < 0.9
    keyed = rng.random() < 0.55
    seat = rng.choices(list(Seat), weights=(6, 2, 1))[0] if keyed else Seat.IN_PLACE
    null_safe = compensable and rng.random() < 0.3
    return StepShape(
        planned=PlannedStep(name=name, after=after, pivot=pivot, compensable=compensable),
        action=Policy(
            retry=Retry(attempts=rng.randint(1, 4), delay=rng.uniform(0.1, 3)),
            timeout=rng.choice((8.0, 20.0, 40.0)),
            queue_grace=rng.choice((3.0, 10.0)),
            settle_delay=2.0,
            resend=keyed,
            null_safe=null_safe,
            needs_result=not null_safe and rng.random() < 0.7,
            probe=rng.random() < 0.3,
            fatal=("Fatal",),
        ),
        compensation=Policy(
            retry=Retry(attempts=rng.randint(2, 5), delay=rng.uniform(0.1, 3)),
            timeout=20.0,
            queue_grace=5.0,
            resend=null_safe or seat is not Seat.IN_PLACE or rng.random() < 0.7,
            fatal=("Fatal",),
        ),
        seat=seat,
        fails=rng.choice((0.0, 0.1, 0.5)) if luck else 0.0,
        fatal=luck,
        unstorable=0.03 if rng.random() < 0.2 else 0.0,
        compensation_fails=rng.choice((0.0, 0.0, 0.2)),
        skips=rng.random() < 0.05,
        void=rng.random() < 0.05,
        aborts=rng.random() < (0.04 if luck else 0.0),
    )
