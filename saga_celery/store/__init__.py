"""The saga database, over SQLAlchemy: PostgreSQL, MariaDB or SQLite."""

from __future__ import annotations

from saga_celery.store.sql_store import SQLStore
from saga_celery.store.starts import IfExists, Inserted, NewSaga

__all__ = ["IfExists", "Inserted", "NewSaga", "SQLStore"]
