"""A travel agency in Flask: a form that books a trip as a saga, its live page, and a desk for its staff.

`make agency`, or `python -m workers.agency`, runs all of it; `flask --app workers.agency saga list` works on its sagas.
"""

from workers.agency.factory import create_app

__all__ = ["create_app"]
