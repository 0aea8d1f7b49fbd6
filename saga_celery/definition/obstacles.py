"""What in a value keeps it from becoming JSON, and where it stands: pydantic tells only that there is something."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

from pydantic import BaseModel

DEEPEST = 32
"""Levels of lists and objects inside one another."""


class _Spot(NamedTuple):
    """A part of the value, its place, and what it is inside of."""

    value: Any
    place: str = ""
    above: tuple[int, ...] = ()


def obstacle(value: Any) -> str:
    """Name the first part that has no JSON form for what it is, not for its type; empty: there is none.

    Args:
        value: lists, mappings, models and dataclasses inside one another, perhaps in a circle.
    """
    waiting, seen = [_Spot(value)], set[int]()
    too_deep = ""
    while waiting:
        spot = waiting.pop()
        if id(spot.value) in spot.above:
            return f"{spot.place} is a part of itself; pass ids in place of references that lead back"
        if isinstance(spot.value, bytes | bytearray) and not _is_utf8(spot.value):
            return f"{spot.place or 'the value'} has bytes that are no UTF-8 text; pass them as text, such as base64"
        if isinstance(spot.value, str) and not _is_text(spot.value):
            return f"{spot.place or 'the value'} has half of a surrogate pair, which no encoding can write"
        if len(spot.above) > DEEPEST:
            too_deep = f"it nests deeper than {DEEPEST} levels"
        elif id(spot.value) not in seen:
            inner = list(_inner(spot))
            seen |= {id(spot.value)} if inner else set()
            waiting += inner
    return too_deep


def parts(value: Any) -> Mapping[Any, Any] | Collection[Any]:
    """What is inside a container, a model or a dataclass, by name where it has names."""
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        return value
    if isinstance(value, BaseModel):
        named = {name: getattr(value, name) for name in type(value).model_fields}
        return {**named, **(value.model_extra or {})}
    if is_dataclass(value) and not isinstance(value, type):
        return {part.name: getattr(value, part.name) for part in fields(value)}
    return ()


def _inner(spot: _Spot) -> Iterator[_Spot]:
    found, above = parts(spot.value), (*spot.above, id(spot.value))
    if isinstance(found, Mapping):
        for name, each in found.items():
            yield _Spot(each, f"{spot.place}.{name}" if spot.place else str(name), above)
    else:
        for index, each in enumerate(found):
            yield _Spot(each, f"{spot.place}[{index}]", above)


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_utf8(data: bytes | bytearray) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
