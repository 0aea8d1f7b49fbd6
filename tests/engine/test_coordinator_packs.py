"""The coordinator packs what news bring, before the machine sees it."""

from __future__ import annotations

from typing import Any

import pytest

from saga_celery.core import events as e
from saga_celery.core.states import Failure, Message, SagaStatus, Slot
from saga_celery.engine.coordinator import Coordinator
from saga_celery.engine.packed import is_packed
from saga_celery.engine.payloads import Packer, Payload
from saga_celery.engine.ports import Change
from saga_celery.errors import PayloadUnavailable
from tests.core.stories import linear
from tests.engine.fakes import FakeRenderer, FakeStore, FakeTransport, flat_backoff
from tests.engine.test_packing import Memory, payloads

A, B = Slot("a"), Slot("b")
LARGE = "x" * 50


class PackingStore(FakeStore):
    """Takes down what is to be kept, and may be overtaken."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[tuple[Payload, ...]] = []
        self.conflicts = 0

    def save(self, change: Change) -> bool:
        if self.conflicts:
            self.conflicts -= 1
            return False
        self.kept.append(change.payloads)
        return super().save(change)


class House:
    def __init__(self, memory: Memory | None = None, *, parks: bool = False) -> None:
        self.store = PackingStore()
        self.transport = FakeTransport()
        self.renderer = FakeRenderer()
        packer = payloads(memory, with_transition=memory is None).packer()
        assert packer is not None
        self.packer: Packer = packer
        self.coordinator = Coordinator(
            store=self.store,
            transport=self.transport,
            renderer=self.renderer,
            backoff=flat_backoff,
            parks_render_failures=parks,
            packer=packer,
        )
        self.store.start(linear("a", "b"))

    def handle(self, *news: e.News) -> Any:
        for each in news:
            self.coordinator.handle("s1", each)
        return self.store.sagas["s1"]


def done(slot: Slot, result: Any) -> e.AttemptSucceeded:
    return e.AttemptSucceeded(slot=slot, attempt=1, result=result)


def test_large_results_and_arguments_are_kept_with_their_transition() -> None:
    house = House()
    house.renderer.answers[("b", "action")] = lambda state: e.Rendered(
        slot=B,
        message=Message(task="t", args=(house.packer.opened("s1", state.steps[("a", 0)].result), LARGE * 2)),
        policy=house.renderer.policy,
    )
    state = house.handle(e.Nudged(), done(A, LARGE))

    result = state.steps[("a", 0)].result
    assert is_packed(result)
    assert state.steps[("b", 0)].action.message.args[0] == result
    assert [len(kept) for kept in house.store.kept] == [0, 2]
    assert house.transport.sent[-1].message.args[0] == result


def test_what_is_small_is_left_as_it_is() -> None:
    house = House()
    assert house.handle(e.Nudged(), done(A, 7)).steps[("a", 0)].result == 7
    assert house.store.kept == [(), ()]


def test_an_attempt_that_was_overtaken_leaves_nothing_behind() -> None:
    house = House()
    house.handle(e.Nudged())
    house.store.conflicts = 3
    house.handle(done(A, LARGE))
    assert [len(kept) for kept in house.store.kept] == [0, 1]


def test_news_that_change_nothing_keep_nothing() -> None:
    memory = Memory()
    house = House(memory)
    house.handle(e.Nudged(), done(A, 7), done(A, LARGE))
    assert memory.bodies == {}


def test_a_failure_of_the_sagas_code_is_left_to_those_who_park() -> None:
    broken = Failure(type="ValueError")
    for parks, status in ((False, SagaStatus.RUNNING), (True, SagaStatus.FAILED)):
        house = House(parks=parks)
        house.renderer.answers[("a", "action")] = e.RenderFailed(slot=A, failure=broken)
        assert house.handle(e.Nudged()).status is status


def test_a_payload_store_that_is_away_stores_nothing() -> None:
    memory = Memory()
    house = House(memory)
    house.handle(e.Nudged())
    memory.trouble = OSError("away")
    with pytest.raises(PayloadUnavailable):
        house.handle(done(A, LARGE))
    assert house.store.sagas["s1"].version == 1
    memory.trouble = None
    assert is_packed(house.handle(done(A, LARGE)).steps[("a", 0)].result)
    assert len(memory.bodies) == 1
