"""The latest states of sagas, in memory that a worker's children share: one goes on where another one left off.

What is here never has to be true, only likely: see `recent`. So nobody waits for a lock. Each saga has one place, which
it may lose to another; whoever reads while somebody writes finds a checksum that does not fit, and nothing else.
"""

from __future__ import annotations

import io
import mmap
import pickle
import zlib
from dataclasses import is_dataclass
from functools import cache
from hashlib import blake2b
from struct import Struct
from typing import Any

from saga_celery.core.copies import anatomy_of, made
from saga_celery.core.states import SagaState

PLACES = 2048
"""More than a worker's children have in hand at once; a page of memory is taken when it is first written."""
ROOM = 4096
"""Bytes of a place. A larger state is not shared."""

_HEAD = Struct("<16sIII")
"""Digest of the saga's id, version, length and checksum of what follows."""


class SharedStates:
    """States for all processes that are forked after this was made."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, PLACES * ROOM)

    def put(self, state: SagaState) -> None:
        """Let the others know a state that is stored.

        Args:
            state: its JSON is that of the database: lists, not tuples.
        """
        body = _pickled(state)
        if len(body) > ROOM - _HEAD.size:
            return
        name, start = _place(state.id)
        whole = _HEAD.pack(name, state.version, len(body), zlib.crc32(body)) + body
        self._memory[start : start + len(whole)] = whole

    def drop(self, saga_id: str) -> None:
        """Forget a saga."""
        name, start = _place(saga_id)
        if self._memory[start : start + len(name)] == name:
            self._memory[start : start + len(name)] = bytes(len(name))

    def version_of(self, saga_id: str) -> int:
        """The version of the state that is here; -1: there is none."""
        name, start = _place(saga_id)
        found, version, _, _ = _HEAD.unpack_from(self._memory, start)
        return version if found == name else -1

    def get(self, saga_id: str) -> SagaState | None:
        """The latest state that any of the processes stored, of one's own; None when it is not here."""
        name, start = _place(saga_id)
        found, _, length, checksum = _HEAD.unpack_from(self._memory, start)
        if found != name:
            return None
        body = self._memory[start + _HEAD.size : start + _HEAD.size + length]
        if zlib.crc32(body) != checksum:
            return None
        state: SagaState = pickle.loads(body)  # noqa: S301 - only we ourselves can write into this memory
        return state if state.id == saga_id else None


class _Pickler(pickle.Pickler):
    """A dataclass with slots would go field by field through Python's own code, both ways."""

    def reducer_override(self, value: Any) -> Any:
        kind: Any = type(value)
        return (made, (kind, anatomy_of(kind).parts(value))) if _has_parts(kind) else NotImplemented


_has_parts = cache(is_dataclass)


def _pickled(state: SagaState) -> bytes:
    buffer = io.BytesIO()
    _Pickler(buffer, pickle.HIGHEST_PROTOCOL).dump(state)
    return buffer.getvalue()


def _place(saga_id: str) -> tuple[bytes, int]:
    """The same in every process, which `hash` is not."""
    name = blake2b(saga_id.encode(), digest_size=16).digest()
    return name, int.from_bytes(name[:4], "little") % PLACES * ROOM
