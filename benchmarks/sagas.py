"""What is measured: sagas of five steps that do nothing."""

from __future__ import annotations

from typing import Any

from celery.canvas import Signature

from saga_celery import Saga, step

STEPS = 5
NOOP = "bench.noop"
FINISH = "bench.finish"
WHY = "it does nothing"


class Keyed(Saga[int]):
    """Steps that are safe to run twice: their first delivery needs no claim."""

    name = "bench.keyed"

    @step(idempotent=True, no_compensation=WHY)
    def one(self, number: int) -> Signature[int]:
        """Do nothing."""
        return self.task(NOOP, number)

    @step(idempotent=True, no_compensation=WHY)
    def two(self, number: int) -> Signature[int]:
        """Do nothing."""
        return self.task(NOOP, number)

    @step(idempotent=True, no_compensation=WHY)
    def three(self, number: int) -> Signature[int]:
        """Do nothing."""
        return self.task(NOOP, number)

    @step(idempotent=True, no_compensation=WHY)
    def four(self, number: int) -> Signature[int]:
        """Do nothing."""
        return self.task(NOOP, number)

    @step(idempotent=True, no_compensation=WHY)
    def five(self, number: int) -> Signature[int]:
        """Do nothing."""
        return self.task(NOOP, number)


class Claimed(Saga[int]):
    """Steps that must not run twice: each is claimed in the database before it runs."""

    name = "bench.claimed"

    @step(no_compensation=WHY)
    def one(self, number: int) -> Signature[int]:
        """Do nothing."""
        return self.task(NOOP, number)

    @step(no_compensation=WHY)
    def two(self, number: int) -> Signature[int]:
        """Do nothing."""
        return self.task(NOOP, number)

    @step(no_compensation=WHY)
    def three(self, number: int) -> Signature[int]:
        """Do nothing."""
        return self.task(NOOP, number)

    @step(no_compensation=WHY)
    def four(self, number: int) -> Signature[int]:
        """Do nothing."""
        return self.task(NOOP, number)

    @step(no_compensation=WHY)
    def five(self, number: int) -> Signature[int]:
        """Do nothing."""
        return self.task(NOOP, number)


SAGAS: dict[str, type[Saga[Any, Any]]] = {"keyed": Keyed, "claimed": Claimed}
