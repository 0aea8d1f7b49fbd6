"""What operators press, on real workers: suspended over the death of a worker, undone, run again, and edited."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.counter import Shop

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]

WHY = ("--reason", "the auditors are here", "--actor", "ann")


@pytest.fixture
def regrets(tmp_path: Path, redis_databases: Iterator[str]) -> Iterator[Shop]:
    """A shop whose customers change their minds."""
    database = f"sqlite:///{tmp_path / 'saga.db'}"
    with Shop(tmp_path, broker=next(redis_databases), database=database, app="regrets") as shop:
        yield shop


def version(shop: Shop, saga_id: str) -> int:
    ((found,),) = shop.query("SELECT version FROM saga WHERE id = :id", id=saga_id)
    return int(found)


def statuses(shop: Shop, saga_id: str) -> dict[str, str]:
    return dict(shop.query("SELECT step, status FROM saga_step WHERE saga_id = :id", id=saga_id))  # type: ignore[arg-type]


def press(shop: Shop, *command: str) -> None:
    done = shop.saga(*command, *WHY)
    assert done.returncode == 0, done.stderr


def test_a_suspended_saga_records_what_comes_and_sends_nothing(regrets: Shop) -> None:
    first = regrets.worker("--concurrency", "1")
    (saga_id,) = regrets.start({"name": "tea", "hangs": True}, saga="GiftSaga")
    regrets.await_that(lambda: regrets.effects("tea") == ["wrap"], "the step in its worker's hands")
    press(regrets, "suspend", "tea")
    (regrets.folder / "go").touch()
    regrets.await_that(lambda: statuses(regrets, saga_id) == {"wrap": "succeeded"}, "its outcome")

    first.kill()
    regrets.worker("--concurrency", "1")
    (other,) = regrets.start({"name": "other"}, saga="GiftSaga")
    assert regrets.end_of(other) == "COMPLETED"  # so workers and sweepers are at work, and leave this one alone
    assert regrets.effects("tea") == ["wrap"]
    assert "suspended by ann: the auditors are here" in regrets.saga("show", "tea").stdout

    press(regrets, "resume", "--suspended", "--yes")
    assert regrets.end_of(saga_id) == "COMPLETED"
    assert regrets.effects("tea") == ["wrap", "post"]


def test_a_message_that_was_lost_is_sent_after_the_resume(regrets: Shop) -> None:
    """It waits in the queue of no worker, its grace of two seconds runs out, and the broker forgets it."""
    regrets.worker("--concurrency", "1", "-Q", "saga")
    (saga_id,) = regrets.start({"name": "tea"}, saga="GiftSaga")
    regrets.await_that(lambda: statuses(regrets, saga_id) == {"wrap": "dispatched"}, "the first message")
    press(regrets, "suspend", "tea")
    asleep = "SELECT awaited FROM saga_awaited WHERE due_at > '2050'"
    regrets.await_that(lambda: regrets.query(asleep) != [], "that what it waits for sleeps")
    assert regrets.query(asleep) == [("start",)]
    assert "again once it is resumed" in regrets.saga("show", "tea").stdout

    press(regrets, "resume", "tea")
    regrets.worker("--concurrency", "1")
    assert regrets.end_of(saga_id) == "COMPLETED"
    assert regrets.effects("tea") == ["wrap", "post"] or regrets.keys("tea:wrap") == {f"{saga_id}:wrap:0:1:action"}


def test_a_completed_saga_is_undone_and_runs_again(regrets: Shop) -> None:
    regrets.worker("--concurrency", "2")
    (saga_id,) = regrets.start({"name": "tea"}, saga="GiftSaga")
    assert regrets.end_of(saga_id) == "COMPLETED"
    stale = str(version(regrets, saga_id) - 1)
    refused = regrets.saga("compensate", "tea", "--expect-version", stale, *WHY)
    assert (refused.returncode, "look at it again" in refused.stderr) == (1, True)

    press(regrets, "compensate", "tea", "--expect-version", str(version(regrets, saga_id)))
    assert regrets.end_of(saga_id) == "COMPENSATED"
    assert regrets.effects("tea") == ["wrap", "post", "call back", "unwrap"]
    told = regrets.python(
        "from saga_celery import SagaCompensated\n"
        "from tests.acceptance.regrets import GiftSaga\n"
        f"try: GiftSaga.get({saga_id!r}).result(timeout=30)\n"
        "except SagaCompensated as undone: print(undone.cause.kind, [each.step for each in undone.undone])\n"
    )
    assert told == "request ['post', 'wrap']\n"

    refused = regrets.saga("rerun", "tea", "--from", "post", *WHY)
    assert (refused.returncode, "the earliest possible is 'wrap'" in refused.stderr) == (1, True)
    press(regrets, "rerun", "tea", "--from", "wrap")
    assert regrets.end_of(saga_id) == "COMPLETED"
    assert regrets.effects("tea") == ["wrap", "post", "call back", "unwrap", "wrap", "post"]
    assert regrets.keys("tea:wrap") == {f"{saga_id}:wrap:0:{generation}:action" for generation in (1, 2)}


def test_a_step_that_failed_for_good_runs_with_other_arguments(regrets: Shop) -> None:
    regrets.worker("--concurrency", "2")
    (saga_id,) = regrets.start({"name": "tea", "card": "diners"}, saga="BillSaga")
    assert regrets.end_of(saga_id) == "FAILED"
    press(regrets, "retry", "tea", "--step", "bill", "--kwargs", '{"card": "visa"}')
    assert regrets.end_of(saga_id) == "COMPLETED"
    assert regrets.keys("tea:bill") == {f"{saga_id}:bill:0:2:action"}
    history = regrets.saga("show", "tea", "--history").stdout
    assert "bill: to be run as generation 2 with another card, key" in history
    assert "diners" not in history.partition("History")[2].partition("to be run as generation")[2]
