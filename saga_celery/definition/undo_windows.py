"""How long after its end a completed saga may be undone: the word of its author, by the name of the saga."""

from __future__ import annotations

from datetime import timedelta

from saga_celery.definition import registry

_of_chains: dict[str, float | None] = {}


def remember(chain: str, window: timedelta | None) -> None:
    """Keep what `saga_chain(undo_window=…)` says."""
    _of_chains[chain] = None if window is None else window.total_seconds()


def undo_window(name: str) -> float | None:
    """Seconds after its end within which a saga of this name may be undone; None: not at all.

    Raises:
        UnknownSaga: this process knows neither a class nor a chain of this name.
    """
    if name in _of_chains:
        return _of_chains[name]
    return registry.find(name).definition().undo_window
