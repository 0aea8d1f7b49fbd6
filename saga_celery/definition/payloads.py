"""Payloads: what is stored and sent is plain JSON of bounded size and depth."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic_core import PydanticSerializationError, to_jsonable_python

from saga_celery.definition.obstacles import DEEPEST, obstacle, parts
from saga_celery.engine.packed import is_packed
from saga_celery.errors import InputRejected


class NotPlain(ValueError):
    """A value that JSON can not carry; the text says which part of it and why."""


def to_plain(value: Any) -> Any:
    """Turn models, dataclasses, dates, decimals, tuples, sets … into what JSON has.

    Raises:
        NotPlain: a part of the value has no JSON form, is NaN or infinite, or is text that no database can store.
    """
    try:
        plain = to_jsonable_python(value)
    except PydanticSerializationError as error:
        raise NotPlain(f"{error}; pass plain data, a pydantic model or a dataclass") from error
    except ValueError as error:  # circular, endlessly deep, or bytes that are no text
        raise NotPlain(obstacle(value) or str(error)) from error
    check_finite(value)
    return plain


def check_finite(value: Any) -> None:
    """Refuse NaN and infinity inside models, where pydantic would write null for them without a word.

    Raises:
        NotPlain: the value holds one of them.
    """
    waiting, seen = [value], dict[int, Any]()
    while waiting:
        each = waiting.pop()
        if isinstance(each, float) and not math.isfinite(each):
            raise NotPlain(f"it holds {each}, which JSON does not have")
        inner = parts(each)
        if inner and id(each) not in seen:  # who is a part of himself is refused where JSON is made of him
            seen[id(each)] = each  # kept, so that nobody else gets its id meanwhile
            waiting += inner.values() if isinstance(inner, Mapping) else inner


def check_payload(plain: Any, what: str, limit: int) -> None:
    """Refuse what JSON can not carry faithfully, what is too large to be stored, and what looks like one of our marks.

    Args:
        plain: the value, as `to_plain` gave it.
        what: how to call it in the message.
        limit: most bytes as JSON text.

    Raises:
        NotPlain: NaN, infinity, or text that is not Unicode.
        InputRejected: too large or too deep, or it has the form of a packed value.
    """
    _check_open(plain, what)
    try:
        text = json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        size = len(text.encode())
    except ValueError as error:
        raise NotPlain(next(_blemishes(plain, ""), str(error))) from error
    if size > limit:
        raise InputRejected(
            f"{what} is {size} bytes of JSON; saga_payload_limit allows {limit}. Pass a reference to where it is stored"
        )
    # Depth is measured only where it could be exceeded: walking every payload would cost more than writing it.
    if text.count("[") + text.count("{") > DEEPEST and _depth(plain) > DEEPEST:
        raise InputRejected(f"{what} nests deeper than {DEEPEST} levels")


def check_arguments_open(args: Iterable[Any], kwargs: Mapping[str, Any], what: str) -> None:
    """Refuse arguments of a message that have the form of a packed value.

    Raises:
        InputRejected: one of them has it.
    """
    for each in (*args, *kwargs.values()):
        _check_open(each, what)


def _check_open(plain: Any, what: str) -> None:
    """A value that looks packed would be opened: with its own words, or with another value of the same saga."""
    if is_packed(plain):
        raise InputRejected(f"{what} has nothing but the name {next(iter(plain))!r}, which is reserved")


def _blemishes(plain: Any, path: str) -> Iterator[str]:
    if isinstance(plain, float) and not math.isfinite(plain):
        yield f"{path or 'the value'} is {plain}, which JSON does not have"
    elif isinstance(plain, str) and not _is_unicode(plain):
        yield f"{path or 'the value'} holds half of a surrogate pair, which is no Unicode text"
    elif isinstance(plain, dict):
        for name, inner in plain.items():
            where = f"{path}.{name}" if path else str(name)
            yield from _blemishes(name, f"the name {name!r}")
            yield from _blemishes(inner, where)
    elif isinstance(plain, list):
        for index, inner in enumerate(plain):
            yield from _blemishes(inner, f"{path}[{index}]")


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _depth(plain: Any) -> int:
    level, depth = [plain], 0
    while level := [inner for each in level if isinstance(each, dict | list) for inner in _members(each)]:
        depth += 1
        if depth > DEEPEST:
            break
    return depth


def _members(container: dict[str, Any] | list[Any]) -> list[Any]:
    found = list(container.values()) if isinstance(container, dict) else container
    return found or [None]  # an empty container is a level, too
