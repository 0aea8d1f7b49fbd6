"""A whole saga as one compressed document: its rows of every table, as they were.

The texts of the rows are kept as they stand in them, so what can be read of a row can be read of a document, by this
release and by later ones; a column that came later is NULL.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from saga_celery.core.states import SagaState
from saga_celery.store.codec import dumps, loads
from saga_celery.store.columns import UtcTime
from saga_celery.store.rows import SAGA_COLUMNS, state_from, step_from
from saga_celery.store.schema import saga

FORM = 1
"""How documents of today are laid out; the number stands in each."""

_TIMES = frozenset(column.name for column in saga.columns if isinstance(column.type, UtcTime))


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The rows of one saga."""

    saga: Mapping[str, Any]
    """By the names of the columns."""
    steps: Sequence[Sequence[Any]]
    """Step, item, status, start_order, result and activities of each."""
    history: Sequence[Sequence[Any]]
    """Version, time, facts and actor of each transition, the first one first."""
    tags: Mapping[str, str]
    children: Sequence[str] = ()
    """Ids of its child sagas, the first one first."""

    @property
    def state(self) -> SagaState:
        """The saga as it was left; it has no dead letters, or it would not be here."""
        steps = [(*row[:4], loads(row[4]), loads(row[5])) for row in sorted(self.steps, key=_start_order)]
        return state_from([self.saga.get(name) for name in SAGA_COLUMNS], map(step_from, steps), ())

    def pack(self) -> bytes:
        """As it is stored."""
        plain = {
            "form": FORM,
            "saga": {name: _written(value) for name, value in self.saga.items() if value is not None},
            "steps": [list(row) for row in self.steps],
            "history": [[version, _written(at), facts, actor] for version, at, facts, actor in self.history],
            "tags": dict(self.tags),
            "children": list(self.children),
        }
        return zlib.compress(dumps(plain).encode(), 6)

    @classmethod
    def unpack(cls, packed: bytes | memoryview) -> Document:
        """Read what `pack` wrote."""
        plain = loads(zlib.decompress(packed).decode())
        columns: dict[str, Any] = dict.fromkeys(column.name for column in saga.columns)
        return cls(
            saga={**columns, **{name: _read(name, value) for name, value in plain["saga"].items()}},
            steps=plain["steps"],
            history=[
                (version, datetime.fromisoformat(at), facts, actor) for version, at, facts, actor in plain["history"]
            ],
            tags=plain["tags"],
            children=plain["children"],
        )


def _start_order(row: Sequence[Any]) -> int:
    order: int = row[3]
    return order


def _written(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _read(name: str, value: Any) -> Any:
    return datetime.fromisoformat(value) if name in _TIMES else value
