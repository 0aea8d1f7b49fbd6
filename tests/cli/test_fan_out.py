"""A saga with a list, as an operator sees and operates it."""

from __future__ import annotations

import pytest
from celery.canvas import Signature

from saga_celery import Retry, Saga, step
from saga_celery.cli.item_lines import MOST
from saga_celery.core import events as e
from saga_celery.core.states import Direction, Slot


@pytest.fixture
def basket(shop):
    """Start a saga that picks so many things, two at once."""

    class BasketSaga(Saga[int]):
        name = "shop.basket"

        @step(limit=2, retry=Retry(attempts=1))
        def pick(self, many: int) -> list[Signature[str]]:
            return [self.task("stock.pick", number) for number in range(many)]

        @pick.compensate
        def put_back(self, many: int, pick: str) -> Signature[None]:
            return self.task("stock.put_back", pick, key=self.key())

        @step(no_compensation="only a message")
        def tell(self, many: int, pick: list[str]) -> Signature[None]:
            return self.task("mail.tell", pick)

    def start(many: int) -> str:
        saga_id = BasketSaga.start(many).id
        shop.news(saga_id, e.Nudged())
        return saga_id

    return start


def picked(shop, saga_id, *items):
    for item in items:
        shop.news(saga_id, e.AttemptSucceeded(slot=Slot("pick", item), attempt=1, result=f"p-{item}"))


def lose(shop, saga_id, item):
    shop.news(saga_id, e.AttemptLost(slot=Slot("pick", item), attempt=1, reason="worker w1 died"))


def rows(shop, saga_id):
    """The table of steps: label and the words behind it."""
    shown = shop("show", saga_id).stdout.splitlines()
    return {line.split()[0]: " ".join(line.split()[1:]) for line in shown if line.startswith(("pick", "tell", "…"))}


def test_a_list_shows_how_far_it_is_and_each_item(shop, basket):
    saga_id = basket(4)
    picked(shop, saga_id, 1, 3)
    shown = rows(shop, saga_id)
    assert shown["pick"] == "under way 2/4 items"
    assert shown["pick[1]"].startswith("done 1/1")
    assert shown["pick[2]"].startswith("under way 1/1")
    assert shown["pick[4]"].startswith("under way 1/1")
    assert rows(shop, basket(3))["pick[3]"] == "waits until fewer are under way"
    picked(shop, saga_id, 2, 4)
    assert rows(shop, saga_id)["pick"] == 'done 4/4 items ["p-1", "p-2", "p-3", "p-4"]'


def test_an_empty_list(shop, basket):
    assert rows(shop, basket(0))["pick"] == "done 0/0 items []"


def test_of_a_long_list_only_what_tells_something_is_shown(shop, basket):
    saga_id = basket(MOST + 10)
    picked(shop, saga_id, 1, 2, 3)
    shown = rows(shop, saga_id)
    assert set(shown) == {"pick", "pick[4]", "pick[5]", "tell", "…"}
    assert shown["…"] == "3 × done, 45 × waits until fewer are under way"


def test_the_json_has_every_item(shop, basket):
    (told,) = shop.json("show", basket(3))
    assert [(each["step"], each["item"], each["items"]) for each in told["steps"]] == [
        ("pick", 0, 3),
        ("pick", 1, None),
        ("pick", 2, None),
        ("pick", 3, None),
    ]


def test_the_history_names_the_items(shop, basket):
    saga_id = basket(2)
    picked(shop, saga_id, 1)
    shop.fail(saga_id, Slot("pick", 2))
    shop.news(saga_id, e.AttemptSucceeded(slot=Slot("pick", 1, Direction.COMPENSATION), attempt=1))
    told = shop("show", saga_id, "--history").stdout
    for sentence in (
        "pick became a list of 2",
        "pick[2]: message for stock.pick stored",
        "pick[1], attempt 1 sent",
        "saga to turn round: pick[2] failed: shop.Broken",
        "pick: nothing of its list stands any more",
    ):
        assert sentence in told, told
    assert "cause: pick[2] failed: shop.Broken: no" in told


def test_a_dead_letter_names_its_item_and_the_command_settles_that_one(shop, basket):
    saga_id = basket(2)
    lose(shop, saga_id, 1)
    lose(shop, saga_id, 2)
    letters = shop.json("dead-letters")
    assert [(each["step"], each["item"]) for each in letters] == [("pick", 1), ("pick", 2)]
    assert f"resolve {saga_id} --step 'pick[2]' --as done --result '…'" in letters[1]["next"]

    done = shop("resolve", saga_id, "--step", "pick[2]", "--as", "done", "--result", '"found"', "--reason", "I looked")
    assert done.exit_code == 0
    assert [each["item"] for each in shop.json("dead-letters")] == [1]
    assert shop("retry", saga_id, "--step", "pick", "--reason", "once more").stdout.endswith("is RUNNING\n")
    assert shop.sagas.store.load(saga_id).step("pick", 2).result == "found"


def test_an_item_that_does_not_wait_is_refused_by_its_name(shop, basket):
    saga_id = basket(2)
    lose(shop, saga_id, 1)
    refused = shop("skip", saga_id, "--step", "pick[2]", "--reason", "why")
    assert refused.exit_code != 0
    assert "pick[2]" in refused.stderr
    assert "pick[1]: resolve, retry, skip" in refused.stderr
