"""Steps that run on: in the process that settled the one in front of them, without the broker, and with the same
guarantees when that process dies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery.events.state import State

from saga_celery.core.states import Direction, Slot
from saga_celery.transport.publisher import task_id
from tests.acceptance.counter import Shop
from tests.app.test_lifecycle_events import Listener

pytestmark = pytest.mark.acceptance


class Relay(Shop):
    """A shop whose effects are written down as JSON."""

    def notes(self, name: str) -> list[dict[str, Any]]:
        """What was done for a saga, in order."""
        return [each for each in map(json.loads, self._lines()) if each["what"].startswith(f"{name}:")]

    def done(self, name: str) -> list[str]:
        """The same, without how."""
        return [each["what"].partition(":")[2] for each in self.notes(name)]

    def row(self, saga_id: str, step: str) -> tuple[Any, ...] | None:
        """What is awaited of a step."""
        found = self.query(
            "SELECT awaited, worker, since FROM saga_awaited WHERE saga_id = :id AND step = :step",
            id=saga_id,
            step=step,
        )
        return found[0] if found else None

    def history(self, saga_id: str) -> str:
        return "\n".join(
            str(facts) for (facts,) in self.query("SELECT facts FROM saga_history WHERE saga_id = :id", id=saga_id)
        )


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory, redis_databases: Iterator[str]) -> Iterator[Relay]:
    folder = tmp_path_factory.mktemp("relay")
    database = f"sqlite:///{folder / 'saga.db'}"
    with Relay(folder, broker=next(redis_databases), database=database, app="relay") as shop:
        shop.worker("--concurrency", "2", "-E")
        yield shop


@pytest.fixture
def own_relay(tmp_path: Path, redis_databases: Iterator[str], database_url: str) -> Iterator[Relay]:
    """A relay on each database, without a worker."""
    with Relay(tmp_path, broker=next(redis_databases), database=database_url, app="relay") as shop:
        yield shop


def test_each_step_is_a_task_of_its_own_in_one_process(relay: Relay) -> None:
    (saga_id,) = relay.start({"name": "plain"}, saga="RelaySaga")
    assert relay.end_of(saga_id) == "COMPLETED"
    notes = relay.notes("plain")
    assert relay.done("plain") == ["first", "second", "third"]
    assert [each["ran_on"] for each in notes] == [True] * 3
    assert len({each["pid"] for each in notes}) == 1
    assert [each["id"] for each in notes] == [task_id(saga_id, Slot(step), 1) for step in ("first", "second", "third")]


def test_compensations_run_on_as_well(relay: Relay) -> None:
    (saga_id,) = relay.start({"name": "back", "fails": True}, saga="RelaySaga")
    assert relay.end_of(saga_id) == "COMPENSATED"
    assert relay.done("back") == ["first", "second", "third", "undo second", "undo first"]
    assert [each["ran_on"] for each in relay.notes("back")[3:]] == [True, True]


def test_what_must_not_run_twice_runs_on_only_where_asked(relay: Relay) -> None:
    plain, asked = relay.start({"name": "unkeyed", "keyed": False}, saga="RelaySaga"), None
    (asked,) = relay.start({"name": "asked"}, saga="AskedSaga")
    assert [relay.end_of(each) for each in (*plain, asked)] == ["COMPLETED"] * 2
    assert [each["ran_on"] for each in relay.notes("unkeyed")] == [True, False, True]
    assert [each["ran_on"] for each in relay.notes("asked")] == [True, True, False]


def test_a_task_may_put_itself_back_into_the_queue(relay: Relay) -> None:
    (saga_id,) = relay.start({"name": "again", "task": "relay.again"}, saga="RelaySaga")
    assert relay.end_of(saga_id) == "COMPLETED"
    second = [each for each in relay.notes("again") if each["what"].endswith("second")]
    assert [(each["retries"], each["ran_on"]) for each in second] == [(0, True), (1, False)]


def test_its_soft_time_limit_is_kept(relay: Relay) -> None:
    (saga_id,) = relay.start({"name": "limited", "task": "relay.limited"}, saga="RelaySaga")
    assert relay.end_of(saga_id) == "COMPLETED"
    assert "second in time" in relay.done("limited")


def test_a_body_that_lasts_is_known_to_run_and_its_lease_ends(relay: Relay) -> None:
    (kept,) = relay.start({"name": "lasts", "task": "relay.wait"}, saga="RelaySaga")
    (lost,) = relay.start({"name": "short"}, saga="ShortSaga")
    relay.await_that(lambda: (relay.row(kept, "second") or ("",))[0] == "end", "a sign of life")
    first = relay.row(kept, "second")
    relay.await_that(lambda: relay.row(kept, "second") != first, "another sign of life")
    relay.await_that(lambda: "no outcome within 1 s" in relay.history(lost), "the end of the lease")

    (relay.folder / "go").touch()
    assert relay.end_of(kept) == "COMPLETED"
    assert relay.done("lasts") == ["first", "second", "third"]
    assert "AttemptLost" not in relay.history(kept)


def test_monitors_see_each_task_and_no_worker_but_the_one(relay: Relay) -> None:
    code = "from tests.acceptance.relay import app; print(app.conf.broker_url)"
    assert relay.python(code).strip() == relay.broker
    from celery import Celery

    listener = Listener(Celery("listener", broker=relay.broker, set_as_current=False))
    try:
        (saga_id,) = relay.start({"name": "watched", "fails": True}, saga="RelaySaga")
        last = task_id(saga_id, Slot("first", 0, Direction.COMPENSATION), 1)
        with listener.more:
            done = ("task-succeeded", last)
            assert listener.more.wait_for(
                lambda: done in [(each["type"], each.get("uuid")) for each in listener.heard], 60
            )
        monitor = State()
        for each in listener.heard:
            monitor.event(each)
    finally:
        listener.stop()
    tasks = {task.name: task for task in monitor.tasks.values() if task.root_id == saga_id}
    assert {name: task.state for name, task in tasks.items()} == {
        "relay.saga/first": "SUCCESS",
        "relay.saga/second": "SUCCESS",
        "relay.saga/third": "FAILURE",
        "relay.saga/second (compensation)": "SUCCESS",
        "relay.saga/first (compensation)": "SUCCESS",
    }
    assert all(task.received and task.started for task in tasks.values())
    assert len(monitor.workers) == 1


# -------------------------------------------------------------------------------------------------------------- deaths


@pytest.mark.parametrize("dies", ["in it", "behind it"])
def test_nothing_is_lost_with_a_process_that_is_killed(own_relay: Relay, dies: str) -> None:
    """In the midst of a step, or between two: what was kept is sent long before its queue grace is over."""
    own_relay.worker("--concurrency", "1")
    (saga_id,) = own_relay.start({"name": "killed", "dies": dies}, saga="RelaySaga")
    assert own_relay.end_of(saga_id, 25) == "COMPLETED"
    done = own_relay.done("killed")
    assert done == ["first", "second", *(["second"] if dies == "in it" else []), "third"]
    assert len({each["key"] for each in own_relay.notes("killed") if each["what"] == "killed:second"}) == 1


def test_what_must_not_run_twice_does_not_when_its_process_is_killed(relay: Relay) -> None:
    (saga_id,) = relay.start({"name": "once", "dies": "in it"}, saga="AskedSaga")
    assert relay.end_of(saga_id) == "FAILED"
    assert relay.done("once") == ["first", "second"]
    assert [found[:2] for found in relay.letters(saga_id)] == [("second", "in_doubt")]


def test_what_must_not_run_twice_is_not_lost_between_two_steps(relay: Relay) -> None:
    (saga_id,) = relay.start({"name": "between", "dies": "behind it"}, saga="AskedSaga")
    assert relay.end_of(saga_id) == "COMPLETED"
    assert relay.done("between") == ["first", "second", "third"]
