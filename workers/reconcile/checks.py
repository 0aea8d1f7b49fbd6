"""The checks: each reads the books and names what does not balance, one difference a line."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping

from workers.catalogue import Order
from workers.reconcile.books import ENDED, Books, Charge, Reservation, Shipment

SHOP = "shop"


def one_saga_for_each_order(books: Books) -> Iterator[str]:
    """No order was lost, none was started twice, and no saga came from nowhere."""
    sagas = Counter(saga.order_id for saga in books.sagas)
    for order_id in books.orders:
        if sagas[order_id] != 1:
            yield f"order {order_id} has {sagas[order_id]} sagas, not one"
    for saga in books.sagas:
        if saga.order_id not in books.orders:
            yield f"saga {saga.key} belongs to no order"


def every_saga_ended(books: Books) -> Iterator[str]:
    """Nothing is left half-way."""
    for saga in books.sagas:
        if saga.state not in ENDED:
            yield f"saga {saga.key} is still {saga.state}"


def completed_orders_are_fulfilled(books: Books) -> Iterator[str]:
    """A completed order holds its units, its money, its shipment and its confirmation: each once and exactly."""
    held = _Held(books)
    for order in books.in_state("COMPLETED"):
        yield from _units(order, held.reservations[order.id])
        yield from _money(order, held.charges[order.id])
        yield from _carriage(order, held.shipments[order.id])
        if held.confirmations[order.id] != 1:
            yield f"order {order.id} is completed, with {held.confirmations[order.id]} confirmations"


def compensated_orders_hold_nothing(books: Books) -> Iterator[str]:
    """Of a compensated order nothing is left: no units, no money, no shipment, no confirmation."""
    held = _Held(books)
    for order in books.in_state("COMPENSATED"):
        if held.reservations[order.id]:
            yield f"order {order.id} is compensated, but still holds stock"
        for charge in held.charges[order.id]:
            yield f"order {order.id} is compensated, but charge {charge.id} of {charge.cents} cents is not refunded"
        if held.shipments[order.id]:
            yield f"order {order.id} is compensated, but shipped"
        if held.confirmations[order.id]:
            yield f"order {order.id} is compensated, but confirmed"


def stock_balances(books: Books) -> Iterator[str]:
    """For each product: what was there at first is on the shelf or in a live reservation."""
    reserved: Counter[int] = Counter()
    for reservation in books.reservations:
        if not reservation.released:
            reserved.update(reservation.units)
    for shelf in books.shelves:
        missing = shelf.initial - shelf.available - reserved[shelf.product_id]
        if missing:
            yield f"product {shelf.product_id}: {missing} of {shelf.initial} units are unaccounted for"


def ledger_balances(books: Books) -> Iterator[str]:
    """Each movement sums to zero, each charge shows its cents exactly once, each refund takes all of them back."""
    entries: defaultdict[int, list[tuple[str, str, int]]] = defaultdict(list)
    for entry in books.entries:
        entries[entry.charge_id].append((entry.account, entry.kind, entry.cents))
    for charge in books.charges:
        if Counter(entries.pop(charge.id, [])) != Counter(_expected_entries(charge)):
            yield f"charge {charge.id} of order {charge.order_id} and its ledger entries disagree"
    for charge_id in entries:
        yield f"the ledger names charge {charge_id}, which does not exist"


def captured_money_is_what_completed_orders_cost(books: Books) -> Iterator[str]:
    """The shop's balance is the sum of all completed orders, to the cent."""
    captured = sum(entry.cents for entry in books.entries if entry.account == SHOP)
    owed = sum(order.total_cents for order in books.in_state("COMPLETED"))
    # What a failed saga holds is for an operator to settle, and is named in the report.
    failed = {order.id for order in books.in_state("FAILED")}
    parked = sum(charge.cents for charge in books.charges if charge.order_id in failed and not charge.refunded)
    if captured != owed + parked:
        yield f"{captured} cents are captured, {owed} are owed by completed orders, {parked} are held by failed ones"


def credit_balances(books: Books) -> Iterator[str]:
    """The credit in use of each customer is the sum of the charges not refunded."""
    open_cents: Counter[str] = Counter()
    for charge in books.charges:
        if not charge.refunded:
            open_cents[charge.customer_id] += charge.cents
    for customer_id, used in books.credit_used.items():
        if used != open_cents[customer_id]:
            yield f"customer {customer_id}: {used} cents of credit in use, {open_cents[customer_id]} cents charged"


def every_row_belongs_to_an_order(books: Books) -> Iterator[str]:
    """No service did anything for an order that nobody placed."""
    rows: Mapping[str, Iterable[int]] = {
        "reservation": (row.order_id for row in books.reservations),
        "charge": (row.order_id for row in books.charges),
        "shipment": (row.order_id for row in books.shipments),
        "confirmation": books.confirmations,
    }
    for kind, order_ids in rows.items():
        for order_id in order_ids:
            if order_id not in books.orders:
                yield f"a {kind} names order {order_id}, which is unknown"


CHECKS: Mapping[str, Callable[[Books], Iterator[str]]] = {
    "each order has exactly one saga": one_saga_for_each_order,
    "every saga has ended": every_saga_ended,
    "completed orders: units, cents, shipment, confirmation": completed_orders_are_fulfilled,
    "compensated orders hold nothing": compensated_orders_hold_nothing,
    "stock balances for every product, to the unit": stock_balances,
    "the ledger balances for every charge, to the cent": ledger_balances,
    "captured money is what completed orders cost": captured_money_is_what_completed_orders_cost,
    "credit in use is what is charged": credit_balances,
    "every row belongs to a known order": every_row_belongs_to_an_order,
}


class _Held:
    """What is live for each order: not released, not refunded, not cancelled."""

    def __init__(self, books: Books) -> None:
        self.reservations: defaultdict[int, list[Reservation]] = defaultdict(list)
        self.charges: defaultdict[int, list[Charge]] = defaultdict(list)
        self.shipments: defaultdict[int, list[Shipment]] = defaultdict(list)
        self.confirmations = Counter(books.confirmations)
        for reservation in books.reservations:
            if not reservation.released:
                self.reservations[reservation.order_id].append(reservation)
        for charge in books.charges:
            if not charge.refunded:
                self.charges[charge.order_id].append(charge)
        for shipment in books.shipments:
            if not shipment.cancelled:
                self.shipments[shipment.order_id].append(shipment)


def _units(order: Order, live: list[Reservation]) -> Iterator[str]:
    if len(live) != 1:
        yield f"order {order.id} is completed, with {len(live)} live reservations"
    elif live[0].units != order.units:
        yield f"order {order.id} is completed, but its reservation holds other units than ordered"


def _money(order: Order, live: list[Charge]) -> Iterator[str]:
    if len(live) != 1:
        yield f"order {order.id} is completed, with {len(live)} charges not refunded"
    elif (live[0].cents, live[0].customer_id) != (order.total_cents, order.customer_id):
        yield f"order {order.id} costs {order.total_cents} cents, but {live[0].cents} were charged"


def _carriage(order: Order, live: list[Shipment]) -> Iterator[str]:
    if len(live) != 1:
        yield f"order {order.id} is completed, with {len(live)} shipments"
    elif live[0].shipper_id != order.shipper_id:
        yield f"order {order.id} went with another carrier than ordered"


def _expected_entries(charge: Charge) -> list[tuple[str, str, int]]:
    customer = f"customer:{charge.customer_id}"
    entries = [(customer, "charge", -charge.cents), (SHOP, "charge", charge.cents)]
    if charge.refunded:
        entries += [(SHOP, "refund", -charge.cents), (customer, "refund", charge.cents)]
    return entries
