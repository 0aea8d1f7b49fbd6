"""States, messages and facts as plain JSON, and back.

Fields that are empty by default and are empty are left out, and so are those that hold what `UNWRITTEN` says; every
other field is written, so that a default which a later release changes does not change what is stored. A field that is
missing takes what was left out for it, one that is unknown is dropped: a row of the previous release and one of the
next can both be read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from saga_celery.core.events import FACTS, WORKER, Fact, StepSucceeded
from saga_celery.core.retry import Retry
from saga_celery.core.states import Activity, Direction, Policy, Slot

Convert = Callable[[Any], Any]

EMPTY: tuple[Any, ...] = (None, "", (), {}, False, 0)
"""The defaults whose fields may be left out."""

UNWRITTEN: Mapping[type[Any], Mapping[str, Any]] = {
    Policy: {
        "retry": Retry(attempts=3, delay=1.0, maximum=300.0, jitter=True),
        "timeout": 300.0,
        "queue_grace": 30.0,
        "settle_delay": 5.0,
        "needs_result": True,
    },
    Activity: {"generation": 1},
    StepSucceeded: {"by": WORKER},
    Slot: {"item": 0, "direction": Direction.ACTION, "generation": 1},
}
"""What most rows would hold, and therefore none has to. It stands for ever, whatever becomes of the defaults in the
core: rows without these fields mean these values."""

_READABLE = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_ASCII = json.JSONEncoder(allow_nan=False, separators=(",", ":"))
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def dumps(value: Any) -> str:
    """JSON text: compact, and safe to store whatever an exception's message was made of.

    Raises:
        ValueError: it holds NaN or an infinity, or nests without end.
        TypeError: it holds something that is no JSON.
    """
    text = _READABLE.encode(value)
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair, as in names of files that are no UTF-8
        return _ASCII.encode(value)
    return text


def optional_dumps(value: Any) -> str | None:
    """JSON text, or NULL for None."""
    return None if value is None else dumps(value)


def canonical(value: Any) -> str:
    """JSON text that is the same for the same value, however its objects are ordered."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def loads(text: str | None) -> Any:
    """Read what `dumps` or `optional_dumps` wrote."""
    return None if text is None else json.loads(text)


def storable(text: str) -> str:
    """A text without what databases refuse: NUL and half surrogate pairs become U+FFFD."""
    return _UNSTORABLE.sub("�", text)


def to_json(value: Any) -> Any:
    """A dataclass of the core as plain JSON; None stays None."""
    return None if value is None else _encoder_of(value)(value)


def from_json(kind: Any, plain: Any) -> Any:
    """Read what `to_json` made of a `kind`; None stays None."""
    return None if plain is None else decoder(kind)(plain)


def fact_to_json(fact: Fact) -> dict[str, Any]:
    """A fact as plain JSON, under its name."""
    return {"fact": type(fact).__name__, **_encoder_of(fact)(fact)}


def fact_from_json(plain: Mapping[str, Any]) -> Fact:
    """Read what `fact_to_json` wrote.

    Raises:
        KeyError: a later release wrote it, and this one knows no such fact.
    """
    kind: Any = FACTS[plain["fact"]]
    found: Fact = decoder(kind)(plain)
    return found


def facts_to_text(facts: Iterable[Fact]) -> str:
    """The facts of one transition, as the history holds them."""
    return dumps([fact_to_json(fact) for fact in facts])


# -------------------------------------------------------------------------------------------------------------- encode


@cache
def encoder(hint: Any) -> Convert:
    """How values of an annotated type become JSON."""
    if isinstance(hint, type) and is_dataclass(hint):
        return _dataclass_encoder(hint)
    if _is_named_tuple(hint):
        return _named_tuple_encoder(hint)
    origin, inner = _shape(hint)
    if origin is Union:
        return _optional(encoder(inner))
    if origin is tuple:
        encode = encoder(inner)
        return list if encode is _same else lambda values: [encode(value) for value in values]
    if origin is Mapping:
        return dict
    return _same


def _encoder_of(value: Any) -> Convert:
    kind: Any = type(value)
    return encoder(kind)


def _dataclass_encoder(kind: type[Any]) -> Convert:
    hints = get_type_hints(kind)
    parts = [(part.name, _left_out(kind, part), encoder(hints[part.name])) for part in fields(kind)]

    def encode(value: Any) -> dict[str, Any]:
        return {
            name: found if convert is _same else convert(found)
            for name, unwritten, convert in parts
            if (found := getattr(value, name)) != unwritten
        }

    return encode


def _named_tuple_encoder(kind: type[Any]) -> Convert:
    """A list, without what it would end with in most rows."""
    ends = list(UNWRITTEN.get(kind, {}).values())

    def encode(value: Any) -> list[Any]:
        plain = list(value)
        for unwritten in reversed(ends):
            if plain[-1] != unwritten:
                break
            plain.pop()
        return plain

    return encode


def _left_out(kind: type[Any], part: Field[Any]) -> Any:
    """The value of a field that is not written; MISSING: each is."""
    if part.name in UNWRITTEN.get(kind, ()):
        return UNWRITTEN[kind][part.name]
    default = _default(part)
    return default if default in EMPTY else MISSING


def _default(part: Field[Any]) -> Any:
    if part.default is not MISSING:
        return part.default
    return part.default_factory() if part.default_factory is not MISSING else MISSING


# -------------------------------------------------------------------------------------------------------------- decode


@cache
def decoder(hint: Any) -> Convert:
    """How JSON becomes values of an annotated type again."""
    if isinstance(hint, type) and is_dataclass(hint):
        return _dataclass_decoder(hint)
    if _is_named_tuple(hint):
        return _named_tuple_decoder(hint)
    origin, inner = _shape(hint)
    if origin is Union:
        return _optional(decoder(inner))
    if origin is tuple:
        decode = decoder(inner)
        return tuple if decode is _same else lambda values: tuple(map(decode, values))
    if isinstance(hint, type) and issubclass(hint, StrEnum | float):
        return hint
    return _same


def _dataclass_decoder(kind: type[Any]) -> Convert:
    hints = get_type_hints(kind)
    parts = {part.name: decoder(hints[part.name]) for part in fields(kind)}
    unwritten = UNWRITTEN.get(kind, {})

    def decode(plain: Mapping[str, Any]) -> Any:
        return kind(**{**unwritten, **{name: parts[name](part) for name, part in plain.items() if name in parts}})

    return decode


def _named_tuple_decoder(kind: Any) -> Convert:
    parts = {name: decoder(hint) for name, hint in get_type_hints(kind).items()}
    unwritten = UNWRITTEN.get(kind, {})

    def decode(plain: Sequence[Any]) -> Any:
        found = {name: convert(part) for (name, convert), part in zip(parts.items(), plain, strict=False)}
        return kind(**{**unwritten, **found})

    return decode


# -------------------------------------------------------------------------------------------------------------- common


def _same(value: Any) -> Any:
    return value


def _optional(convert: Convert) -> Convert:
    if convert is _same:
        return _same
    return lambda value: None if value is None else convert(value)


def _is_named_tuple(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, tuple) and hasattr(hint, "_fields")


def _shape(hint: Any) -> tuple[Any, Any]:
    """The container of an annotation and what is in it: `X | None`, `tuple[X, ...]`, or a mapping of plain JSON."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        inner = [argument for argument in arguments if argument is not NoneType]
        return Union, inner[0]
    return origin, arguments[0] if arguments else None
