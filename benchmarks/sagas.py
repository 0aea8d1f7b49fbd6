"""What is measured: sagas of five steps that do nothing."""

from __future__ import annotations

from typing import Any

from celery.canvas import Signature

from benchmarks.names import NOOP, REFUSE, STAMP
from saga_celery import Retry, Saga, step

SAFE: dict[str, Any] = {"idempotent": True}
"""Steps that are safe to run twice: their first delivery needs no claim."""
WHY = "it does nothing"


def five(saga_name: str, task: str, options: dict[str, Any]) -> type[Saga[int, Any]]:
    """A saga of five steps.

    Args:
        saga_name: its name.
        task: what each of them runs.
        options: of each of them.
    """

    class Five(Saga[int, Any]):
        name = saga_name

        @step(**options, no_compensation=WHY)
        def one(self, number: int) -> Signature[int]:
            return self.task(task, number)

        @step(**options, no_compensation=WHY)
        def two(self, number: int) -> Signature[int]:
            return self.task(task, number)

        @step(**options, no_compensation=WHY)
        def three(self, number: int) -> Signature[int]:
            return self.task(task, number)

        @step(**options, no_compensation=WHY)
        def four(self, number: int) -> Signature[int]:
            return self.task(task, number)

        @step(**options, no_compensation=WHY)
        def five(self, number: int) -> Signature[int]:
            return self.task(task, number)

    return Five


def undone(saga_name: str) -> type[Saga[int, Any]]:
    """Four steps with compensations, and a fifth that fails for good: nine tasks."""

    class Undone(Saga[int, Any]):
        name = saga_name

        @step(idempotent=True)
        def one(self, number: int) -> Signature[int]:
            return self.task(NOOP, number)

        @one.compensate
        def undo_one(self, number: int, one: int) -> Signature[int]:
            return self.task(NOOP, one)

        @step(idempotent=True)
        def two(self, number: int) -> Signature[int]:
            return self.task(NOOP, number)

        @two.compensate
        def undo_two(self, number: int, two: int) -> Signature[int]:
            return self.task(NOOP, two)

        @step(idempotent=True)
        def three(self, number: int) -> Signature[int]:
            return self.task(NOOP, number)

        @three.compensate
        def undo_three(self, number: int, three: int) -> Signature[int]:
            return self.task(NOOP, three)

        @step(idempotent=True)
        def four(self, number: int) -> Signature[int]:
            return self.task(NOOP, number)

        @four.compensate
        def undo_four(self, number: int, four: int) -> Signature[int]:
            return self.task(NOOP, four)

        @step(idempotent=True, retry=Retry(attempts=1))
        def five(self, number: int) -> Signature[int]:
            return self.task(REFUSE, number)

        @five.compensate
        def undo_five(self, number: int, five: int) -> Signature[int]:
            return self.task(NOOP, five)

    return Undone


Keyed = five("bench.messages.steps", NOOP, SAFE)
SAGAS: dict[tuple[str, str], type[Saga[int, Any]]] = {
    ("messages", "steps"): Keyed,
    ("messages", "stamps"): five("bench.messages.stamps", STAMP, SAFE),
    ("messages", "undo"): undone("bench.messages.undo"),
    ("claimed", "steps"): five("bench.claimed.steps", NOOP, {}),
    ("claimed", "stamps"): five("bench.claimed.stamps", STAMP, {}),
}
"""By variant and by what it is to do."""
