"""Steps that can only park when their outcome is unknown."""

from __future__ import annotations

import functools

import pytest
from celery.canvas import Signature

from saga_celery.definition import Saga, step
from saga_celery.definition.parking import asks_for_key, only_parking
from tests.definition.shop import OrderSaga


class Keyed:
    def at_once(self, n):
        return self.task("a", key=self.key())

    def by_another_name(me, n):  # noqa: N805 - whatever it is called
        return me.task("a", me.key())

    def handed_on(self, n):
        return self.helped(self.key)

    def in_a_comprehension(self, n):
        return self.task("a", [self.key() for _ in (n,)])

    def of_something_else(self, n):
        return self.task("a", n.key, key_of=n.key())

    def not_at_all(self, n):
        return self.task("a", n)

    @functools.lru_cache  # noqa: B019 - only its __wrapped__ matters
    def wrapped(self, n):
        return self.task("a", self.key())


@pytest.mark.parametrize(
    "method", [Keyed.at_once, Keyed.by_another_name, Keyed.handed_on, Keyed.in_a_comprehension, Keyed.wrapped]
)
def test_a_method_that_speaks_of_its_key(method):
    assert asks_for_key(method)


@pytest.mark.parametrize("method", [Keyed.of_something_else, Keyed.not_at_all])
def test_and_one_that_does_not(method):
    assert not asks_for_key(method)


def test_what_can_be_asked_repeated_or_undone_blindly_never_only_parks():
    assert only_parking(OrderSaga.definition()) == ("approve", "ship", "points", "badge", "close")

    class Blind(Saga[int]):
        name = "t.blind"

        @step
        def a(self, n: int) -> Signature[str]: ...

        @a.compensate(null_safe=True)
        def undo_a(self, n: int, a: str | None) -> Signature[None]: ...

        @step
        def b(self, n: int) -> Signature[str]: ...

        @b.compensate
        def undo_b(self, n: int, b: str) -> Signature[None]: ...

    assert only_parking(Blind.definition()) == ("a (its compensation)", "b", "b (its compensation)")


def test_a_compensation_is_repeated_like_its_step_unless_it_says_otherwise():
    class Told(Saga[int]):
        name = "t.told"

        @step(idempotent=True)
        def a(self, n: int) -> Signature[str]: ...

        @a.compensate
        def undo_a(self, n: int) -> Signature[None]: ...

        @step(idempotent=True)
        def b(self, n: int) -> Signature[str]: ...

        @b.compensate(idempotent=False)
        def undo_b(self, n: int) -> Signature[None]: ...

        @step(idempotent=True)
        def c(self, n: int) -> Signature[str]: ...

        @c.compensate(idempotent=False)
        def undo_c(self, n: int) -> Signature[None]:
            return self.task("undo", self.key())

    assert only_parking(Told.definition()) == ("b (its compensation)",)
