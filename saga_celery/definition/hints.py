"""Type hints of a saga's methods, resolved where the class is written: in a module or inside a function."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, get_type_hints


def type_hints(function: Callable[..., Any], scope: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    """Resolve the annotations of a method.

    Args:
        function: the method.
        scope: the local names around the class; its module's names come after them, the class body's last.
        body: the names of the class body.

    Raises:
        NameError: an annotation names what is not there.
    """
    module = getattr(function, "__globals__", {})
    return get_type_hints(function, localns=_names(scope, module, body), include_extras=True)


def resolved(annotation: Any, scope: Mapping[str, Any], module: Mapping[str, Any]) -> Any:
    """Resolve a single annotation, which may be a text.

    Raises:
        NameError: it names what is not there.
    """
    holder = SimpleNamespace(__annotations__={"it": annotation})
    return get_type_hints(holder, localns=_names(scope, module, {}), include_extras=True)["it"]


def _names(*scopes: Mapping[str, Any]) -> dict[str, Any]:
    return dict(ChainMap(*(dict(each) for each in scopes)))
