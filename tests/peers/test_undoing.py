"""Undoing: retried, awaited, in order, once, never skipped in silence."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from celery.canvas import Signature

from saga_celery import Resolution, Retry, Saga, parallel, step
from saga_celery.core.draft import NotAllowed
from saga_celery.core.events import OperatorAsked, Verb
from saga_celery.core.states import Direction, Reason, SagaStatus, StepStatus
from saga_celery.engine.failures import failure_named
from saga_celery.testing import run_inline
from tests.peers.world import Killed, World


class Broken(Exception):
    pass


def trip() -> type[Saga[int]]:
    """Hotel, flight and car; each undone by a task of its own, which is tried twice."""

    class Trip(Saga[int]):
        name = "peers.trip"

        @step()
        def hotel(self, n: int) -> Signature[str]:
            return self.task("hotel", key=self.key())

        @hotel.compensate(retry=Retry(attempts=2))
        def no_hotel(self, n: int, hotel: str) -> Signature[None]:
            return self.task("no_hotel", hotel, key=self.key())

        @step()
        def flight(self, n: int) -> Signature[str]:
            return self.task("flight", key=self.key())

        @flight.compensate(retry=Retry(attempts=2))
        def no_flight(self, n: int, flight: str) -> Signature[None]:
            return self.task("no_flight", flight, key=self.key())

        @step(retry=Retry(attempts=1), no_compensation="the last one")
        def car(self, n: int) -> Signature[str]:
            return self.task("car", key=self.key())

    return Trip


def failing(times: int, error: type[Exception] = Broken) -> Any:
    """A task that raises so many times, and then works."""
    left = [times]

    def task(*args: Any, **kwargs: Any) -> str:
        if left[0]:
            left[0] -= 1
            raise error("no luck")
        return "done"

    return task


def ask(verb: Verb, **more: Any) -> OperatorAsked:
    return OperatorAsked(verb=verb, actor="ann", reason="a test", **more)


@pytest.mark.peer_bug("C1")
def test_an_undo_that_fails_is_tried_again(world: World) -> None:
    world.tasks = {"car": failing(99), "no_flight": failing(1)}
    assert world.until_ended(world.start(trip())) == [SagaStatus.COMPENSATED]
    assert world.calls == ["hotel", "flight", "car", "no_flight", "no_flight", "no_hotel"]


@pytest.mark.peer_bug("C2", "F4", "P13")
@pytest.mark.parametrize("verb", [Verb.RETRY, Verb.SKIP])
def test_an_undo_that_fails_for_good_is_shown_and_the_earlier_ones_follow(world: World, verb: Verb) -> None:
    world.tasks = {"car": failing(99), "no_flight": failing(2)}
    saga_id = world.start(trip())
    assert world.until_ended(saga_id) == [SagaStatus.FAILED]
    (letter,) = world.store.queries.dead_letters()
    assert (letter.saga_id, letter.letter.step, letter.letter.reason) == (
        saga_id,
        "flight",
        Reason.COMPENSATION_EXHAUSTED,
    )
    assert "no luck" in letter.letter.detail
    assert "no_hotel" not in world.calls

    world.handle(saga_id, ask(verb))
    assert world.until_ended(saga_id) == [SagaStatus.COMPENSATED]
    assert world.calls.count("no_hotel") == 1
    assert world.calls.count("no_flight") == (3 if verb is Verb.RETRY else 2)
    assert world.store.queries.dead_letters() == []


@pytest.mark.peer_bug("C3")
def test_an_undo_that_no_worker_knows_is_never_taken_for_done(world: World) -> None:
    world.tasks = {"car": failing(99)}
    saga_id = world.start(trip())
    for task in ("hotel", "flight"):
        world.succeed(world.take(task), "done")
    world.fail(world.take("car"), Broken("no cars"))
    for _ in range(2):
        world.handle(saga_id, _unregistered(world.take("no_flight")))
        world.clock.turn(60.0)
        world.sweeper.tick()
    assert world.status(saga_id) is SagaStatus.FAILED
    (letter,) = world.state(saga_id).letters
    assert (letter.reason, letter.step) == (Reason.COMPENSATION_EXHAUSTED, "flight")
    assert "no task 'no_flight'" in letter.detail


def _unregistered(message: Any) -> Any:
    from saga_celery.core.events import AttemptFailed

    failure = failure_named("UnregisteredTask", "no task 'no_flight' is registered", step=message.slot.step)
    return AttemptFailed(slot=message.slot, attempt=message.attempt, failure=failure)


@pytest.mark.peer_bug("F2")
def test_each_undo_is_awaited_before_the_next_one_and_before_the_end(world: World) -> None:
    saga_id = world.start(trip())
    for task in ("hotel", "flight"):
        world.succeed(world.take(task), "done")
    world.fail(world.take("car"), Broken("no cars"))
    assert [each.message.task for each in world.broker.messages] == ["no_flight"]
    assert world.status(saga_id) is SagaStatus.COMPENSATING
    world.succeed(world.take("no_flight"))
    assert [each.message.task for each in world.broker.messages] == ["no_hotel"]
    assert world.status(saga_id) is SagaStatus.COMPENSATING
    world.succeed(world.take("no_hotel"))
    assert world.status(saga_id) is SagaStatus.COMPENSATED


@pytest.mark.peer_bug("C9")
def test_news_that_come_twice_undo_once(world: World) -> None:
    saga_id = world.start(trip())
    hotel = world.take("hotel")
    for _ in range(2):
        world.succeed(hotel, "h-1")
    flight = world.take("flight")
    for _ in range(2):
        world.succeed(flight, "f-1")
    car = world.take("car")
    for _ in range(3):
        world.fail(car, Broken("no cars"))
    undo = world.take("no_flight")
    assert not world.broker.messages
    for _ in range(2):
        world.succeed(undo)
    world.fail(undo, Broken("a late one"))
    world.run()
    assert world.calls == ["no_hotel"]
    assert world.status(saga_id) is SagaStatus.COMPENSATED
    world.fail(car, Broken("no cars"))
    world.succeed(undo)
    assert world.status(saga_id) is SagaStatus.COMPENSATED
    assert not world.broker.messages


@pytest.mark.peer_bug("P6")
@pytest.mark.parametrize("keyed", [True, False])
def test_an_undo_has_a_lease_and_is_doubled_only_when_that_is_safe(world: World, keyed: bool) -> None:
    class Once(Saga[int]):
        name = "peers.once"

        @step()
        def hold(self, n: int) -> Signature[str]:
            return self.task("hold", key=self.key())

        @hold.compensate(timeout=20)
        def free(self, n: int) -> Signature[None]:
            return self.task("free", key=self.key()) if keyed else self.task("free")

        @step(retry=Retry(attempts=1), no_compensation="the last one")
        def car(self, n: int) -> Signature[str]:
            return self.task("car", key=self.key())

    saga_id = world.start(Once)
    world.succeed(world.take("hold"), "h")
    world.fail(world.take("car"), Broken("no cars"))
    undo = world.take("free")
    world.begin(undo)
    world.clock.turn(15.0)
    world.sweeper.tick()
    assert not world.broker.messages, "its lease is not over"
    world.clock.turn(10.0)
    world.sweeper.tick()
    world.clock.turn(2.0)
    world.sweeper.tick()
    if keyed:
        again = world.take("free")
        assert (again.slot, again.attempt) == (undo.slot, 2)
        assert again.message == undo.message
    else:
        assert not world.broker.messages
        assert world.status(saga_id) is SagaStatus.FAILED
        assert [letter.reason for letter in world.state(saga_id).letters] == [Reason.IN_DOUBT]


@pytest.mark.peer_bug("C4", "P3", "F5")
def test_a_step_that_raised_after_its_effect_is_undone_even_the_first_one(world: World) -> None:
    class Charge(Saga[int]):
        name = "peers.charge"

        @step(retry=Retry(attempts=2))
        def charge(self, n: int) -> Signature[str]:
            return self.task("charge", key=self.key())

        @charge.compensate(null_safe=True)
        def refund(self, n: int, charge: str | None) -> Signature[None]:
            return self.task("refund", charge, key=self.key_of("charge"))

    world.tasks = {"charge": failing(99, TimeoutError)}
    saga_id = world.start(Charge)
    assert world.until_ended(saga_id) == [SagaStatus.COMPENSATED]
    assert world.calls == ["charge", "charge", "refund"]


@pytest.mark.peer_bug("C4", "P3", "F5")
def test_a_step_of_unknown_outcome_is_never_passed_over(world: World) -> None:
    class Charge(Saga[int]):
        name = "peers.charge"

        @step()
        def charge(self, n: int) -> Signature[str]:
            return self.task("charge")

        @charge.compensate
        def refund(self, n: int, charge: str) -> Signature[None]:
            return self.task("refund", charge, key=self.key())

    def killed() -> None:
        raise Killed

    world.tasks = {"charge": killed}
    saga_id = world.start(Charge)
    assert world.until_ended(saga_id) == [SagaStatus.FAILED]
    assert world.calls == ["charge"]
    state = world.state(saga_id)
    assert [letter.reason for letter in state.letters] == [Reason.IN_DOUBT]
    assert state.steps[("charge", 0)].status is StepStatus.IN_DOUBT

    world.handle(saga_id, ask(Verb.RESOLVE, resolution=Resolution.NEVER))
    assert world.until_ended(saga_id) == [SagaStatus.COMPENSATED]
    assert world.calls == ["charge"], "nothing took effect, so nothing is undone"


@pytest.mark.peer_bug("C6")
@pytest.mark.parametrize("null_safe", [True, False])
def test_an_effect_whose_result_is_no_json_is_undone_or_shown(null_safe: bool) -> None:
    class Odd(Saga[int]):
        name = "peers.odd"

        @step()
        def charge(self, n: int) -> Signature[str]:
            return self.task("charge", key=self.key())

        @charge.compensate(null_safe=null_safe)
        def refund(self, n: int, charge: str | None) -> Signature[None]:
            return self.task("refund", key=self.key_of("charge"))

    run = run_inline(Odd, 1, tasks={"charge": lambda key: object(), "refund": lambda key: None})
    if null_safe:
        assert run.state is SagaStatus.COMPENSATED
        assert run.calls == (("charge", "charge"), ("charge (compensation)", "refund"))
    else:
        assert run.state is SagaStatus.FAILED
        assert [letter.reason for letter in run.stored.letters] == [Reason.IN_DOUBT]
        assert "JSON" in run.stored.letters[0].detail


@pytest.mark.peer_bug("P4")
def test_a_completed_saga_is_not_aborted_and_what_is_in_flight_is_undone(world: World) -> None:
    done = world.start(trip())
    world.run()
    assert world.status(done) is SagaStatus.COMPLETED
    with pytest.raises(NotAllowed, match="COMPLETED"):
        world.handle(done, ask(Verb.CANCEL))

    under_way = world.start(trip())
    world.succeed(world.take("hotel"), "h-1")
    flight = world.take("flight")
    world.handle(under_way, ask(Verb.CANCEL))
    assert world.status(under_way) is SagaStatus.RUNNING, "the outcome of the flight is awaited"
    world.succeed(flight, "f-1")
    undo = world.take("no_flight")
    assert undo.message.args == ("f-1",)
    world.succeed(undo)
    world.succeed(world.take("no_hotel"))
    assert world.status(under_way) is SagaStatus.COMPENSATED


@pytest.mark.peer_bug("P13")
def test_what_waits_for_a_person_can_be_found_skipped_resolved_and_retried(world: World) -> None:
    world.tasks = {"car": failing(99), "no_flight": failing(99)}
    saga_id = world.start(trip(), tags={"customer": "7"})
    world.until_ended(saga_id)
    assert [row.id for row in world.store.queries.find(status=SagaStatus.FAILED, tags={"customer": "7"})] == [saga_id]
    assert [row.id for row in world.store.queries.find(stuck=True)] == [saga_id]
    world.handle(saga_id, ask(Verb.SKIP))
    assert world.until_ended(saga_id) == [SagaStatus.COMPENSATED]
    (acted,) = [entry.actor for entry in world.store.queries.history(saga_id) if entry.actor]
    assert acted == "ann"


# ── side by side ─────────────────────────────────────────────────────────────────────────────────────────────────────


def party(branches: int = 3) -> type[Saga[int]]:
    assert branches == 3

    class Party(Saga[int]):
        name = "peers.party"

        with parallel():

            @step(retry=Retry(attempts=1))
            def cake(self, n: int) -> Signature[str]:
                return self.task("cake", key=self.key())

            @cake.compensate
            def no_cake(self, n: int, cake: str) -> Signature[None]:
                return self.task("no_cake", cake, key=self.key())

            @step(retry=Retry(attempts=1))
            def band(self, n: int) -> Signature[str]:
                return self.task("band", key=self.key())

            @band.compensate
            def no_band(self, n: int, band: str) -> Signature[None]:
                return self.task("no_band", band, key=self.key())

            @step(retry=Retry(attempts=1))
            def hall(self, n: int) -> Signature[str]:
                return self.task("hall", key=self.key())

            @hall.compensate
            def no_hall(self, n: int, hall: str) -> Signature[None]:
                return self.task("no_hall", hall, key=self.key())

    return Party


@pytest.mark.peer_bug("C7")
def test_branches_that_end_at_the_same_moment_do_not_erase_each_other(world: World) -> None:
    from threading import Barrier, Thread

    kind = party()
    for _ in range(5):
        saga_id = world.start(kind)
        messages = [world.take(task) for task in ("cake", "band", "hall")]
        line = Barrier(3)

        def report(message: Any, line: Barrier = line) -> None:
            line.wait(10)
            if message.message.task == "hall":
                world.fail(message, Broken("no hall"))
            else:
                world.succeed(message, message.message.task)

        threads = [Thread(target=report, args=(message,)) for message in messages]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        world.calls.clear()
        world.run()
        assert world.status(saga_id) is SagaStatus.COMPENSATED
        assert Counter(world.calls) == {"no_cake": 1, "no_band": 1}


@pytest.mark.peer_bug("C8")
def test_nothing_is_undone_and_nothing_reported_while_a_sibling_runs(world: World) -> None:
    saga_id = world.start(party())
    cake, band, hall = (world.take(task) for task in ("cake", "band", "hall"))
    world.succeed(cake, "c")
    world.fail(hall, Broken("no hall"))
    assert world.status(saga_id) is SagaStatus.RUNNING
    assert not world.broker.messages
    world.succeed(band, "b")
    assert world.status(saga_id) is SagaStatus.COMPENSATING
    world.fail(hall, Broken("no hall"))
    world.run()
    assert Counter(world.calls) == {"no_cake": 1, "no_band": 1}
    assert world.status(saga_id) is SagaStatus.COMPENSATED


@pytest.mark.peer_bug("C17")
def test_the_queue_of_an_undo_is_its_own(world: World) -> None:
    class Till(Saga[int]):
        name = "peers.till"

        @step()
        def charge(self, n: int) -> Signature[str]:
            return self.task("charge", key=self.key()).set(queue="till", priority=3)

        @charge.compensate
        def refund(self, n: int) -> Signature[None]:
            return self.task("refund", key=self.key()).set(queue="till.undo", priority=9)

        @step(retry=Retry(attempts=1), no_compensation="the last one")
        def car(self, n: int) -> Signature[str]:
            return self.task("car", key=self.key())

    world.start(Till)
    charge = world.take("charge")
    world.succeed(charge, "c")
    world.fail(world.take("car"), Broken("no cars"))
    undo = world.take("refund")
    assert undo.slot.direction is Direction.COMPENSATION
    assert (charge.message.options, undo.message.options) == (
        {"queue": "till", "priority": 3},
        {"queue": "till.undo", "priority": 9},
    )
