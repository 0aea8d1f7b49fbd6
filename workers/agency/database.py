"""The agency's database: Flask-SQLAlchemy, and what every model is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import make_url
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    """What Flask-SQLAlchemy makes `db.Model` of."""


db = SQLAlchemy(model_class=Base)

if TYPE_CHECKING:  # mypy can not read that db.Model is a Base
    Model = Base
else:
    Model = db.Model

BUSY_SECONDS = 30
"""How long SQLite waits for another writer. Its driver's own five seconds are few for many threads and two workers."""
CONNECTIONS = 20
"""One for each thread that serves, up to so many; the others wait for their turn."""


def engine_options(url: str) -> dict[str, Any]:
    """What `SQLALCHEMY_ENGINE_OPTIONS` are for a database.

    Args:
        url: SQLAlchemy's, of SQLite, PostgreSQL or MariaDB.
    """
    if make_url(url).get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": BUSY_SECONDS}, "pool_size": CONNECTIONS}
    return {"pool_pre_ping": True, "pool_size": CONNECTIONS}
