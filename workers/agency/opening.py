"""The day on which the agency opens: its tables, where one can go, vouchers, and who works there."""

from __future__ import annotations

from collections.abc import Mapping

from werkzeug.security import generate_password_hash

from saga_celery import create_barrier_table
from workers.agency.database import db
from workers.agency.models import Destination, Offer, Staff, Voucher

PRICES: Mapping[str, int] = {
    "Lisbon": 42_000,
    "Marrakesh": 61_500,
    "Reykjavik": 98_000,
    "New York": 145_000,
    "Kyoto": 280_000,
    "Antarctica": 1_190_000,
}
"""City -> cents for one traveller."""
VOUCHERS = tuple(f"LOUNGE-{number}" for number in range(1, 6))
AGENT, TRAINEE = "ann", "tom"


def open_agency(*, places: int, password: str) -> bool:
    """Make the agency's own tables, beside those of the sagas, and fill them; within the app's context.

    Args:
        places: seats and beds for each destination.
        password: of everybody who works there.

    Returns:
        False: it was open already. Nobody's password was changed then.
    """
    db.create_all()
    create_barrier_table(db.engine)
    if db.session.get(Staff, AGENT) is not None:
        return False
    for city, cents in PRICES.items():
        destination = Destination(city=city, cents=cents)
        db.session.add(destination)
        db.session.flush()
        db.session.add_all(Offer(destination_id=destination.id, kind=kind, free=places) for kind in ("flight", "hotel"))
    db.session.add_all(Voucher(code=code) for code in VOUCHERS)
    hashed = generate_password_hash(password)
    db.session.add_all(Staff(name=name, password_hash=hashed, is_agent=name == AGENT) for name in (AGENT, TRAINEE))
    db.session.commit()
    return True
