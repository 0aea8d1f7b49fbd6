"""Going on: nothing is lost between two steps, nothing runs twice without leave, nobody's trouble is everybody's."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from threading import Barrier, Thread, get_ident
from typing import Any

import pytest
import sqlalchemy as sa
from celery.canvas import Signature
from pydantic import BaseModel

from saga_celery import DefinitionError, Retry, Saga, step
from saga_celery.core import events as e
from saga_celery.core.states import Reason, SagaStatus, TurnKind
from saga_celery.definition import registry
from saga_celery.engine.ports import Running
from saga_celery.store.schema import metadata
from saga_celery.testing import run_inline
from tests.peers.world import Killed, World


class Broken(Exception):
    pass


def pair(title: str = "peers.pair", *, safe: bool = True, attempts: int = 3) -> type[Saga[int, str]]:
    """Two steps; `safe` ones carry their key."""

    class Pair(Saga[int, str]):
        name = title

        @step(timeout=20, retry=Retry(attempts=attempts if safe else 1))
        def first(self, n: int) -> Signature[str]:
            return self.task("first", key=self.key()) if safe else self.task("first")

        @first.compensate
        def undo(self, n: int, first: str) -> Signature[None]:
            return self.task("undo", first, key=self.key())

        @step(timeout=20, retry=Retry(attempts=attempts), no_compensation="the last one")
        def second(self, n: int, first: str) -> Signature[str]:
            return self.task("second", first, key=self.key())

        def result(self, n: int, second: str) -> str:
            return second

    return Pair


def killed(*args: Any, **kwargs: Any) -> None:
    raise Killed


def broken(*args: Any, **kwargs: Any) -> None:
    raise Broken("no luck")


# ── what is lost ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.peer_bug("C11", "F6", "P1", "P11")
def test_whatever_message_is_lost_between_two_transitions_the_saga_ends(world: World) -> None:
    """The broker forgets everything after every single transition."""
    saga_id = world.start(pair())
    versions = set()
    for _ in range(200):
        if world.status(saga_id).ended:
            break
        assert world.awaited(saga_id) > 0, "nothing would ever come back to it"
        versions.add(world.state(saga_id).version)
        world.broker.lose_everything()
        world.clock.turn(700.0)
        world.sweeper.tick()
        if world.broker.nudges:
            world.handle(world.broker.nudges.popleft(), e.Nudged())
        elif world.broker.messages:
            world.succeed(world.broker.messages.popleft(), "done")
    assert world.status(saga_id) is SagaStatus.COMPLETED
    assert world.awaited(saga_id) == 0
    assert len(versions) >= 3


@pytest.mark.peer_bug("C11", "F6", "P11")
def test_what_the_broker_refuses_goes_out_when_it_is_back(world: World) -> None:
    saga_id = world.start(pair())
    world.broker.lose_everything()
    world.broker.down = True
    world.handle(saga_id, e.Nudged())
    for _ in range(5):
        world.clock.turn(30.0)
        world.sweeper.tick()
    assert world.status(saga_id) is SagaStatus.RUNNING
    world.broker.down = False
    assert world.until_ended(saga_id) == [SagaStatus.COMPLETED]
    assert world.calls == ["first", "second"]
    assert world.state(saga_id).steps[("first", 0)].action.attempt == 1, "a message that never went out is no attempt"


@pytest.mark.peer_bug("P11")
def test_what_a_dead_sweeper_had_claimed_is_found_by_the_next_one(world: World) -> None:
    saga_id = world.start(pair())
    world.broker.lose_everything()
    world.clock.turn(11.0)
    assert world.store.overdue(200, 30.0), "the sweeper that dies here has the row in its hands"
    world.sweeper.tick()
    assert not world.broker.nudges, "the other one respects that"
    world.pass_time(31.0)
    assert world.status(saga_id) is SagaStatus.COMPLETED


@pytest.mark.peer_bug("P1")
def test_between_two_steps_an_operator_can_still_act(world: World) -> None:
    saga_id = world.start(pair())
    world.succeed(world.take("first"), "f-1")
    world.broker.lose_everything()
    world.handle(saga_id, e.OperatorAsked(verb=e.Verb.CANCEL, actor="ann", reason="changed my mind"))
    world.tasks = {"second": broken}
    assert world.until_ended(saga_id) == [SagaStatus.COMPENSATED]


@pytest.mark.peer_bug("C15")
def test_a_saga_of_a_year_ago_is_still_undone(world: World) -> None:
    saga_id = world.start(pair())
    world.succeed(world.take("first"), "f-1")
    world.broker.lose_everything()
    world.clock.turn(timedelta(days=400).total_seconds())
    world.tasks = {"second": broken}
    assert world.until_ended(saga_id) == [SagaStatus.COMPENSATED]
    assert world.calls == ["second", "second", "second", "undo"]
    assert world.state(saga_id).input == 1


@pytest.mark.peer_bug("C11", "F6")
@pytest.mark.parametrize("why", ["no process has its class", "nobody consumes the queue"])
def test_what_only_ever_repeats_itself_is_listed_as_stuck(world: World, why: str, monkeypatch: Any) -> None:
    """The sweeper comes back again and again, but a person has to see that it does so in vain.

    A class that no process has is a dead letter in the end, and the saga goes on when a process has it again.
    """
    classless = why == "no process has its class"
    saga_id = world.start(pair())
    known = dict(registry._sagas)
    if classless:
        monkeypatch.setattr(registry, "_sagas", {})
    for minutes in range(120):
        world.nudged()
        world.broker.messages.clear()
        world.clock.turn(60.0)
        world.sweeper.tick()
        if minutes == 8:
            assert not world.status(saga_id).ended
            assert [row.id for row in world.store.queries.find(stuck=True)] == [saga_id]
    assert world.status(saga_id) is (SagaStatus.FAILED if classless else SagaStatus.RUNNING)
    assert [row.id for row in world.store.queries.find(stuck=True)] == [saga_id]
    if classless:
        assert "no worker that took this saga up has a saga class named" in world.state(saga_id).letters[0].detail
        monkeypatch.setattr(registry, "_sagas", known)
        world.clock.turn(600.0)
        world.sweeper.tick()
        world.nudged()
        assert world.status(saga_id) is SagaStatus.RUNNING


# ── what comes twice ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.peer_bug("C10", "F3")
def test_news_of_a_success_that_come_again_start_nothing_again(world: World) -> None:
    saga_id = world.start(pair())
    first = world.take("first")
    for _ in range(3):
        world.succeed(first, "f-1")
    assert [each.message.task for each in world.broker.messages] == ["second"]
    second = world.take("second")
    world.succeed(first, "f-1")
    world.succeed(second, "s-1")
    world.succeed(second, "s-1")
    world.succeed(first, "f-1")
    assert not world.broker.messages
    assert world.status(saga_id) is SagaStatus.COMPLETED


@pytest.mark.peer_bug("C10", "P5", "P8")
def test_a_second_copy_is_refused_while_the_first_one_lives(world: World) -> None:
    world.start(pair(safe=False))
    message = world.take("first")
    assert message.claim
    granted = world.begin(message, "w1@host:1")
    assert granted is not None
    assert any(isinstance(fact, e.AttemptClaimed) for fact in granted.facts)
    copy = e.AttemptStarted(slot=message.slot, attempt=message.attempt, worker="w2@host:2", rival_alive=True)
    refused = world.handle(message.saga_id, copy)
    assert refused is not None
    assert refused.facts == ()


@pytest.mark.peer_bug("P8")
def test_two_drivers_send_a_step_once(world: World) -> None:
    kind = pair()
    for _ in range(5):
        saga_id = world.start(kind)
        world.broker.lose_everything()
        line = Barrier(4)

        def drive(saga_id: str = saga_id, line: Barrier = line) -> None:
            line.wait(10)
            world.handle(saga_id, e.Nudged())

        threads = [Thread(target=drive) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert [(each.slot.step, each.attempt) for each in world.broker.messages] == [("first", 1)]


@pytest.mark.peer_bug("P5")
def test_a_step_that_its_worker_still_runs_is_left_alone_until_its_timeout(world: World) -> None:
    class Long(Saga[int]):
        name = "peers.long"

        @step(timeout=3600, no_compensation="the only one")
        def work(self, n: int) -> Signature[str]:
            return self.task("work", key=self.key())

    saga_id = world.start(Long)
    message = world.take("work")
    world.begin(message)
    for minute in range(58):
        running = Running(
            saga_id=saga_id,
            slot=message.slot,
            attempt=1,
            worker="w1@host:1",
            started=True,
            seconds=minute * 60.0,
        )
        world.store.beat("w1@host:1", [running])
        world.clock.turn(10.0)
        world.sweeper.tick()
        world.clock.turn(50.0)
    assert not world.broker.messages, "it was sent again, though it runs"
    world.clock.turn(120.0)
    world.store.beat("w1@host:1", [Running(**{**_parts(running), "seconds": 3601.0})])
    for _ in range(2):
        world.clock.turn(10.0)
        world.sweeper.tick()
    assert [(each.slot.step, each.attempt) for each in world.broker.messages] == [("work", 2)]


def _parts(running: Running) -> dict[str, Any]:
    return {name: getattr(running, name) for name in ("saga_id", "slot", "attempt", "worker", "started", "seconds")}


@pytest.mark.peer_bug("P7")
def test_a_step_that_kills_every_worker_does_not_loop_for_ever(world: World) -> None:
    world.tasks = {"second": killed}
    saga_id = world.start(pair(attempts=3))
    assert world.until_ended(saga_id) == [SagaStatus.FAILED]
    assert world.calls == ["first", "second", "second", "second"]
    assert [letter.reason for letter in world.state(saga_id).letters] == [Reason.IN_DOUBT]


@pytest.mark.peer_bug("P16")
def test_a_step_that_returns_nothing_has_succeeded(world: World) -> None:
    class Quiet(Saga[int]):
        name = "peers.quiet"

        @step()
        def mail(self, n: int) -> Signature[None]:
            return self.task("mail", key=self.key())

        @mail.compensate
        def sorry(self, n: int, mail: None) -> Signature[None]:
            return self.task("sorry", key=self.key())

        @step(no_compensation="the last one")
        def after(self, n: int, mail: None) -> Signature[str]:
            return self.task("after", key=self.key())

    world.tasks = {"mail": lambda key: None}
    assert world.until_ended(world.start(Quiet)) == [SagaStatus.COMPLETED]
    assert world.calls == ["mail", "after"]


# ── whose trouble it is ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.peer_bug("P2", "P15")
def test_a_poisoned_saga_parks_and_the_others_of_its_batch_go_on(world: World) -> None:
    class Poisoned(Saga[int]):
        name = "peers.poisoned"

        @step(no_compensation="the only one")
        def first(self, n: int) -> Signature[str]:
            raise LookupError(f"no column {n}")

    before, after = world.start(pair()), None
    poisoned = [world.start(Poisoned, number) for number in range(3)]
    after = world.start(pair())
    world.broker.lose_everything()
    world.pass_time(11.0)
    assert world.until_ended(before, after) == [SagaStatus.COMPLETED] * 2
    for number, saga_id in enumerate(poisoned):
        state = world.state(saga_id)
        assert state.status is SagaStatus.FAILED
        assert [letter.reason for letter in state.letters] == [Reason.RENDER_FAILED]
        assert f"no column {number}" in state.letters[0].detail
        assert world.awaited(saga_id) == 0, "it is not tried again and again"


@pytest.mark.peer_bug("P2")
def test_a_row_that_the_sweeper_can_not_deal_with_does_not_stop_the_batch(world: World) -> None:
    good, bad = world.start(pair()), world.start(pair())
    world.broker.lose_everything()
    with world.store.connections.transaction() as connection:
        connection.execute(sa.text("UPDATE saga_awaited SET awaited = 'deadline' WHERE saga_id = :id"), {"id": bad})
        connection.execute(sa.text("UPDATE saga SET input = '{' WHERE id = :id"), {"id": bad})
    world.pass_time(11.0)
    assert world.until_ended(good) == [SagaStatus.COMPLETED]


@pytest.mark.peer_bug("P15")
def test_the_sweeper_runs_no_code_of_a_saga(world: World) -> None:
    """So no saga, however slow its code is, keeps it from looking after the others."""
    ran_in = []

    class Slow(Saga[int]):
        name = "peers.slow"

        @step(no_compensation="the only one")
        def first(self, n: int) -> Signature[str]:
            ran_in.append(get_ident())
            return self.task("first", key=self.key())

    world.start(Slow)
    world.broker.lose_everything()
    for _ in range(5):
        world.clock.turn(30.0)
        assert world.sweeper.tick().failed == 0
    assert ran_in == []
    assert world.broker.nudges


@pytest.mark.peer_bug("F7")
def test_a_saga_whose_own_code_raises_at_its_end_is_shown_and_goes_on_when_mended(world: World) -> None:
    class Ending(Saga[int, str]):
        name = "peers.ending"
        mended = False

        @step(no_compensation="the only one")
        def first(self, n: int) -> Signature[str]:
            return self.task("first", key=self.key())

        def result(self, n: int, first: str) -> str:
            if not Ending.mended:
                raise KeyError("total")
            return first

    saga_id = world.start(Ending)
    assert world.until_ended(saga_id) == [SagaStatus.FAILED]
    (letter,) = world.state(saga_id).letters
    assert (letter.reason, "KeyError" in letter.detail) == (Reason.RENDER_FAILED, True)
    Ending.mended = True
    world.handle(saga_id, e.OperatorAsked(verb=e.Verb.RETRY, actor="ann", reason="mended"))
    assert world.until_ended(saga_id) == [SagaStatus.COMPLETED]
    assert world.state(saga_id).result == "done"
    assert world.calls == ["first"]


@pytest.mark.peer_bug("F8")
def test_two_sagas_share_a_participant(world: World) -> None:
    one, other = world.start(pair("peers.one")), world.start(pair("peers.other"))
    assert world.until_ended(one, other) == [SagaStatus.COMPLETED] * 2
    assert Counter(world.calls) == {"first": 2, "second": 2}


# ── what is written down ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.peer_bug("F1", "F5")
def test_every_success_and_failure_of_every_step_is_written_down(world: World) -> None:
    world.tasks = {"second": broken}
    saga_id = world.start(pair(attempts=2))
    assert world.until_ended(saga_id) == [SagaStatus.COMPENSATED]
    facts = [fact for entry in world.store.queries.history(saga_id) for fact in entry.facts]
    succeeded = [(fact.slot.step, fact.attempt) for fact in facts if isinstance(fact, e.StepSucceeded)]
    failures = [fact for fact in facts if isinstance(fact, e.AttemptEnded)]
    assert succeeded == [("first", 1)]
    assert [(fact.slot.step, fact.attempt) for fact in failures] == [("second", 1), ("second", 2)]
    assert all(fact.failure.message == "no luck" for fact in failures)
    assert [fact.slot.step for fact in facts if isinstance(fact, e.StepCompensated)] == ["first"]
    turn = world.state(saga_id).turn
    assert turn is not None
    assert turn.step == "second"


@pytest.mark.peer_bug("C18")
def test_results_of_steps_do_not_overwrite_each_other() -> None:
    class Twice(Saga[int, list[int]]):
        name = "peers.twice"

        @step(no_compensation="a test")
        def left(self, n: int) -> Signature[dict[str, int]]:
            return self.task("count", 1, key=self.key())

        @step(no_compensation="a test")
        def right(self, n: int) -> Signature[dict[str, int]]:
            return self.task("count", 2, key=self.key())

        def result(self, n: int, left: dict[str, int], right: dict[str, int]) -> list[int]:
            return [left["id"], right["id"]]

    run = run_inline(Twice, 1, tasks={"count": lambda number, key: {"id": number}})
    assert run.result == [1, 2]


@pytest.mark.peer_bug("C18")
def test_sagas_that_are_rendered_at_the_same_time_do_not_mix(world: World) -> None:
    kinds = [pair(f"peers.mixed{number}") for number in range(4)]
    saga_ids = [world.start(kind, number) for number, kind in enumerate(kinds)]
    world.broker.lose_everything()
    line = Barrier(len(saga_ids))

    def drive(saga_id: str) -> None:
        line.wait(10)
        world.handle(saga_id, e.Nudged())

    threads = [Thread(target=drive, args=(saga_id,)) for saga_id in saga_ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    keys = {each.saga_id: each.message.kwargs["key"] for each in world.broker.messages}
    assert set(keys) == set(saga_ids)
    assert all(key.startswith(f"{saga_id}:first:") for saga_id, key in keys.items())


@pytest.mark.peer_bug("C16")
def test_everything_that_is_stored_is_text_or_plain_json(world: World) -> None:
    class Line(BaseModel):
        sku: str

    class Typed(Saga[Line]):
        name = "peers.typed"

        @step(no_compensation="the only one")
        def first(self, line: Line) -> Signature[str]:
            return self.task("first", line, key=self.key())

    saga_id = world.start(Typed, Line(sku="tea"))
    world.until_ended(saga_id)
    with world.store.connections.autocommit() as connection:
        for table in metadata.sorted_tables:
            for row in connection.execute(sa.select(table)).mappings():
                for value in row.values():
                    assert not isinstance(value, bytes)
                    if isinstance(value, str) and value[:1] in "{[":
                        json.loads(value)


@pytest.mark.peer_bug("C16")
def test_a_lambda_is_no_step() -> None:
    with pytest.raises(DefinitionError):

        class Lambda(Saga[int]):
            name = "peers.lambda"
            first = step(lambda self, n: self.task("first"))


@pytest.mark.peer_bug("P14")
def test_a_deploy_with_another_order_of_steps_does_not_touch_sagas_under_way(world: World) -> None:
    saga_id = world.start(pair("peers.deployed"))
    world.succeed(world.take("first"), "f-1")

    registry._sagas.clear()

    class Deployed(Saga[int, str]):
        name = "peers.deployed"

        @step(no_compensation="new")
        def zeroth(self, n: int) -> Signature[str]:
            return self.task("zeroth", key=self.key())

        @step(no_compensation="now it comes first")
        def second(self, n: int) -> Signature[str]:
            return self.task("second", key=self.key())

        @step(no_compensation="not undone any more")
        def first(self, n: int) -> Signature[str]:
            return self.task("first", key=self.key())

        def result(self, n: int, second: str) -> str:
            return second

    world.fail(world.take("second"), Broken("no luck"))
    world.tasks = {"second": broken}
    assert world.until_ended(saga_id) == [SagaStatus.COMPENSATED]
    assert world.calls == ["second", "second", "undo"], "the stored undo of a step that was decided before the deploy"
    new = world.start(Deployed)
    world.tasks = {}
    world.calls.clear()
    assert world.until_ended(new) == [SagaStatus.COMPLETED]
    assert world.calls == ["zeroth", "second", "first"]


# ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.peer_bug("C19", "P12")
def test_the_deadline_of_a_saga_undoes_what_took_effect(world: World) -> None:
    saga_id = world.start(pair(), timeout=100.0)
    world.succeed(world.take("first"), "f-1")
    world.begin(world.take("second"))
    world.clock.turn(101.0)
    assert world.until_ended(saga_id) == [SagaStatus.COMPENSATED]
    assert world.calls[-1] == "undo"
    turn = world.state(saga_id).turn
    assert turn is not None
    assert turn.kind is TurnKind.DEADLINE
    assert world.awaited(saga_id) == 0


@pytest.mark.peer_bug("C19")
def test_a_step_without_an_answer_runs_into_its_timeout(world: World) -> None:
    saga_id = world.start(pair(safe=False))
    world.begin(world.take("first"))
    world.clock.turn(21.0)
    world.sweeper.tick()
    assert world.status(saga_id) is SagaStatus.FAILED
    assert "within 20 s" in world.state(saga_id).letters[0].detail
