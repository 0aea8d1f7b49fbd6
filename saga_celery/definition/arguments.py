"""Arguments of a task as they are stored: plain JSON, without what would reach the task as something else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from saga_celery.definition.payloads import NotPlain, to_plain

_INSTEAD: Mapping[type, str] = {
    Decimal: "str(…)",
    UUID: "str(…)",
    datetime: "its isoformat()",
    date: "its isoformat()",
    time: "its isoformat()",
    bytes: "base64.b64encode(…).decode()",
}
"""What Celery alone hands over as it is, in a form of its own, and what to pass in a saga."""


def plain_arguments(args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Turn the arguments of a task into what JSON has.

    A model or a dataclass becomes a dict of plain values, as its author would write it to JSON.

    Args:
        args: by position.
        kwargs: by name.

    Raises:
        NotPlain: one of them has no JSON form, or one in which its task would silently get text in place of it.
    """
    plain_args, plain_kwargs = to_plain([list(args), dict(kwargs)])
    places = [(f"argument {number}", each) for number, each in enumerate(args, 1)]
    for place, value in (*places, *((f"argument {name!r}", each) for name, each in kwargs.items())):
        for problem in _turned_into_text(value, place):
            raise NotPlain(problem)
    return plain_args, plain_kwargs


def _turned_into_text(value: Any, place: str) -> Iterator[str]:
    """The value itself is left out of the sentence, which is stored and shown."""
    for kind, instead in _INSTEAD.items():
        if isinstance(value, kind):
            name = type(value).__name__
            yield f"{place} is a {name}, which the task would get as text; pass {instead} and let the task read it"
            return
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _turned_into_text(inner, f"{place}[{key!r}]")
    elif isinstance(value, list | tuple | set | frozenset):
        for index, inner in enumerate(value):
            yield from _turned_into_text(inner, f"{place}[{index}]")
