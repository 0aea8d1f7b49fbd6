"""`OtherSaga.si(data)`: what a step returns that runs another saga."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic

from typing_extensions import TypeVar

if TYPE_CHECKING:
    from saga_celery.definition.saga import Saga

ResultT = TypeVar("ResultT", default=None)


@dataclass(frozen=True, slots=True)
class Child(Generic[ResultT]):
    """A saga within a saga: its result is the step's result, and it is undone as a whole when the saga around it is.

    A step that runs one is annotated `-> Child[X]`, X being the result of that saga.

    Args:
        saga: its class.
        data: its input.
        timeout: time for it as a whole; None: that of its class.
    """

    saga: type[Saga[Any, ResultT]]
    data: Any
    timeout: timedelta | None = None
