"""Parents and children on the command line: who belongs to whom, and what a parent waits for."""

from __future__ import annotations

import pytest
from celery.canvas import Signature

from saga_celery import Child, Saga, step
from saga_celery.core import events as e
from saga_celery.core.states import Slot
from saga_celery.definition import registry
from saga_celery.engine.correspondence import child_id
from tests.cli.conftest import Order, Shop, define


def define_basket() -> None:
    OrderSaga = registry.find("shop.order")  # noqa: N806 - a class

    class Basket(Saga[Order, str]):
        name = "shop.basket"

        @step()
        def order(self, basket: Order) -> Child[str]:
            return OrderSaga.si(basket)

        @step(no_compensation="only a wave")
        def wave(self, basket: Order, order: str) -> Signature[None]:
            return self.task("hand.wave")

        def result(self, basket: Order, order: str) -> str:
            return order


@pytest.fixture
def parent(shop: Shop) -> tuple[str, str]:
    """A parent that waits for its child, and that child, whose first step is out; their ids."""
    define_basket()
    saga_id = shop.start("shop.basket", key="basket-1")
    shop.news(saga_id, e.Nudged())
    child = child_id(saga_id, Slot("order"))
    shop.news(child, e.Nudged())
    return saga_id, child


def lines(result):
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def the_next(shop: Shop, saga_id: str) -> list[str]:
    """What stands under "Next"."""
    shown = lines(shop("show", saga_id))
    return shown[shown.index("Next") + 1 :]


def in_doubt(shop: Shop, child: str) -> None:
    shop.succeed(child, "charge", "c-1")
    shop.news(child, e.AttemptLost(slot=Slot("tell"), attempt=1, reason="worker w1 died"))


def test_a_parent_shows_its_child_and_waits_for_it(shop, parent):
    saga_id, child = parent
    shown = lines(shop("show", saga_id))
    row = next(line for line in shown if child in line and line.startswith("order"))
    assert row.split() == ["order", "shop.order", child, "RUNNING"]
    assert the_next(shop, saga_id) == [f"  order waits for its child saga shop.order {child}, which is RUNNING"]
    shop.clock.turn(3)
    took = next(line for line in lines(shop("show", saga_id)) if line.startswith("order") and "waits" in line)
    assert "3.0 s so far" in took


def test_a_child_shows_its_parent(shop, parent):
    saga_id, child = parent
    assert f"parent: shop.basket {saga_id} (RUNNING), its step order" in lines(shop("show", child))
    assert not any(line.startswith("parent:") for line in lines(shop("show", saga_id)))


def test_as_json(shop, parent):
    saga_id, child = parent
    (mother,), (daughter,) = shop.json("show", saga_id), shop.json("show", child)
    assert mother["parent"] is None
    assert mother["parent_id"] is None
    assert mother["children"] == [
        {"step": "order", "item": 0, "generation": 1, "id": child, "name": "shop.order", "state": "RUNNING"}
    ]
    assert daughter["parent"] == {
        "id": saga_id,
        "name": "shop.basket",
        "state": "RUNNING",
        "step": "order",
        "item": 0,
    }
    assert daughter["parent_id"] == saga_id
    assert daughter["children"] == []


def test_a_parked_child_is_named_with_the_command_that_settles_it(shop, parent):
    saga_id, child = parent
    in_doubt(shop, child)
    assert shop.sagas.store.load(child).status == "FAILED"
    assert the_next(shop, saga_id) == [
        f"  order waits for its child saga shop.order {child}, which is FAILED",
        f"  run: saga resolve {child} --step tell --as done --result '…' --reason '…'",
        f"   or: saga resolve {child} --step tell --as never --reason '…'",
        f"   or: saga retry {child} --step tell --reason '…'",
        f"   or: saga skip {child} --step tell --reason '…'",
    ]
    resolved = shop("resolve", child, "--step", "tell", "--as", "never", "--reason", "asked them", "--actor", "ann")
    assert resolved.exit_code == 0, resolved.output
    assert the_next(shop, saga_id) == [f"  order waits for its child saga shop.order {child}, which is COMPENSATING"]


def test_a_parent_that_undoes_its_child_waits_for_it_once_more(shop, parent):
    saga_id, child = parent
    shop.succeed(child, "charge", "c-1")
    shop.succeed(child, "tell", "told")
    shop.news(saga_id, e.Nudged())
    assert "shop.order" in "".join(lines(shop("show", saga_id)))
    assert not any("waits for its child" in line for line in the_next(shop, saga_id))
    shop.fail(saga_id, Slot("wave"))
    shop.news(child, e.Nudged())
    assert the_next(shop, saga_id) == [f"  order waits for its child saga shop.order {child}, which is COMPENSATING"]


def test_only_the_children_of_one(shop, parent):
    saga_id, child = parent
    shop.start()
    assert [row["id"] for row in shop.json("list", "--parent", saga_id)] == [child]
    assert [row["parent_id"] for row in shop.json("list", "--name", "shop.basket")] == [None]
    assert shop("list", "--parent", child).stderr == "no saga fits\n"


# ------------------------------------------------------------------------------------------------- the code of tomorrow


def checked(shop: Shop) -> dict[str, list[tuple[str, str, int]]]:
    """What strands, by the name of the saga: kind, step, how many."""
    return {
        each["name"]: [(found["kind"], found["step"], found["sagas"]) for found in each["differences"]]
        for each in shop.json("check")
        if "plan" in each
    }


def test_the_classes_as_they_were_are_fine(shop, parent):
    assert checked(shop) == {"shop.basket": [], "shop.order": []}
    parking = {each["name"]: each["can_only_park"] for each in shop.json("check") if "can_only_park" in each}
    assert parking == {"shop.order": ["tell"], "shop.basket": ["wave"]}


def test_a_child_that_runs_needs_its_class_and_its_parent_has_no_more_need_of_the_step(shop, parent):
    registry._sagas.clear()

    class Basket(Saga[Order, str]):
        name = "shop.basket"

        @step(no_compensation="only a wave")
        def wave(self, basket: Order) -> Signature[None]:
            return self.task("hand.wave")

        def result(self, basket: Order) -> str:
            return "waved"

    assert shop("check").exit_code == 1
    assert checked(shop) == {
        "shop.basket": [("step_gone", "order", 0)],
        "shop.order": [("class_gone", "", 1)],
    }


def test_a_child_that_is_a_task_now_would_strand_its_parent(shop, own_registry):
    registry._sagas.clear()
    define()
    define_basket()
    shop.start("shop.basket")

    registry._sagas.pop("shop.basket")

    class Basket(Saga[Order, str]):
        name = "shop.basket"

        @step(idempotent=True, no_compensation="nothing to undo")
        def order(self, basket: Order) -> Signature[str]:
            return self.task("order.all")

        @step(no_compensation="only a wave")
        def wave(self, basket: Order, order: str) -> Signature[None]:
            return self.task("hand.wave")

        def result(self, basket: Order, order: str) -> str:
            return order

    assert checked(shop) == {"shop.basket": [("kind_changed", "order", 1)]}
    assert "PARK step 'order' was a child saga and is a task now; 1 open saga still needs it" in shop("check").stdout
