"""The checks: each reads the books and names what does not balance, one difference a line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from workers.reconcile.databases import Databases
from workers.reconcile.report import Check, Report
from workers.trips.books import ENDED, Books, Row, read_books
from workers.trips.wanted import KINDS, Wanted

SHOP = "shop"


def reconcile(databases: Databases, trips: Sequence[Wanted]) -> Report:
    """Compare the books of the services with the sagas of `trips`."""
    books = read_books(databases, trips)
    return Report(
        states=Counter(row.state for rows in books.sagas.values() for row in rows),
        refusals=books.refusals,
        failed=tuple(key for key, rows in books.sagas.items() for row in rows if row.state == "FAILED"),
        checks=tuple(Check(name=name, differences=tuple(check(books))) for name, check in CHECKS.items()),
    )


def one_saga_for_each_trip(books: Books) -> Iterator[str]:
    """No trip was lost, none was started twice, and no saga came from nowhere."""
    for key in {*books.trips, *books.sagas}:
        found = len(books.sagas.get(key, []))
        if (found, key in books.trips) != (1, True):
            yield f"{key} has {found} sagas, and {'is' if key in books.trips else 'is not'} wanted"


def every_saga_ended(books: Books) -> Iterator[str]:
    """Nothing is left half-way, and nothing waits for a person."""
    for row in _all_sagas(books):
        if row.state not in ENDED:
            yield f"{row.name} {row.key or row.id} is still {row.state}"


def payments_end_as_their_trips(books: Books) -> Iterator[str]:
    """A completed trip has one completed payment; one that is undone has at most one, and that is undone."""
    owners = {row.id: row for rows in books.sagas.values() for row in rows}
    for parent in owners.values():
        states = [child.state for child in books.payments.get(parent.id, [])]
        allowed = {"COMPLETED": [["COMPLETED"]], "COMPENSATED": [[], ["COMPENSATED"]]}.get(parent.state)
        if allowed is not None and states not in allowed:
            yield f"{parent.key} is {parent.state}, with payments {states or 'none'}"
    for parent_id in books.payments:
        if parent_id not in owners:
            yield f"a payment names {parent_id} as its parent, which is no trip"


def completed_trips_hold_all(books: Books) -> Iterator[str]:
    """A room, a seat and a car, price and fee, the papers for just these bookings, one confirmation: each once."""
    for trip in _in_state(books, "COMPLETED"):
        bookings = _live_bookings(books, trip)
        if Counter((kind, city) for kind, city, _ in bookings) != Counter((kind, trip.city) for kind in KINDS):
            yield f"trip {trip.id} is completed, and holds {bookings}"
        charged = sorted(charge.cents for charge in books.charges if _is_live(charge.refunded, charge.trip_id, trip))
        if charged != sorted([trip.cents, trip.fee_cents]):
            yield f"trip {trip.id} costs {trip.cents} and {trip.fee_cents} cents, but {charged} are charged"
        papers = [sorted(map(int, ids.split())) for number, _, ids in books.tickets if number == trip.id]
        if papers != [sorted(number for _, _, number in bookings)]:
            yield f"trip {trip.id} is completed, with papers for {papers}"
        if books.confirmations.count(trip.id) != 1:
            yield f"trip {trip.id} is completed, with {books.confirmations.count(trip.id)} confirmations"


def compensated_trips_hold_nothing(books: Books) -> Iterator[str]:
    """No booking, no money, no papers, no confirmation is left of them."""
    for trip in _in_state(books, "COMPENSATED"):
        if bookings := _live_bookings(books, trip):
            yield f"trip {trip.id} is compensated, but still holds {bookings}"
        if charged := [each.cents for each in books.charges if _is_live(each.refunded, each.trip_id, trip)]:
            yield f"trip {trip.id} is compensated, but {charged} cents are not refunded"
        if any(number == trip.id for number, *_ in books.tickets):
            yield f"trip {trip.id} is compensated, but its papers were issued"
        if trip.id in books.confirmations:
            yield f"trip {trip.id} is compensated, but confirmed"


def offers_balance(books: Books) -> Iterator[str]:
    """For each kind and city: what there was at first is there, or booked."""
    booked = Counter((each.kind, each.city) for each in books.bookings if not each.cancelled)
    for place, (first, now) in books.offers.items():
        if first != now + booked[place]:
            yield f"{place}: {first} at first, {now} now, {booked[place]} booked"


def ledger_balances(books: Books) -> Iterator[str]:
    """Each charge shows its cents exactly once, each refund takes all of them back, and nothing else is there."""
    for charge in books.charges:
        payer = f"customer:{charge.traveller}"
        expected = [(payer, "charge", -charge.cents), (SHOP, "charge", charge.cents)]
        if charge.refunded:
            expected += [(payer, "refund", charge.cents), (SHOP, "refund", -charge.cents)]
        if Counter(books.entries.get(charge.id, [])) != Counter(expected):
            yield f"charge {charge.id} of trip {charge.trip_id} and its ledger entries disagree"
    for charge_id in set(books.entries) - {charge.id for charge in books.charges}:
        yield f"the ledger names charge {charge_id}, which does not exist"


def captured_money_is_what_completed_trips_cost(books: Books) -> Iterator[str]:
    """The balance is the sum of all completed trips, to the cent."""
    captured = sum(cents for entries in books.entries.values() for account, _, cents in entries if account == SHOP)
    owed = sum(trip.total_cents for trip in _in_state(books, "COMPLETED"))
    if captured != owed:
        yield f"{captured} cents are captured, {owed} are owed by completed trips"


def credit_balances(books: Books) -> Iterator[str]:
    """The credit in use of each traveller is the sum of the charges not refunded."""
    used: Counter[str] = Counter()
    for charge in books.charges:
        used[charge.traveller] += 0 if charge.refunded else charge.cents
    for traveller, cents in books.credit_used.items():
        if cents != used[traveller]:
            yield f"{traveller}: {cents} cents of credit in use, {used[traveller]} cents charged"


CHECKS: Mapping[str, Callable[[Books], Iterator[str]]] = {
    "each trip has exactly one saga": one_saga_for_each_trip,
    "every saga has ended": every_saga_ended,
    "payments end as their trips do": payments_end_as_their_trips,
    "completed trips: bookings, cents, papers, confirmation": completed_trips_hold_all,
    "compensated trips hold nothing": compensated_trips_hold_nothing,
    "rooms, seats and cars balance": offers_balance,
    "the ledger balances for every charge, to the cent": ledger_balances,
    "captured money is what completed trips cost": captured_money_is_what_completed_trips_cost,
    "credit in use is what is charged": credit_balances,
}


def _all_sagas(books: Books) -> Iterator[Row]:
    for rows in (*books.sagas.values(), *books.payments.values()):
        yield from rows


def _in_state(books: Books, state: str) -> Iterator[Wanted]:
    for key, trip in books.trips.items():
        if any(row.state == state for row in books.sagas.get(key, [])):
            yield trip


def _live_bookings(books: Books, trip: Wanted) -> list[tuple[str, str, int]]:
    live = (each for each in books.bookings if each.traveller == trip.traveller and not each.cancelled)
    return [(each.kind, each.city, each.id) for each in live]


def _is_live(refunded: bool, trip_id: int, trip: Wanted) -> bool:
    return trip_id == trip.id and not refunded
