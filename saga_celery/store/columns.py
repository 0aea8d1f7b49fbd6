"""Column types that mean the same on every database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

COLLATION = "utf8mb4_bin"
"""MariaDB's default collations take `order-7` and `ORDER-7` for one key; the other databases do not."""


class UtcTime(TypeDecorator[datetime]):
    """A point in time, to the microsecond; always comes back aware, in UTC.

    PostgreSQL stores `timestamptz`, MariaDB `DATETIME(6)` in UTC, SQLite the text `YYYY-MM-DD HH:MM:SS.ffffff` in UTC,
    which sorts as time does.
    """

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The type of one database."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(sa.TIMESTAMP(timezone=True))
        if dialect.name in ("mysql", "mariadb"):
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(sa.DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Drop the zone where the database has none, after going to UTC."""
        if value is None:
            return None
        utc = value.astimezone(UTC)
        return utc if dialect.name == "postgresql" else utc.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the zone back."""
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


def name_of(length: int) -> sa.types.TypeEngine[str]:
    """A short text that is compared letter by letter, at most `length` characters."""
    return sa.String(length).with_variant(
        mysql.VARCHAR(length, charset="utf8mb4", collation=COLLATION), "mysql", "mariadb"
    )


def long_text() -> sa.types.TypeEngine[str]:
    """A text without a bound worth mentioning."""
    return sa.Text().with_variant(mysql.LONGTEXT(charset="utf8mb4", collation=COLLATION), "mysql", "mariadb")


def long_bytes() -> sa.types.TypeEngine[bytes]:
    """Bytes without a bound worth mentioning."""
    return sa.LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")


ID = 36
"""Length of the id of a saga."""
NAME = 200
"""Length of names, keys and tags; two of them and more fit into one index of MariaDB (3072 bytes)."""
WORD = 32
"""Length of statuses, directions and the like."""
HASH = 64
"""Length of the hash of a plan or an input."""
WORKER = 255
"""Length of the name of a worker process."""
