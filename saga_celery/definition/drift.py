"""How the class of today differs from the plan of sagas that are open, and which of them that would strand."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial

from saga_celery.core.plan import Plan, StepKind
from saga_celery.core.states import Direction, SagaState, StepState, StepStatus
from saga_celery.definition.ahead import RESULT, Ahead, ahead, whole
from saga_celery.definition.definitions import Definition, Method
from saga_celery.definition.kinds import WORDS
from saga_celery.definition.renames import Names
from saga_celery.definition.shapes import Mismatch, Shape
from saga_celery.errors import DefinitionError

LONGEST = 400
"""Characters of a complaint about a stored value."""


class Kind(StrEnum):
    """In what the class of today differs. Down to `UNDECODABLE` they strand the sagas that need what is missing."""

    CLASS_GONE = "class_gone"
    STEP_GONE = "step_gone"
    KIND_CHANGED = "kind_changed"
    """What was a task is a wait now, or the like."""
    WAIT_GONE = "wait_gone"
    """What sagas wait for can not be sent any more."""
    COMPENSATION_GONE = "compensation_gone"
    PROBE_GONE = "probe_gone"
    RUN_TWICE = "run_twice"
    """Two planned steps would be run by one method."""
    RESULT_MISSING = "result_missing"
    """A method takes the result of a step that does not come before it in this plan."""
    UNDECODABLE = "undecodable"
    """A stored value does not fit the annotation of a method that will take it."""
    STEP_ADDED = "step_added"
    STEP_RENAMED = "step_renamed"
    COMPENSATION_ADDED = "compensation_added"
    PIVOT_MOVED = "pivot_moved"
    ORDER_CHANGED = "order_changed"


_HARMLESS = (Kind.STEP_ADDED, Kind.STEP_RENAMED, Kind.COMPENSATION_ADDED, Kind.PIVOT_MOVED, Kind.ORDER_CHANGED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference between a plan and the class of today."""

    kind: Kind
    step: str
    """As the plan calls it; of an added step its name of today; empty: the saga as a whole."""
    text: str
    fix: str = ""
    """What to do; empty where nothing has to be done."""
    sagas: int = 0
    """How many of those that were looked at would park because of it."""
    example: str = ""
    """The id of one of them."""

    @property
    def strands(self) -> bool:
        """An open saga would park because of it."""
        return self.sagas > 0 and self.kind not in _HARMLESS


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What was found out about the open sagas of one plan."""

    differences: tuple[Difference, ...]
    would_park: int = 0
    """How many of the sagas that were looked at, whatever for."""
    examined: int = 0
    """How many were looked at."""


def class_gone(name: str, count: int) -> Drift:
    """No class has the name of these sagas.

    Args:
        name: the name.
        count: how many they are.
    """
    gone = Difference(
        kind=Kind.CLASS_GONE,
        step="",
        text=f"no class of this app has the name {name!r}",
        fix=f"put it back until they have ended, or write renamed_from = {name!r} in the class that does its work now",
        sagas=count,
    )
    return Drift(differences=(gone,), would_park=count, examined=count)


def is_whole(plan: Plan, definition: Definition, probed: Iterable[str]) -> bool:
    """Tell whether the class of today has all that sagas of this plan could ever need.

    Args:
        plan: the plan.
        definition: the class of today.
        probed: steps that may have to be probed.
    """
    names = Names(definition=definition, plan=plan)
    probes = (Ahead(step, Direction.PROBE) for step in probed)
    return all(_missing(names, each) is None for each in (*whole(plan), *probes))


def drift(plan: Plan, definition: Definition, states: Iterable[SagaState], *, sample: int) -> Drift:
    """Compare a plan, and sagas that are pinned to it, with the class of today.

    Args:
        plan: the plan.
        definition: the class of today.
        states: the sagas to look at.
        sample: of how many of them the stored input and results are decoded.
    """
    names = Names(definition=definition, plan=plan)
    found: dict[tuple[Kind, str], Difference] = {}
    examined = would_park = 0
    for state in states:
        examined += 1
        troubles = {(each.kind, each.step): each for each in _troubles(names, state, decode=examined <= sample)}
        would_park += bool(troubles)
        for place, trouble in troubles.items():
            known = found.get(place, replace(trouble, example=state.id))
            found[place] = replace(known, sagas=known.sagas + 1)
    differences = (*found.values(), *_unneeded(names, found), *_added(names), *_changed(names))
    return Drift(differences=differences or (*_moved(names),), would_park=would_park, examined=examined)


# ------------------------------------------------------------------------------------------------------- what strands


def _troubles(names: Names, state: SagaState, *, decode: bool) -> Iterator[Difference]:
    for each in ahead(names.plan, state):
        missing = _missing(names, each)
        if missing is not None:
            yield missing
        elif decode and (method := _method(names, each)) is not None:
            yield from _undecodable(names, each, method, state)
    for step in state.steps.values():
        if step.status is StepStatus.AWAITING and (gone := _unanswerable(names, step.name)) is not None:
            yield gone


def _method(names: Names, wanted: Ahead) -> Method | None:
    if wanted == RESULT:
        return names.definition.result_method
    activity = names.today(wanted.step).activity(wanted.direction)
    return activity.method if activity else None


def _missing(names: Names, wanted: Ahead) -> Difference | None:
    """What the class of today lacks to render this."""
    step, direction = wanted
    try:
        method = _method(names, wanted)
    except DefinitionError as error:
        return _without_step(names, step, error)
    if method is None and wanted != RESULT:
        return _without_part(names, step, direction)
    if wanted != RESULT and direction is Direction.ACTION and (became := names.became(step)) is not None:
        return _of_another_kind(names, step, became)
    for name in method.takes if method else ():
        stored = names.stored(name)
        if not _comes_before(names.plan, stored, wanted):
            assert method is not None  # noqa: S101 - what takes something is there
            return Difference(
                kind=Kind.RESULT_MISSING,
                step=step,
                text=f"{method.label} takes the result of {name!r}, which in this plan does not come before it",
                fix=f"take {name!r} no more until they have ended, or give the changed saga a new class and name",
            )
    return None


def _without_step(names: Names, step: str, error: DefinitionError) -> Difference:
    if step in names.definition.former:
        return Difference(kind=Kind.RUN_TWICE, step=step, text=str(error), fix=f"put {step!r} back as a step")
    return Difference(
        kind=Kind.STEP_GONE,
        step=step,
        text=f"step {step!r} is gone",
        fix=f"put it back until they have ended, or write renamed_from={step!r} on the step that does its work now",
    )


def _of_another_kind(names: Names, step: str, became: StepKind) -> Difference:
    return Difference(
        kind=Kind.KIND_CHANGED,
        step=step,
        text=f"step {step!r} was {WORDS[names.plan.by_name[step].kind]} and is {WORDS[became]} now",
        fix=f"give what it is now another name, and put {step!r} back until they have ended",
    )


def _unanswerable(names: Names, step: str) -> Difference | None:
    """A wait that has begun needs no method any more, but somebody who can send its event."""
    if names.plan.by_name[step].kind is not StepKind.WAIT:
        return None
    try:
        if names.became(step) is None:
            return None
    except DefinitionError:
        pass  # there is no such step at all
    return Difference(
        kind=Kind.WAIT_GONE,
        step=step,
        text=f"the wait {step!r} is gone, so that nobody can send what these sagas wait for",
        fix=f"put it back until they have ended, or write renamed_from={step!r} on the wait that takes its place",
    )


def _without_part(names: Names, step: str, direction: Direction) -> Difference:
    kind = Kind.PROBE_GONE if direction is Direction.PROBE else Kind.COMPENSATION_GONE
    today = names.today(step)
    pivot = ", as it is the pivot or behind it now" if today.action.options.pivot else ""
    return Difference(
        kind=kind,
        step=step,
        text=f"the {direction} of {step!r} is gone{pivot}",
        fix="put it back until they have ended",
    )


def _comes_before(plan: Plan, stored: str, wanted: Ahead) -> bool:
    if stored not in plan.by_name:
        return False
    own = wanted.direction is Direction.COMPENSATION and stored == wanted.step
    return own or wanted == RESULT or wanted.step in plan.followers[stored]


# ------------------------------------------------------------------------------------------------------ stored values


def _undecodable(names: Names, wanted: Ahead, method: Method, state: SagaState) -> Iterator[Difference]:
    complaint = _complaint(method.input, state.input)
    if complaint:
        yield _unfit("", f"{method.label} can not read the stored input", complaint)
    for name, shape in method.takes.items():
        step = state.step(names.stored(name))
        if step is not None and _is_settled(step, wanted) and (complaint := _complaint(shape, step.result)):
            yield _unfit(wanted.step, f"{method.label} can not read the stored result of {step.name!r}", complaint)


def _unfit(step: str, what: str, complaint: str) -> Difference:
    return Difference(
        kind=Kind.UNDECODABLE,
        step=step,
        text=f"{what}: {complaint}",
        fix="widen the annotation (`old | new`, a default for a new field) until they have ended",
    )


def _is_settled(step: StepState, wanted: Ahead) -> bool:
    """Whether the result of a step, or that it has none, is what the method will get."""
    if step.status in (StepStatus.SUCCEEDED, StepStatus.SKIPPED):
        return True
    blindly = step.status in (StepStatus.GIVEN_UP, StepStatus.COMPENSATION_SCHEDULED)
    return blindly and wanted == Ahead(step.name, Direction.COMPENSATION)


def _complaint(shape: Shape, plain: object) -> str:
    try:
        shape.decode(plain)
    except Mismatch as error:
        return f"it {error}"[:LONGEST]
    return ""


# --------------------------------------------------------------------------------------------------- what is only told


def _unneeded(names: Names, needed: Container[tuple[Kind, str]]) -> Iterator[Difference]:
    """What is missing, but none of the sagas has ahead of it."""
    missing = {(each.kind, each.step): each for each in map(partial(_missing, names), whole(names.plan)) if each}
    for place, each in missing.items():
        if place not in needed:
            yield replace(each, text=f"{each.text}; none of these sagas needs it any more", fix="")


def _moved(names: Names) -> Iterator[Difference]:
    if names.definition.plan.steps != names.plan.steps:
        text = "the class has another order of steps; these sagas keep the one of their plan"
        yield Difference(kind=Kind.ORDER_CHANGED, step="", text=text)


def _added(names: Names) -> Iterator[Difference]:
    for name in names.definition.steps:
        if names.stored(name) not in names.plan.by_name:
            yield Difference(kind=Kind.STEP_ADDED, step=name, text=f"step {name!r} was added; only new sagas run it")


def _changed(names: Names) -> Iterator[Difference]:
    for planned in names.plan.steps:
        try:
            today = names.today(planned.name)
        except DefinitionError:
            continue  # told above, of the sagas that still need it
        if today.name != planned.name:
            text = f"step {planned.name!r} is {today.name!r} now and goes on under its old name"
            yield Difference(kind=Kind.STEP_RENAMED, step=planned.name, text=text)
        if today.action.options.pivot != planned.pivot:
            change = "ceased to be the pivot" if planned.pivot else "became the pivot"
            text = f"step {planned.name!r} {change}; these sagas keep the pivot of their plan"
            yield Difference(kind=Kind.PIVOT_MOVED, step=planned.name, text=text)
        if today.compensation is not None and not planned.compensable:
            text = f"the compensation of {planned.name!r} is new; these sagas never run it"
            yield Difference(kind=Kind.COMPENSATION_ADDED, step=planned.name, text=text)
