"""What a task says when the other side asks for time."""

import pickle
from datetime import timedelta

import pytest
from celery.canvas import Signature
from celery.utils.serialization import get_pickleable_exception

from saga_celery import Retry, RetryAfter, Saga, step
from saga_celery.core.states import SagaStatus
from saga_celery.definition import registry
from saga_celery.testing import run_inline


@pytest.mark.parametrize(("given", "seconds"), [(7, 7.0), (0.5, 0.5), (0, 0.0), (timedelta(minutes=2), 120.0)])
def test_it_takes_seconds(given, seconds):
    assert RetryAfter(given).retry_after == seconds


@pytest.mark.parametrize("given", ["7", None, True, -1, float("nan"), float("inf"), timedelta(days=400)])
def test_it_refuses_what_is_no_length_of_time(given):
    with pytest.raises(ValueError, match="number from 0 to"):
        RetryAfter(given)


@pytest.mark.parametrize("copied", [lambda error: pickle.loads(pickle.dumps(error)), get_pickleable_exception])  # noqa: S301 - our own bytes
def test_it_survives_the_way_between_pool_processes(copied):
    copy = copied(RetryAfter(7, "overloaded", counts=True))
    assert (type(copy), copy.retry_after, copy.reason, copy.counts) == (RetryAfter, 7.0, "overloaded", True)


def test_it_says_what_it_wants():
    assert str(RetryAfter(7)) == "asks to be called again in 7 s"
    assert str(RetryAfter(7, "maintenance")) == "maintenance"


@pytest.mark.parametrize(("counts", "state"), [(False, SagaStatus.COMPLETED), (True, SagaStatus.COMPENSATED)])
def test_a_whole_saga(monkeypatch, counts, state):
    monkeypatch.setattr(registry, "_sagas", {})

    class Bill(Saga[int]):
        name = "shop.bill"

        @step(retry=Retry(attempts=2), no_compensation="a test")
        def charge(self, cents: int) -> Signature[None]:
            return self.task("billing.charge", cents, key=self.key())

    calls = []

    def charge(cents, key):
        calls.append(cents)
        if len(calls) < 5:
            raise RetryAfter(60, counts=counts)

    assert run_inline(Bill, 5, tasks={"billing.charge": charge}).state is state
    assert len(calls) == (2 if counts else 5)
