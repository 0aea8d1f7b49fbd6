"""`saga locks`, and what `saga list` and `saga show` say of sagas that wait."""

from dataclasses import replace

import pytest

from saga_celery.core import events as e
from saga_celery.definition import registry

TEA = '{"sku": "tea", "cents": 5}'


@pytest.fixture
def queue(shop):
    """Three sagas that want one lock; the first one has it and waits for a person."""
    holder = shop.in_doubt(lock="order-7")
    waiters = []
    for _ in range(2):
        shop.clock.turn(60)
        waiters.append(shop.start(lock="order-7"))
    return (holder, *waiters)


def test_locks_names_holders_and_waiters(shop, queue):
    holder, *waiters = queue
    assert shop.json("locks") == [
        {
            "lock": "order-7",
            "holders": [{"id": holder, "name": "shop.order", "state": "FAILED", "since": "2030-01-01T12:00:00.000Z"}],
            "waiters": waiters,
        }
    ]
    said = shop("locks")
    assert said.stderr == "1 lock, 0 limits in use\n"
    assert said.stdout.splitlines()[1].split()[:6] == ["order-7", holder, "shop.order", "FAILED", "2", "min"]
    assert ", ".join(waiters) in said.stdout


def test_long_queues_are_cut_short(shop, queue):
    for _ in range(3):
        shop.clock.turn(1)
        shop.start(lock="order-7")
    assert "and 2 more" in shop("locks").stdout


def test_a_lock_between_two_holders(shop):
    shop.start(lock="order-7")
    assert "nobody yet" in shop("locks").stdout


def test_limits_are_listed_too(shop, monkeypatch):
    saga = registry.find("shop.order")
    monkeypatch.setattr(saga, "_definition", replace(saga.definition(), max_running=1))
    first, second = shop.start(), shop.start()
    shop.news(first, e.Nudged())
    shop.news(second, e.Nudged())
    assert shop.json("locks") == [{"name": "shop.order", "running": 1, "limit": 1, "waiting": 1}]
    assert shop("locks").stderr == "0 locks, 1 limit in use\n"
    waits = "queued: 1 under way, which is the limit; number 1 in the queue"
    assert sum(waits in shop("show", each).stdout for each in (first, second)) == 1


def test_show_and_list_say_behind_whom_a_saga_waits(shop, queue):
    holder, first, second = queue
    kept = "which waits for a person and keeps lock 'order-7' until it is settled"
    assert f"queued behind {holder}, {kept}; number 2 in the queue" in shop("show", second).stdout
    assert f"queued behind {holder}" in shop("list", "--state", "pending").stdout
    (record,) = shop.json("show", first)
    assert record["lock"] == "order-7"
    assert record["standing"] == {
        "waits_for": "lock", "behind": holder, "behind_state": "FAILED", "position": 1, "limit": None,
    }  # fmt: skip


def test_behind_one_that_runs(shop):
    holder = shop.start(lock="order-7")
    shop.news(holder, e.Nudged())
    shop.clock.turn(1)
    waits = shop.start(lock="order-7", priority=7)
    shown = shop("show", waits).stdout
    assert f"queued behind {holder} for lock 'order-7'; number 1 in the queue" in shown
    assert "lock: order-7" in shown
    assert "priority: 7" in shown


def test_one_that_nothing_keeps(shop):
    assert "begins as soon as a coordinator takes it up" in shop("show", shop.start(lock="order-7")).stdout


def test_start_for_later(shop):
    said = shop("start", "shop.order", "--input", TEA, "--delay", "2h", "--lock", "order-7", "--priority", "7")
    shown = shop("show", said.stdout.strip()).stdout
    assert "starts at 2030-01-01T14:00:00.000Z, in 2 h" in shown
    shop.clock.turn(1)
    assert shop("start", "shop.order", "--input", TEA, "--at", "2030-01-01T14:00+01:00").exit_code == 0
    assert [row["starts_at"] for row in shop.json("list")] == ["2030-01-01T13:00:00.000Z", "2030-01-01T14:00:00.000Z"]


@pytest.mark.parametrize("text", ["tomorrow", "2030-01-01T14:00"])
def test_a_time_needs_its_zone(shop, text):
    said = shop("start", "shop.order", "--input", TEA, "--at", text)
    assert said.exit_code == 2
    assert "is no time with a zone" in said.stderr


def test_a_lock_that_is_held_refuses_where_asked_to(shop, queue):
    said = shop("start", "shop.order", "--input", TEA, "--lock", "order-7", "--if-locked", "raise")
    assert said.exit_code == 1
    assert f"lock 'order-7' is held by saga {queue[0]}; nothing was started" in said.stderr
