"""Databases that have the tables already, lent to one test after the other and emptied in between.

Making a database, migrating it and dropping it takes a server longer than most tests take. What a test may change of
the tables themselves is looked for: such a database is dropped, and so is one that can not be emptied.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from saga_celery.store.connections import Connections
from saga_celery.store.migrate import migrate
from saga_celery.store.schema import metadata
from saga_celery.store.version import VERSION_TABLE, head, revision_of
from tests.servers import DatabaseServer

TABLES = {VERSION_TABLE, *metadata.tables}
PATIENCE = 5
"""Seconds for a lock that a test may have left."""
OTHERS = {
    "postgresql": "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid != pg_backend_pid()",
    "mysql": "SELECT id FROM information_schema.processlist WHERE db = database() AND id != connection_id()",
}
WAIT = {"postgresql": f"SET lock_timeout = '{PATIENCE}s'", "mysql": f"SET innodb_lock_wait_timeout = {PATIENCE}"}


def make_tables(url: str) -> None:
    """Bring a database to this release's form."""
    connections = Connections(url, chance=lambda: 0.5)
    migrate(connections)
    connections.dispose()


class Lending:
    """The databases of one server that are there for this test process."""

    def __init__(self, server: DatabaseServer) -> None:
        self._server = server
        self._free: list[str] = []

    @contextmanager
    def one(self) -> Iterator[str]:
        """The URL of a database with the tables, and nothing in them; nobody else has it meanwhile."""
        url = self._free.pop() if self._free else self._made()
        yield url
        if _emptied(url):
            self._free.append(url)
        else:
            self._server.drop(url)

    def close(self) -> None:
        """Drop them all."""
        while self._free:
            self._server.drop(self._free.pop())

    def _made(self) -> str:
        url = self._server.create()
        make_tables(url)
        return url


def _emptied(url: str) -> bool:
    """Throw everybody out, and delete all rows; False when it is no longer as it was made."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    try:
        with engine.begin() as connection:
            _throw_out_others(connection)
            if {*sa.inspect(connection).get_table_names()} != TABLES or revision_of(connection) != head():
                return False
            for table in reversed(metadata.sorted_tables):
                connection.execute(table.delete())
        return True
    except sa.exc.OperationalError:  # a lock that stays
        return False


def _throw_out_others(connection: sa.Connection) -> None:
    dialect = connection.dialect.name
    connection.exec_driver_sql(WAIT[dialect])
    found = connection.exec_driver_sql(OTHERS[dialect]).all()
    if dialect == "mysql":
        for (number,) in found:
            connection.exec_driver_sql(f"KILL SOFT {number}")


class Template:
    """An SQLite file with the tables, to be copied."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "template.db"
        make_tables(f"sqlite:///{self._file}")

    def copy(self, to: Path) -> str:
        """The URL of the copy."""
        shutil.copyfile(self._file, to)
        return f"sqlite:///{to}"
