"""The trips that are to be made, and the world that they meet: it refuses some of them, at each of their steps."""

from __future__ import annotations

import random  # noqa: TID251 - chance decides what is refused; its seed makes a run repeatable
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SCARCE = {"Lisbon": "hotel", "London": "flight", "Berlin": "car"}
"""What there is too little of, by city; everywhere else there is enough."""
CITIES = (*SCARCE, "Paris")
KINDS = ("hotel", "flight", "car")
REFUSING = 3
"""One in so many of the trips to a city finds what is scarce there sold out."""
ODDS = {"price": 0.1, "fee": 0.15, "visa": 0.15}
"""How many travellers can not pay the price, can pay the price and not the fee, and have no visa."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A trip that somebody wants to make; nobody wants two."""

    id: int
    traveller: str
    city: str
    cents: int
    fee_cents: int
    credit_cents: int
    """What the traveller can pay."""
    visa: bool

    @property
    def total_cents(self) -> int:
        """What it costs in all."""
        return self.cents + self.fee_cents


def wanted(count: int, seed: int) -> Sequence[Wanted]:
    """As many trips, the same ones for the same seed."""
    chance = random.Random(seed)  # noqa: S311 - nothing is kept secret by it
    return tuple(_trip(number, chance) for number in range(1, count + 1))


def _trip(number: int, chance: random.Random) -> Wanted:
    cents, fee_cents = chance.randrange(20_000, 300_000), chance.randrange(500, 5_000)
    return Wanted(
        id=number,
        traveller=f"T{number:05}",
        city=chance.choice(CITIES),
        cents=cents,
        fee_cents=fee_cents,
        credit_cents=_credit(cents, fee_cents, chance),
        visa=chance.random() >= ODDS["visa"],
    )


def _credit(cents: int, fee_cents: int, chance: random.Random) -> int:
    lot = chance.random()
    if lot < ODDS["price"]:
        return chance.randrange(cents)
    if lot < ODDS["price"] + ODDS["fee"]:
        return cents + chance.randrange(fee_cents)
    return cents + fee_cents


def capacity(trips: Sequence[Wanted]) -> Mapping[str, Mapping[str, int]]:
    """How much there is of each kind in each city, so that some of these trips find it sold out."""
    asked = Counter(trip.city for trip in trips)
    return {
        kind: {city: asked[city] - (asked[city] // REFUSING if SCARCE.get(city) == kind else 0) for city in CITIES}
        for kind in KINDS
    }
