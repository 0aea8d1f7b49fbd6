"""What pydantic finds wrong with a value, in one line.

What is stored of it (in dead letters, in the history) must not tell the value itself, which may be sealed: it names
places and what is expected there, and neither what stands there, nor keys that are data, nor what a validator says.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_core.core_schema import ErrorType

HIDDEN_KEY = "*"
_TELLING = ("value_error", "assertion_error", "uuid_parsing", "union_tag_invalid")
"""Errors whose text may hold the value, or a piece of it; so may that of every error that is not pydantic's."""
_DISCREET = frozenset(get_args(ErrorType)) - {*_TELLING}


def complaints(error: ValidationError) -> str:
    """All findings, for who has the value in his hands; what its own validators say is told as well."""
    return "; ".join(_complaint(_path(each["loc"]), each["msg"]) for each in _findings(error))


def discreet_complaints(error: ValidationError, plain: Any, schema: Any) -> str:
    """All findings without anything of the value.

    Args:
        error: what pydantic found.
        plain: the value, as plain JSON.
        schema: the core schema by which it was read; tells which names are fields, and no data.
    """
    secret = frozenset(_keys(plain)) - frozenset(_declared(schema))
    return "; ".join(_complaint(_path(each["loc"], secret), _discreet(each)) for each in _findings(error))


def _findings(error: ValidationError) -> list[ErrorDetails]:
    return error.errors(include_url=False, include_input=False)


def _discreet(finding: ErrorDetails) -> str:
    return finding["msg"] if finding["type"] in _DISCREET else f"not accepted ({finding['type']})"


def _path(where: tuple[int | str, ...], secret: frozenset[str] = frozenset()) -> str:
    return ".".join(HIDDEN_KEY if part in secret else str(part) for part in where)


def _complaint(path: str, message: str) -> str:
    return f"{path}: {message}" if path else message


def _keys(plain: Any) -> Iterator[str]:
    waiting = [plain]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            yield from each
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each


def _declared(schema: Any) -> Iterator[str]:
    """The names of the fields of models, dataclasses and TypedDicts, and their aliases."""
    waiting = [schema]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            names = each.get("fields")
            yield from names if isinstance(names, dict) else ()
            yield from _texts([each.get("name"), each.get("alias"), each.get("validation_alias")])
            waiting += each.values()
        elif isinstance(each, list | tuple):
            waiting += each


def _texts(names: Any) -> Iterator[str]:
    if isinstance(names, str):
        yield names
    elif isinstance(names, list):
        for each in names:
            yield from _texts(each)
