"""Results as plain JSON, within their limit."""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import PydanticSerializationError, to_jsonable_python

from saga_celery.engine.packed import is_packed

DEEPEST = 64
"""Levels of nesting that a result may have."""


class Unstorable(Exception):
    """A result that can not be stored.

    Attributes:
        name: what kind of trouble it is.
    """

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


def plain(result: Any, limit: int) -> Any:
    """The result as JSON gives it back.

    Args:
        result: what a task returned; pydantic models, dataclasses, dates and the like are fine.
        limit: most bytes of its text.

    Raises:
        Unstorable: says what to return instead.
    """
    if is_packed(result):
        reserved = f"the result has nothing but the name {next(iter(result))!r}, which is reserved: return another"
        raise Unstorable("ResultReserved", f"the task took effect, but {reserved}")
    try:
        text = json.dumps(to_jsonable_python(result), allow_nan=False, ensure_ascii=False)
        size = len(text.encode())  # half a surrogate pair is no text
    except (PydanticSerializationError, ValueError, TypeError, RecursionError) as error:
        raise Unstorable("ResultNotSerializable", _not_json(result, error)) from None
    if size > limit:
        raise Unstorable("ResultTooLarge", _too_large(size, limit))
    decoded = json.loads(text)
    if depth(decoded) > DEEPEST:
        raise Unstorable(
            "ResultTooDeep", f"the result is nested deeper than {DEEPEST} levels: return something flatter"
        )
    return decoded


def depth(value: Any) -> int:
    """How deep a plain value is nested, counted only a little beyond `DEEPEST`."""
    level, layer = 0, [value]
    while layer and level <= DEEPEST:
        level += 1
        layer = [inner for each in layer for inner in _inside(each)]
    return level


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _not_json(result: Any, error: Exception) -> str:
    return (
        f"the task took effect, but its result of type {type(result).__name__} is no JSON ({error}): "
        "return plain values, a dataclass or a pydantic model"
    )


def _too_large(size: int, limit: int) -> str:
    return (
        f"the task took effect, but its result has {size} bytes and saga_payload_limit is {limit}: "
        "store the data elsewhere and return a reference to it, or raise the limit"
    )
