"""The sagas that this process knows, by name. Data names a saga; only what is registered here is ever looked up."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from saga_celery.errors import DefinitionError, UnknownSaga

if TYPE_CHECKING:
    from saga_celery.definition.saga import Saga

_sagas: dict[str, type[Saga[Any, Any]]] = {}
_lock = threading.Lock()


def register(saga: type[Saga[Any, Any]]) -> None:
    """Make a saga known by its name, and by those that it had before.

    A class that is defined again (a reloaded module) takes its own place.

    Raises:
        DefinitionError: another class has one of these names.
    """
    names = (saga.name, *saga.definition().former_names)
    with _lock:
        for name in names:
            _check_free(saga, name)
        for name in [name for name, known in _sagas.items() if name != known.name == saga.name]:
            del _sagas[name]  # a former name that the class, defined again, no longer claims
        _sagas.update(dict.fromkeys(names, saga))


def _check_free(saga: type[Saga[Any, Any]], name: str) -> None:
    known = _sagas.get(name)
    if known is None or _origin(known) == _origin(saga):
        return
    where = "name" if name == saga.name else "renamed_from"
    whose = "the name" if name == known.name else "a former name"
    raise DefinitionError(
        f"{saga.__qualname__}.{where}: {name!r} is {whose} of {_origin(known)} already, and "
        f"{_origin(saga)} wants it too; stored sagas are found by it, so give one of the two another name"
    )


def _origin(saga: type[Saga[Any, Any]]) -> str:
    return f"{saga.__module__}.{saga.__qualname__}"


def find(name: str) -> type[Saga[Any, Any]]:
    """The saga class that has this name, or had it before.

    Raises:
        UnknownSaga: this process has none; says which name is close to it, and where imports go.
    """
    found = _sagas.get(name)
    if found is not None:
        return found
    close = difflib.get_close_matches(name, _sagas, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise UnknownSaga(
        f"no saga named {name!r} in this process: {hint}"
        "Is its module imported? Add it to `include=` of the Celery app (or to its `imports` setting)"
    )


def is_registered(name: str) -> bool:
    """Tell whether this process has a saga of this name."""
    return name in _sagas


def has_plan(name: str, plan_hash: str) -> bool:
    """Tell whether this process has a saga of this name with this very graph."""
    found = _sagas.get(name)
    return found is not None and found.definition().plan.hash == plan_hash


def registered() -> Mapping[str, type[Saga[Any, Any]]]:
    """All sagas of this process by their names of today."""
    with _lock:
        return MappingProxyType({name: saga for name, saga in _sagas.items() if name == saga.name})
