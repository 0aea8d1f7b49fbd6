"""The steps of a saga as a persistent map: a change copies a short path, and what is looked for is found by status.

A fan-out of n items changes n times and more. Were the map copied and searched each time, it would cost n² in all. So
the items of a step are the leaves of a tree of which every node knows in which statuses the items below it stand. The
idea is that of persistent vectors (P. Bagwell, "Ideal Hash Trees", 2001), with a summary in each node as in a segment
tree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from saga_celery.core.states import StepKey, StepState, StepStatus

WIDTH = 32
"""How many parts a node has at most."""

Marks = int
"""A set of statuses, as bits."""

_BITS: Mapping[StepStatus, Marks] = {status: 1 << number for number, status in enumerate(StepStatus)}
OWING: Marks = 1 << len(_BITS)
"""Took effect, and nothing is stored yet that would undo it."""
EVERY: Marks = (1 << len(_BITS)) - 1


def marks(*statuses: StepStatus) -> Marks:
    """A set of statuses to look for."""
    found = 0
    for status in statuses:
        found |= _BITS[status]
    return found


def _mark(step: StepState) -> Marks:
    bit = _BITS[step.status]
    return bit | OWING if step.status is StepStatus.SUCCEEDED and not step.undo_is_rendered else bit


# ---------------------------------------------------------------------------------------------------------------- tree


@dataclass(frozen=True, slots=True)
class _Node:
    """Up to `WIDTH` items, or nodes, None where there is a gap; `span`: how many items find room below each part."""

    span: int
    parts: tuple[Any, ...]
    marks: tuple[Marks, ...]
    """For each part the statuses below it."""
    all_marks: Marks


_NO_ITEMS = _Node(1, (), (), 0)


def _node(span: int, parts: tuple[Any, ...], parts_marks: tuple[Marks, ...]) -> _Node:
    union = 0
    for each in parts_marks:
        union |= each
    return _Node(span, parts, parts_marks, union)


def _put(node: _Node, index: int, step: StepState) -> _Node:
    """The tree with one item more, or another in its place."""
    if index >= node.span * WIDTH:
        return _put(_node(node.span * WIDTH, (node,), (node.all_marks,)), index, step)
    place, rest = divmod(index, node.span)
    gap = place - len(node.parts)
    parts, parts_marks = (*node.parts, *(None,) * gap), (*node.marks, *(0,) * gap)
    part: Any = step
    if node.span > 1:
        below = parts[place] if place < len(parts) else None
        part = _put(below or _Node(node.span // WIDTH, (), (), 0), rest, step)
    mark = _mark(step) if node.span == 1 else part.all_marks
    return _node(
        node.span,
        (*parts[:place], part, *parts[place + 1 :]),
        (*parts_marks[:place], mark, *parts_marks[place + 1 :]),
    )


def _built(items: list[StepState]) -> _Node:
    """The tree of many items at once."""
    places: list[Any] = [None] * max(step.item for step in items)
    for step in items:
        places[step.item - 1] = step
    nodes, span = places, 1
    while span == 1 or len(nodes) > 1:
        below = [0 if part is None else _mark(part) if span == 1 else part.all_marks for part in nodes]
        nodes = [
            _node(span, tuple(nodes[at : at + WIDTH]), tuple(below[at : at + WIDTH]))
            for at in range(0, len(nodes), WIDTH)
        ]
        span *= WIDTH
    found: _Node = nodes[0]
    return found


def _at(node: _Node, index: int) -> StepState | None:
    found: _Node | StepState | None = node
    while isinstance(found, _Node):
        place, index = divmod(index, found.span)
        found = found.parts[place] if place < len(found.parts) else None
    return found


def _walk(node: _Node, wanted: Marks, *, backward: bool) -> Iterator[StepState]:
    places = range(len(node.parts))
    for place in reversed(places) if backward else places:
        if not node.marks[place] & wanted:
            continue
        if node.span == 1:
            yield node.parts[place]
        else:
            yield from _walk(node.parts[place], wanted, backward=backward)


def _changes(node: _Node | None, before: _Node | None) -> Iterator[StepState]:
    """The items of a tree that another one does not have; what both share is not looked at."""
    if node is before or node is None:
        return
    if before is not None and before.span < node.span:  # the tree has grown a storey since
        before = _node(before.span * WIDTH, (before,), (before.all_marks,))
        yield from _changes(node, before)
        return
    for place, part in enumerate(node.parts):
        was = before.parts[place] if before is not None and place < len(before.parts) else None
        if part is was or part is None:
            continue
        if node.span > 1:
            yield from _changes(part, was)
        elif part != was:
            yield part


# --------------------------------------------------------------------------------------------------------------- steps


@dataclass(frozen=True, slots=True)
class _Branch:
    """A step, and its items where it is a fan-out."""

    own: StepState | None = None
    items: _Node = _NO_ITEMS

    def units(self, wanted: Marks, *, backward: bool = False) -> Iterator[StepState]:
        if self.own is None or self.own.items is not None:
            yield from _walk(self.items, wanted, backward=backward)
        elif _mark(self.own) & wanted:
            yield self.own

    @property
    def marks(self) -> Marks:
        return self.items.all_marks if self.own is None or self.own.items is not None else _mark(self.own)


_NOTHING = _Branch()


class Steps(Mapping[StepKey, StepState]):
    """Steps by name and item, in the order in which they came; the items of a fan-out follow it by number.

    *Units* are what runs and is undone: plain steps, and the items of fan-outs, but not a fan-out itself.

    Args:
        steps: the steps to begin with.
    """

    __slots__ = ("_branches",)

    def __init__(self, steps: Mapping[StepKey, StepState] | None = None) -> None:
        self._branches: dict[str, _Branch] = {}
        items: dict[str, list[StepState]] = {}
        for step in (steps or {}).values():
            if step.item:
                items.setdefault(step.name, []).append(step)
            self._branches[step.name] = self._branches.get(step.name, _NOTHING) if step.item else _Branch(step)
        for name, some in items.items():
            self._branches[name] = _Branch(self._branches[name].own, _built(some))

    @classmethod
    def of(cls, steps: Mapping[StepKey, StepState]) -> Steps:
        """The same steps in this form."""
        return steps if isinstance(steps, Steps) else cls(steps)

    def put(self, step: StepState) -> Steps:
        """These steps with one more, or with another in its place."""
        changed = Steps()
        changed._branches = {**self._branches, step.name: self._with(step)}
        return changed

    def _with(self, step: StepState) -> _Branch:
        branch = self._branches.get(step.name, _NOTHING)
        if step.item == 0:
            return _Branch(step, branch.items)
        return _Branch(branch.own, _put(branch.items, step.item - 1, step))

    # ------------------------------------------------------------------------------------------------------- mapping

    def __getitem__(self, key: StepKey) -> StepState:
        found = self._found(*key)
        if found is None:
            raise KeyError(key)
        return found

    def get(self, key: StepKey, default: Any = None) -> Any:
        """What a mapping's `get` does, without an exception on the way."""
        found = self._found(*key)
        return default if found is None else found

    def _found(self, name: str, item: int) -> StepState | None:
        branch = self._branches.get(name)
        if branch is None or item == 0:
            return None if branch is None else branch.own
        return _at(branch.items, item - 1)

    def __iter__(self) -> Iterator[StepKey]:
        for name, branch in self._branches.items():
            if branch.own is not None:
                yield (name, 0)
            for step in _walk(branch.items, EVERY, backward=False):
                yield (name, step.item)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return repr(dict(self))

    # ---------------------------------------------------------------------------------------------------------- units

    def own(self) -> Iterator[StepState]:
        """The steps themselves, without items."""
        return (branch.own for branch in self._branches.values() if branch.own is not None)

    def units(self, wanted: Marks, of: str | None = None, *, backward: bool = False) -> Iterator[StepState]:
        """What stands in one of the statuses; it costs as much as there is to be found.

        Args:
            wanted: the statuses.
            of: only of the step of this name.
            backward: the last item first.
        """
        for branch in self._looked_at(of):
            yield from branch.units(wanted, backward=backward)

    def any(self, wanted: Marks, of: str | None = None) -> bool:
        """Tell whether anything stands in one of the statuses."""
        return any(branch.marks & wanted for branch in self._looked_at(of))

    def _looked_at(self, of: str | None) -> Iterator[_Branch]:
        if of is None:
            yield from self._branches.values()
        elif of in self._branches:
            yield self._branches[of]

    # -------------------------------------------------------------------------------------------------------- changes

    def changed_since(self, before: Steps) -> Iterator[StepState]:
        """The steps that are new or differ; it costs as much as has changed."""
        for name, branch in self._branches.items():
            was = before._branches.get(name)
            if branch is was:
                continue
            if branch.own is not None and (was is None or branch.own != was.own):
                yield branch.own
            yield from _changes(branch.items, was.items if was else None)
