"""The names of the sagas that there are."""

from __future__ import annotations

from typing import Any

_EACH_NAME = """
WITH RECURSIVE known(name) AS (
    SELECT MIN(name) FROM saga
    UNION ALL
    SELECT (SELECT MIN(saga.name) FROM saga WHERE saga.name > known.name) FROM known WHERE known.name IS NOT NULL
)
SELECT name FROM known WHERE name IS NOT NULL
"""
"""From one name to the next in their index: a DISTINCT would read every row."""
_EACH_NAME_ON_MARIADB = "SELECT DISTINCT name FROM saga ORDER BY name"
"""There it is the DISTINCT that jumps, and the other statement that reads every row."""


def saga_names(connection: Any) -> list[str]:
    """Every name that a saga has, in the order of the database.

    Args:
        connection: Django's, to where the sagas are.
    """
    with connection.cursor() as cursor:
        cursor.execute(_EACH_NAME_ON_MARIADB if connection.vendor == "mysql" else _EACH_NAME)
        return [name for (name,) in cursor.fetchall()]
