"""TypedDicts as pydantic wants them.

Before Python 3.12 pydantic refuses `typing.TypedDict`, as required keys could not be told from optional ones then.
The annotations of saga methods are public API, so both kinds are taken: those of `typing` are rebuilt here.
"""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import Any, Union, get_args, get_origin

import typing_extensions


def modern(annotation: Any, scope: Mapping[str, Any]) -> Any:
    """The annotation with every `typing.TypedDict` in it rebuilt.

    Args:
        annotation: a resolved annotation.
        scope: names by which annotations of local TypedDicts are resolved.
    """
    if sys.version_info >= (3, 12):
        return annotation
    if _is_old(annotation):
        return _rebuilt(annotation, scope)
    arguments = get_args(annotation)
    renewed = tuple(modern(each, scope) for each in arguments)
    if renewed == arguments:
        return annotation
    if get_origin(annotation) in (Union, types.UnionType):
        return reduce(or_, renewed)
    if hasattr(annotation, "copy_with"):
        return annotation.copy_with(renewed)
    return types.GenericAlias(get_origin(annotation), renewed)


def _is_old(annotation: Any) -> bool:
    return typing.is_typeddict(annotation) and type(annotation).__module__ == "typing"


def _rebuilt(old: Any, scope: Mapping[str, Any]) -> Any:
    hints = typing_extensions.get_type_hints(old, localns=dict(scope), include_extras=True)
    keys = {name: _as_written(modern(hint, scope), name, old) for name, hint in hints.items()}
    return typing_extensions.TypedDict(old.__name__, keys)  # type: ignore[operator]


def _as_written(hint: Any, name: str, old: Any) -> Any:
    marked = get_origin(hint) in (typing.Required, typing.NotRequired)
    return hint if marked or name not in old.__optional_keys__ else typing.NotRequired[hint]
