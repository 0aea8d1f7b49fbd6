"""Trips by the hundred: booked side by side, paid by a child saga, refused at random, their workers struck down.

`python -m workers.trips` runs them on real workers, and holds the services' own books against the sagas.
"""
