"""The error about a saga class that can not work."""

from __future__ import annotations

from saga_celery.errors import DefinitionError


def wrong(saga: type, method: str, problem: str) -> DefinitionError:
    """The error about one method or attribute of a class."""
    where = f"{saga.__qualname__}.{method}" if method else saga.__qualname__
    return DefinitionError(f"{where}: {problem}")
