"""Start the trips: the run's only word to saga_celery."""

from __future__ import annotations

from collections.abc import Sequence

from workers.trips.books import KEY_PREFIX
from workers.trips.wanted import Wanted

BATCH = 50
"""Sagas that are started in one transaction."""


def start_trips(trips: Sequence[Wanted]) -> None:
    """Start one saga for each trip, under a key that makes a second start harmless."""
    # Imported only here: the application reads the environment, which the run sets first.
    from saga_celery import StartItem
    from workers.coordinator import app
    from workers.travel import Trip, TripSaga

    app.set_default()
    for first in range(0, len(trips), BATCH):
        TripSaga.start_many(
            StartItem(
                Trip(id=trip.id, traveller=trip.traveller, city=trip.city, cents=trip.cents, fee_cents=trip.fee_cents),
                key=f"{KEY_PREFIX}{trip.id}",
            )
            for trip in trips[first : first + BATCH]
        )
