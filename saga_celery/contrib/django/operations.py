"""What Django's migrations of our tables do besides creating and altering them."""

from __future__ import annotations

from typing import Any

from django.db import router
from django.db.migrations.operations.base import Operation

from saga_celery.store.version import VERSION_TABLE


class Stamp(Operation):
    """Write down which version the tables are at now, where workers and command line look for it.

    The last operation of each migration. Its table is no model, so that a test that empties the tables of all models
    leaves it alone.

    Args:
        version: that of the store's own migrations which leads to the same tables.
        before: the version that the migration starts from; empty: there are no tables.
    """

    reduces_to_sql = True
    reversible = True

    def __init__(self, version: str, before: str = "") -> None:
        self.version = version
        self.before = before

    def state_forwards(self, app_label: str, state: Any) -> None:
        """No model changes."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """From the version before to this one."""
        self._move(app_label, schema_editor, self.before, self.version)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """And back."""
        self._move(app_label, schema_editor, self.version, self.before)

    def describe(self) -> str:
        """For `migrate --plan`."""
        return f"Note that the tables of saga_celery are at version {self.version}"

    def _move(self, app_label: str, schema_editor: Any, old: str, new: str) -> None:
        if not router.allow_migrate(schema_editor.connection.alias, app_label):
            return
        if not old:
            schema_editor.execute(
                f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL, "
                f"CONSTRAINT {VERSION_TABLE}_pkc PRIMARY KEY (version_num))"
            )
            schema_editor.execute(f"INSERT INTO {VERSION_TABLE} (version_num) VALUES ('{new}')")  # noqa: S608 - ours
        elif not new:
            schema_editor.execute(f"DROP TABLE {VERSION_TABLE}")
        else:
            # Tables that `saga migrate` made may be further on: `--fake-initial` runs this, and fakes what follows.
            schema_editor.execute(
                f"UPDATE {VERSION_TABLE} SET version_num = '{new}' WHERE version_num = '{old}'"  # noqa: S608 - ours
            )
