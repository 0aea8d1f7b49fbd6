"""Reading: from what stands between the brackets of `saga_chain(…)` to steps, one behind or beside the other."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from celery.canvas import Signature

from saga_celery.definition.chain_signatures import check_options, check_signature, kind_of, shown
from saga_celery.definition.chain_steps import ChainCompensation, ChainStep, as_compensation
from saga_celery.errors import DefinitionError

CANVAS = ("chain", "group", "chord")
Branch = tuple[ChainStep, ...]
"""Steps one behind the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One step, or branches that run side by side."""

    branches: tuple[Branch, ...]
    parallel: bool = False


def read(label: str, given: Sequence[object], compensations: Mapping[Any, object]) -> list[Part]:
    """Read the parts of a chain.

    Args:
        label: the chain, for errors.
        given: signatures, pairs, `saga_step`s, groups, lists of such, and whole chains.
        compensations: what undoes which task, where no pair says it.

    Raises:
        DefinitionError: a part can not be kept; says which, and what to write.
    """
    undoing = _Undoing(label, compensations)
    if len(given) == 1 and _is_side_by_side(given[0]):  # Celery's chain([a, b]) means one behind the other
        raise DefinitionError(
            f"{label}: a list is its only part; to run its members one behind the other write saga_chain(name, "
            "*the_list), side by side: (group(a, b), group(undo_a, undo_b))"
        )
    parts = [part for number, each in enumerate(given, 1) for part in _parts(each, f"{label}, part {number}")]
    if not parts:
        raise DefinitionError(f"{label}: has no steps; write for example (reserve.s(1), release.s()), notify.si()")
    found = [
        replace(part, branches=tuple(tuple(map(undoing.of, branch)) for branch in part.branches)) for part in parts
    ]
    undoing.check_all_used()
    return found


# --------------------------------------------------------------------------------------------------------------- parts


def _parts(given: object, where: str) -> Iterator[Part]:
    if _is_side_by_side(given):
        yield _parallel([_branch(member, where) for member in _sequence(given)], where)
    elif isinstance(given, tuple) and len(given) == 2 and _is_members(given[0]):
        yield _pair_of_groups(given[0], given[1], where)
    elif isinstance(given, Signature) and kind_of(given) in CANVAS:
        yield from _canvas(given, where)
    else:
        yield Part(branches=((_step(given, where),),))


def _is_side_by_side(given: object) -> bool:
    """A list of steps, or a tuple of pairs, which can not be mistaken for a pair."""
    if isinstance(given, tuple):
        return bool(given) and all(isinstance(each, tuple | ChainStep) for each in given)
    return isinstance(given, list)


def _is_members(given: object) -> bool:
    return isinstance(given, list) or (isinstance(given, Signature) and kind_of(given) == "group")


def _sequence(given: Any) -> Sequence[Any]:
    return list(given)


def _parallel(branches: Sequence[Branch], where: str) -> Part:
    if not branches:
        raise DefinitionError(f"{where}: a group without members; leave it out")
    return Part(branches=tuple(branches), parallel=True)


def _pair_of_groups(actions: object, undos: object, where: str) -> Part:
    """`(group(a, b), group(undo_a, undo_b))`: each member with its own compensation."""
    members = _members(actions, where)
    if not _is_members(undos):
        raise DefinitionError(
            f"{where}: a group is undone member by member: write (group(a, b), group(undo_a, undo_b)), or a list of "
            "pairs: [(a, undo_a), (b, undo_b)]"
        )
    pairs = _members(undos, where)
    if len(pairs) != len(members):
        raise DefinitionError(
            f"{where}: {len(members)} members and {len(pairs)} compensations; give each member its own, or write a "
            "list of pairs, in which a bare signature has nothing to undo: [(a, undo_a), b]"
        )
    return _parallel([(_paired(member, undo, where),) for member, undo in zip(members, pairs, strict=True)], where)


def _members(group: Any, where: str) -> list[Any]:
    if isinstance(group, Signature):
        _check_canvas(group, where)
        return list(group.tasks)  # type: ignore[attr-defined]
    return list(group)


# -------------------------------------------------------------------------------------------------------------- canvas


def _canvas(canvas: Any, where: str) -> Iterator[Part]:
    """Celery makes chords of groups within chains; here they are a group and what comes behind it."""
    _check_canvas(canvas, where)
    match kind_of(canvas):
        case "group":
            yield _parallel([_branch(member, where) for member in canvas.tasks], where)
        case "chord":
            yield _parallel([_branch(member, where) for member in canvas.tasks], where)
            yield from _parts(canvas.body, where)
        case _:
            for each in canvas.tasks:
                yield from _parts(each, where)


def _check_canvas(canvas: Signature[Any], where: str) -> None:
    kind = kind_of(canvas)
    check_options(canvas, f"{where}, the {kind}")
    for option, value in canvas["options"].items():
        raise DefinitionError(f"{where}, the {kind}: {option}={value!r}; set it on the signatures in it")
    if canvas["args"]:
        raise DefinitionError(f"{where}, the {kind}: has arguments of its own; give them to the signatures in it")
    if canvas["immutable"]:
        raise DefinitionError(f"{where}, the {kind}: is immutable; write .si() for the signatures in it")


def _branch(member: object, where: str) -> Branch:
    """What runs beside others: a step, or several one behind the other."""
    if not isinstance(member, Signature) or kind_of(member) != "chain":
        return (_step(member, f"{where}, a member of a group"),)
    _check_canvas(member, where)
    return tuple(_step(each, f"{where}, a chain within a group") for each in member.tasks)  # type: ignore[attr-defined]


# --------------------------------------------------------------------------------------------------------------- steps


def _step(given: object, where: str) -> ChainStep:
    if isinstance(given, ChainStep):
        return given
    if not isinstance(given, tuple):
        return ChainStep(action=check_signature(given, where))
    if len(given) != 2:
        raise DefinitionError(f"{where}: a tuple of {len(given)}; a pair is (action, compensation)")
    return _paired(given[0], given[1], where)


def _paired(action: object, undo: object, where: str) -> ChainStep:
    step = ChainStep(action=check_signature(action, where))
    return step if undo is None else replace(step, compensation=as_compensation(undo, f"{where}, {shown(step.action)}"))


class _Undoing:
    """What `compensations=` says."""

    def __init__(self, label: str, given: Mapping[Any, object]) -> None:
        self._label = label
        if not isinstance(given, Mapping):
            raise DefinitionError(f"{label}: compensations={given!r}; write {{'task': undo.s()}}")
        self._given = {_task_name(task): self._read(task, undo) for task, undo in given.items()}
        self._tasks: set[str] = set()

    def _read(self, task: object, undo: object) -> ChainCompensation:
        return as_compensation(undo, f"{self._label}, compensations[{_task_name(task)!r}]")

    def of(self, step: ChainStep) -> ChainStep:
        """The step, with a compensation where it has none and its task has one."""
        task = shown(step.action)
        self._tasks.add(task)
        if step.compensation is not None or task not in self._given:
            return step
        return replace(step, compensation=self._given[task])

    def check_all_used(self) -> None:
        """A compensation of no task in the chain is a misspelt name."""
        for task in self._given:
            if task not in self._tasks:
                close = difflib.get_close_matches(task, self._tasks, n=1)
                hint = f"did you mean {close[0]!r}?" if close else f"its tasks are: {', '.join(sorted(self._tasks))}"
                raise DefinitionError(f"{self._label}: compensations names {task!r}, which is no task of it; {hint}")


def _task_name(task: object) -> str:
    """The name of a task that is given by name, or as it is."""
    return str(getattr(task, "name", task))
