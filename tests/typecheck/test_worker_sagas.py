"""The sagas of the living deployment: both checkers accept them as they are, and reject seven mistakes in each.

A mistake is one change to the text of `workers/orders.py` or `workers/travel.py`. Their participants are codebases of
their own, whose tasks are called by name, with arguments that nobody can check here. So each saga is accepted in a
second form too, in which one of the tasks is at hand; the two mistakes in a task's arguments are made there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.typecheck.checkers import ROOT, Place, mypy, pyright

MISTAKES = {
    "wrong_input_type",
    "misspelt_field",
    "wrong_result_key",
    "wrong_argument_type",
    "missing_argument",
    "wrong_result_type",
    "unknown_option",
}


@dataclass(frozen=True, kw_only=True)
class Text:
    """A module of one saga, as it is or with a mistake."""

    name: str
    text: str
    line: int = 0
    """Of the mistake; 0: there is none."""

    @property
    def file(self) -> str:
        return f"{self.name}.py"

    def at_hand(self, task: str, call: tuple[str, str]) -> Text:
        """The same saga, with one of its tasks in this codebase."""
        text = _changed(self.text, "from pydantic import", "from celery import shared_task\nfrom pydantic import")
        text = _changed(text, "\n\nclass", f"\n{task}\n\n\nclass", count=-1)
        return Text(name=f"{self.name}_at_hand", text=_changed(text, *call))

    def with_mistake(self, mistake: str, right: str, wrong: str) -> Text:
        text = _changed(self.text, right, wrong)
        line = next(
            number
            for number, (before, after) in enumerate(
                zip([*self.text.splitlines(), ""], text.splitlines(), strict=False), 1
            )
            if before != after
        )
        return Text(name=f"{self.name}_{mistake}", text=text, line=line)

    def with_line(self, mistake: str, line: str) -> Text:
        text = f"{self.text}\n\n{line}\n"
        return Text(name=f"{self.name}_{mistake}", text=text, line=len(text.splitlines()))


def _changed(text: str, old: str, new: str, *, count: int = 1) -> str:
    """The first place, or with -1 the last one."""
    assert old in text, f"{old!r} is not in the saga any more: plant the mistake elsewhere"
    return text.replace(old, new, 1) if count > 0 else new.join(text.rsplit(old, 1))


ORDERS = Text(name="orders", text=(ROOT / "workers" / "orders.py").read_text())
ORDERS_AT_HAND = ORDERS.at_hand(
    """
@shared_task
def release_stock(reservation_id: int, key: str) -> None: ...
""",
    (
        'self.task("inventory.release", reservation_id=reserve["reservation_id"], key=self.key())',
        'release_stock.si(reserve["reservation_id"], self.key())',
    ),
)
TRAVEL = Text(name="travel", text=(ROOT / "workers" / "travel.py").read_text())
TRAVEL_AT_HAND = TRAVEL.at_hand(
    """
@shared_task
def book_hotel(traveller: str, city: str, key: str) -> Booking:
    return {"booking_id": 1}
""",
    (
        'self.task("travel.book_hotel", traveller=trip.traveller, city=trip.city, key=self.key())',
        "book_hotel.si(trip.traveller, trip.city, self.key())",
    ),
)
RIGHT = [ORDERS, ORDERS_AT_HAND, TRAVEL, TRAVEL_AT_HAND]
WRONG = [
    ORDERS.with_line("wrong_input_type", 'OrderSaga.start({"id": 7})'),
    ORDERS.with_mistake("misspelt_field", "customer_id=order.customer_id,", "customer_id=order.custmer_id,"),
    ORDERS.with_mistake("wrong_result_key", 'pay["charge_id"]', 'pay["id"]'),
    ORDERS_AT_HAND.with_mistake("wrong_argument_type", '.si(reserve["reservation_id"],', ".si(reserve,"),
    ORDERS_AT_HAND.with_mistake("missing_argument", '.si(reserve["reservation_id"], self.key())', ".si(self.key())"),
    ORDERS.with_mistake("wrong_result_type", 'return ship["shipment_id"]', "return ship"),
    ORDERS.with_mistake("unknown_option", "retry=Retry(attempts=20), timeout", "retires=Retry(attempts=20), timeout"),
    TRAVEL.with_line("wrong_input_type", 'TripSaga.start("Lisbon")'),
    TRAVEL.with_mistake("misspelt_field", "city=trip.city", "city=trip.town"),
    TRAVEL.with_mistake("wrong_result_key", 'hotel["booking_id"]', 'hotel["id"]'),
    TRAVEL_AT_HAND.with_mistake("wrong_argument_type", ".si(trip.traveller, trip.city,", ".si(trip, trip.city,"),
    TRAVEL_AT_HAND.with_mistake("missing_argument", ".si(trip.traveller, trip.city, self", ".si(trip.traveller, self"),
    TRAVEL.with_mistake("wrong_result_type", 'return [booking["booking_id"] for', "return [booking for"),
    TRAVEL.with_mistake("unknown_option", "@car.compensate(retry=", "@car.compensate(retires="),
]
SHOULD_BE_FOUND: set[Place] = {(each.file, each.line) for each in WRONG}


@pytest.fixture
def modules(tmp_path: Path) -> list[Path]:
    return list(_written(tmp_path, [*RIGHT, *WRONG]))


def _written(folder: Path, texts: Iterable[Text]) -> Iterable[Path]:
    for each in texts:
        path = folder / each.file
        path.write_text(each.text)
        yield path


def test_each_mistake_is_made_in_both_sagas():
    for saga in ("orders", "travel"):
        made = [each.name for each in WRONG if each.name.startswith(saga)]
        assert sorted(name.removeprefix(f"{saga}_").removeprefix("at_hand_") for name in made) == sorted(MISTAKES)


def test_mypy_accepts_the_sagas_and_finds_exactly_the_mistakes(modules):
    found, output = mypy(*map(str, modules), MYPYPATH=str(ROOT))
    assert set(found) == SHOULD_BE_FOUND, output


def test_pyright_accepts_the_sagas_and_finds_exactly_the_mistakes(modules):
    found, output = pyright(modules)
    assert set(found) == SHOULD_BE_FOUND, output
