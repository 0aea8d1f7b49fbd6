"""Fields whose columns are, to the letter, those of the store's own schema.

Django's SQL for a type differs from SQLAlchemy's in small things: collations, the length of a text, the precision of a
time. Here SQLAlchemy's word is taken, so that both roads lead to the same tables.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from django.db import models

from saga_celery.store.columns import UtcTime, long_bytes, long_text, name_of
from saga_celery.store.django import dialect_of


class Name(models.CharField):
    """A short text that is compared letter by letter."""

    def db_type(self, connection: Any) -> str:
        """SQLAlchemy's word for it."""
        return _sql(name_of(self.max_length), connection)


class LongText(models.TextField):
    """A text without a bound worth mentioning."""

    def db_type(self, connection: Any) -> str:
        """SQLAlchemy's word for it."""
        return _sql(long_text(), connection)


class LongBytes(models.BinaryField):
    """Bytes without a bound worth mentioning."""

    def db_type(self, connection: Any) -> str:
        """SQLAlchemy's word for it."""
        return _sql(long_bytes(), connection)


class Time(models.DateTimeField):
    """A point in time, to the microsecond, in UTC."""

    def db_type(self, connection: Any) -> str:
        """SQLAlchemy's word for it."""
        return _sql(UtcTime(), connection)


class Number(models.IntegerField):
    """A whole number."""

    def db_type(self, connection: Any) -> str:
        """SQLAlchemy's word for it."""
        return _sql(sa.Integer(), connection)


class LargeNumber(models.BigIntegerField):
    """A whole number that may be large."""

    def db_type(self, connection: Any) -> str:
        """SQLAlchemy's word for it."""
        return _sql(sa.BigInteger(), connection)


class Seconds(models.FloatField):
    """A length of time."""

    def db_type(self, connection: Any) -> str:
        """SQLAlchemy's word for it."""
        return _sql(sa.Double(), connection)


class Flag(models.BooleanField):
    """Yes or no."""

    def db_type(self, connection: Any) -> str:
        """SQLAlchemy's word for it."""
        return _sql(sa.Boolean(), connection)


def _sql(kind: sa.types.TypeEngine[Any], connection: Any) -> str:
    """How SQLAlchemy writes a type on the database of a connection of Django's."""
    return kind.compile(dialect=dialect_of(connection.vendor))
