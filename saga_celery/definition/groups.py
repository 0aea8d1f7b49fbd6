"""`with parallel():` and `with sequence():` in the body of a saga class, and the graph that they draw.

Steps note in which groups they were written; no list of steps is kept outside the class. So threads can define sagas at
once, and a class body that raises leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias


class GroupKind(Enum):
    """How the members of a group stand to each other."""

    PARALLEL = "parallel"
    SEQUENCE = "sequence"


@dataclass(frozen=True, eq=False, slots=True)
class Group:
    """One `with` block; two blocks of one kind are two groups."""

    kind: GroupKind


Path: TypeAlias = tuple[Group, ...]
"""The groups around a step, the outermost first."""

_path: ContextVar[Path] = ContextVar("saga_celery_groups", default=())


@contextmanager
def parallel() -> Iterator[None]:
    """The steps in this block start together; the step below it waits for all of them."""
    with _inside(GroupKind.PARALLEL):
        yield


@contextmanager
def sequence() -> Iterator[None]:
    """The steps in this block are one branch of the `parallel()` around it and run one after the other."""
    with _inside(GroupKind.SEQUENCE):
        yield


@contextmanager
def _inside(kind: GroupKind) -> Iterator[None]:
    token = _path.set((*_path.get(), Group(kind)))
    try:
        yield
    finally:
        _path.reset(token)


def current_path() -> Path:
    """The groups that are open here and now."""
    return _path.get()


# --------------------------------------------------------------------------------------------------------------- graph


@dataclass(slots=True)
class _Branch:
    """A group with its members in order; the whole saga is a sequence."""

    kind: GroupKind
    members: list[str | _Branch] = field(default_factory=list)


def predecessors(steps: Sequence[tuple[str, Path]]) -> Mapping[str, tuple[str, ...]]:
    """Which steps each step waits for.

    Args:
        steps: names and groups, in the order in which they are written.
    """
    after: dict[str, tuple[str, ...]] = {}
    _walk(_nested(steps), (), after)
    return after


def _nested(steps: Sequence[tuple[str, Path]]) -> _Branch:
    root = _Branch(GroupKind.SEQUENCE)
    branches: dict[Group, _Branch] = {}
    for name, path in steps:
        around = root
        for group in path:
            if group not in branches:
                branches[group] = _Branch(group.kind)
                around.members.append(branches[group])
            around = branches[group]
        around.members.append(name)
    return root


def _walk(member: str | _Branch, entry: tuple[str, ...], after: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Write down what waits for `entry`, and return what comes next has to wait for."""
    if isinstance(member, str):
        after[member] = entry
        return (member,)
    if member.kind is GroupKind.PARALLEL:
        return tuple(tail for each in member.members for tail in _walk(each, entry, after))
    for each in member.members:
        entry = _walk(each, entry, after)
    return entry
