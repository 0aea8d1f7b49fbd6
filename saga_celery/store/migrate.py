"""Creating and changing the tables, with Alembic. Whether they fit is told by `version`, without it."""

from __future__ import annotations

from functools import cache
from io import StringIO
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import Script, ScriptDirectory

from saga_celery.store.connections import Connections
from saga_celery.store.version import alone, known, refuse_newer, revision_of


def migrate(connections: Connections) -> None:
    """Bring the tables to this release's form. Runs at the same time take turns, and all but the first find it done.

    Raises:
        SchemaOutOfDate: the tables are newer than this release.
        StoreUnavailable: the database does not answer, or another run holds the lock for too long.
    """
    with connections.transaction() as connection, alone(connection):
        refuse_newer(revision_of(connection))
        command.upgrade(_config(connection=connection), "head")


def sql(dialect: str) -> str:
    """The statements that create the tables, for whoever may not let programs do it.

    Args:
        dialect: `postgresql`, `mysql` or `sqlite`.
    """
    output = StringIO()
    command.upgrade(_config(output_buffer=output, dialect=dialect), "head", sql=True)
    return output.getvalue()


def steps(since: str | None, until: str) -> list[Script]:
    """What leads from one version of the tables to another, in this order; nothing when they are that far already.

    Args:
        since: the version that they have; None: there are none.
        until: the version that they shall have.

    Raises:
        SchemaOutOfDate: they are newer than this release.
    """
    refuse_newer(since)
    first = 0 if since is None else known().index(since) + 1
    return [_script().get_revision(number) for number in known()[first : known().index(until) + 1]]


# -------------------------------------------------------------------------------------------------------------- common


def _config(output_buffer: StringIO | None = None, **attributes: Any) -> Config:
    config = Config(output_buffer=output_buffer) if output_buffer is not None else Config()
    config.set_main_option("script_location", "saga_celery.store:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes.update(attributes)
    return config


@cache
def _script() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())
