"""What the commands show of values that are sealed, kept apart, or nobody's business."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from celery.canvas import Signature

from saga_celery import Retry, Saga, saga_chain, step
from saga_celery.core import events as e
from saga_celery.core.states import Failure, Slot
from saga_celery.definition import registry
from tests.app.mirror import Mirror
from tests.cli.conftest import Shop

SECRET = "4111-1111"
DATA = {"customer": "Joe", "payment": {"cardNumber": SECRET, "cents": 5}, "lines": ["tea"] * 100}
FAILED = Failure(type="billing.Refused", message=f"no: card_number={SECRET}, cents=5", traceback=f"card='{SECRET}'")


@pytest.fixture
def order(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> str:
    """A saga that waits for a person, with a secret in its input, a result, an error and its reason."""

    class PaySaga(Saga[dict[str, Any]]):
        name = "shop.pay"
        hooks: ClassVar = {"step_succeeded": "ops.note", "saga_failed": "ops.page"}

        @step(idempotent=True, pivot=True)
        def reserve(self, data: dict[str, Any]) -> Signature[dict[str, Any]]:
            return self.task("stock.reserve", data)

        @step(idempotent=True, retry=Retry(attempts=1), no_compensation="behind the pivot")
        def pay(self, data: dict[str, Any]) -> Signature[None]:
            return self.task("billing.pay", data["payment"])

    assert registry.is_registered(PaySaga.name)
    handle = PaySaga.start(DATA, key="pay-1")
    for news in (
        e.Nudged(),
        e.AttemptSucceeded(slot=Slot("reserve"), attempt=1, result={"token": SECRET, "shelf": 7}),
        e.AttemptFailed(slot=Slot("pay"), attempt=1, failure=FAILED),
    ):
        assert shop.sagas.coordinator(parks_render_failures=True).handle(handle.id, news) is not None
    return handle.id


COMMANDS = [
    ("show", "pay-1", "--history"),
    ("show", "pay-1", "--full"),
    ("show", "pay-1", "--history", "--json"),
    ("show", "pay-1", "--watch"),
    ("dead-letters",),
    ("dead-letters", "--json"),
    ("hooks", "--json"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_command_shows_what_is_redacted(shop: Shop, order: str, command: tuple[str, ...]) -> None:
    shown = shop(*command)

    assert shown.exit_code == 0, shown.output
    assert SECRET not in shown.output
    assert "***" in shown.output
    if command[0] == "show":
        assert "Joe" in shown.output


def test_without_names_nothing_is_redacted(shop: Shop, order: str) -> None:
    shop.app.conf.saga_redact = ()
    shop.sagas._settings = None
    assert SECRET in shop("show", "pay-1").output


def test_what_is_stored_is_not_touched(shop: Shop, order: str) -> None:
    shop("show", "pay-1")
    state = shop.sagas.store.load(order)
    assert state is not None
    assert state.input == DATA
    assert state.steps[("pay", 0)].action.failure == FAILED


# ---------------------------------------------------------------------------------------------- arguments without names


@pytest.fixture
def paid(shop: Shop) -> str:
    """A chain whose first step has succeeded; its tasks take secrets by position."""

    @shop.app.task(name="town.pay", shared=False)
    def pay(card: str, amount: int) -> str:
        return card

    @shop.app.task(name="town.unpay", shared=False)
    def unpay(receipt: str, card: str, amount: int) -> None: ...

    @shop.app.task(name="town.post", shared=False)
    def post(receipt: str, pin: str, town: str) -> None: ...

    chain = saga_chain("town.chain", (pay.s(SECRET, 77), unpay.s(SECRET, 78)), post.s(SECRET, "north"))
    saga_id = chain.start(key="chain-1").id
    shop.news(saga_id, e.Nudged())
    shop.succeed(saga_id, "pay", "r-1")
    return saga_id


@pytest.mark.parametrize("command", COMMANDS[:3], ids=" ".join)
def test_arguments_without_names_are_hidden_by_those_of_their_parameters(
    shop: Shop, paid: str, command: tuple[str, ...]
) -> None:
    shown = shop(*(part.replace("pay-1", "chain-1") for part in command))

    assert shown.exit_code == 0, shown.output
    assert SECRET not in shown.output


def test_arguments_keep_their_places_behind_the_result_in_front_of_them(shop: Shop, paid: str) -> None:
    (record,) = shop.json("show", "chain-1")
    steps = record["input"]["steps"]

    assert steps["pay"]["action"]["message"]["args"] == ["***", 77]
    assert steps["pay"]["compensation"]["message"]["args"] == ["***", 78]
    assert steps["post"]["action"]["message"]["args"] == ["***", "north"]
    state = shop.sagas.store.load(paid)
    assert state is not None
    assert state.input["steps"]["post"]["action"]["message"]["args"] == [SECRET, "north"]
    shown = shop.sagas.display().shown(paid, state)
    assert shown.steps[("post", 0)].action.message.args == ("r-1", "***", "north")  # type: ignore[union-attr]


# -------------------------------------------------------------------------------------------------- sealed, kept apart


def reset(shop: Shop, **settings: Any) -> None:
    """As if the process began anew with other settings."""
    shop.app.conf.update({f"saga_{name}": value for name, value in settings.items()})
    shop.sagas._settings = shop.sagas._payloads = None


def test_a_value_kept_apart_is_shown_by_its_size(shop: Shop) -> None:
    reset(shop, payload_limit=5_000_000, payload_inline=100)
    saga_id = shop.completed(key="order-1")
    letter = shop.start(key="order-2")
    shop.news(letter, e.Nudged())
    shop.succeed(letter, "charge", "page " * 3000)

    assert "kept apart" not in shop("show", saga_id).output
    shown = shop("show", "order-2", "--history").output
    assert shown.count("15.0 kB kept apart, sha256 ") == 2
    assert "page" not in shown
    (record,) = shop.json("show", "order-2")
    assert record["steps"][0]["result"]["$saga_payload"]["size"] == 15_002
    (whole,) = shop.json("show", "order-2", "--full")
    assert whole["steps"][0]["result"] == "page " * 3000
    assert "page " * 2999 in shop("show", "order-2", "--full").output


def test_a_sealed_value_is_opened_for_those_who_can(shop: Shop) -> None:
    reset(shop, codec=Mirror())
    saga_id = shop.completed()
    assert 'input: {"sku": "tea", "cents": 5}' in shop("show", saga_id).output
    assert shop.json("show", saga_id)[0]["result"] == "told"

    reset(shop, codec=Mirror(key=1))
    shown = shop("show", saga_id, "--full")
    assert shown.exit_code == 0
    assert "input: (sealed by codec 'mirror', which is not open here)" in shown.output
    assert "tea" not in shown.output
    assert list(shop.json("show", saga_id)[0]["input"]) == ["$saga_sealed"]


def test_starting_by_hand_shows_the_result_open_and_redacted(shop: Shop) -> None:
    reset(shop, codec=Mirror())
    shop.completed(key="order-1")
    arguments = ("--input", '{"sku": "tea", "cents": 5}', "--key", "order-1", "--wait", "0")
    (record,) = shop.json("start", "shop.order", *arguments)
    assert record["result"] == "told"
