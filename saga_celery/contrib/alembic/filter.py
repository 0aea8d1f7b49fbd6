"""What `alembic revision --autogenerate` shall take no notice of."""

from __future__ import annotations

from typing import Any

from saga_celery.store.barrier import barrier_metadata
from saga_celery.store.schema import metadata
from saga_celery.store.version import VERSION_TABLE

TABLES = frozenset({*metadata.tables, *barrier_metadata.tables, VERSION_TABLE})
"""All that this library may have made in a database."""


def include_object(object_: Any, name: str | None, type_: str, reflected: bool, compare_to: Any) -> bool:
    """Leave out the tables of saga_celery, which autogenerate would drop, as no model of the app describes them.

    For `context.configure(include_object=…)` and `Migrate(include_object=…)`; of two filters write
    `lambda *args: mine(*args) and include_object(*args)`. A table that the app's metadata do describe, as with
    `barrier_metadata`, is compared like any other.

    Args:
        object_: what Alembic looks at.
        name: its name.
        type_: `table`, `column`, `index` …
        reflected: it was found in the database.
        compare_to: what the app's metadata have in its place.

    Returns:
        False: Alembic takes no notice of it.
    """
    if type_ != "table" or not reflected or compare_to is not None:
        return True
    return object_.schema is not None or name not in TABLES
