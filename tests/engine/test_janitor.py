"""The janitor: a step at each tick, a rest after each round, and nothing that stops the sweeper."""

import pytest

from saga_celery.engine.coordinator import Coordinator
from saga_celery.engine.janitor import ROUND_EVERY, Janitor
from saga_celery.engine.sweeper import Sweeper
from saga_celery.errors import StoreUnavailable
from tests.engine.fakes import FakeRenderer, FakeStore, FakeTransport, flat_backoff


class Clearing:
    """Rounds of so many steps; a step may be an exception."""

    def __init__(self, *steps):
        self.steps, self.rounds, self.done, self.now = steps, 0, [], 0.0

    def begin(self):
        self.rounds += 1
        return self._round()

    def _round(self):
        for step in self.steps:
            if isinstance(step, Exception):
                raise step
            self.done.append(step)
            yield step

    def janitor(self):
        return Janitor(self.begin, elapsed=lambda: self.now)


def test_a_sweeper_takes_one_step_at_each_tick_and_a_rest_after_each_round():
    clearing = Clearing("a", "b")
    store, transport = FakeStore(), FakeTransport()
    coordinator = Coordinator(
        store=store, transport=transport, renderer=FakeRenderer(), backoff=flat_backoff, parks_render_failures=False
    )
    sweeper = Sweeper(store=store, transport=transport, coordinator=coordinator, janitor=clearing.janitor())
    for done in (["a"], ["a", "b"], ["a", "b"], ["a", "b"]):
        assert not sweeper.tick().more
        assert clearing.done == done
    clearing.now = ROUND_EVERY - 1
    sweeper.tick()
    assert clearing.rounds == 1
    clearing.now = ROUND_EVERY
    sweeper.tick()
    assert (clearing.rounds, clearing.done) == (2, ["a", "b", "a"])


def test_what_goes_wrong_is_logged_and_tried_again_in_the_next_round(caplog):
    clearing = Clearing("a", ValueError("a store of the user's own"))
    janitor = clearing.janitor()
    for _ in range(4):
        janitor.ticked()
    assert "could not clear away" in caplog.text
    assert clearing.rounds == 1
    clearing.now = ROUND_EVERY
    janitor.ticked()
    assert clearing.done == ["a", "a"]


def test_an_outage_is_the_sweepers_to_tell(caplog):
    clearing = Clearing(StoreUnavailable("gone"))
    janitor = clearing.janitor()
    with pytest.raises(StoreUnavailable):
        janitor.ticked()
    janitor.ticked()
    assert (clearing.rounds, caplog.text) == (1, "")
