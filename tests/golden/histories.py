"""Golden histories: all rows of one saga as JSON, written by one release and read by every later one."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from sqlalchemy.engine import Connection

from saga_celery.core import events as e
from saga_celery.core.states import SagaStatus
from saga_celery.store import SQLStore
from saga_celery.store.columns import UtcTime
from saga_celery.store.migrate import _config, migrate
from saga_celery.store.schema import metadata

FOLDER = Path(__file__).parent / "histories"


@dataclass(frozen=True)
class Golden:
    """One saga of one release."""

    release: str
    name: str
    schema: str
    """The version of the tables then."""
    now: datetime
    """The database's time then."""
    saga_id: str
    stored: SagaStatus
    ends: SagaStatus
    ask: e.OperatorAsked | None
    tables: dict[str, list[dict[str, Any]]]


# --------------------------------------------------------------------------------------------------------------- write


def rows_of(store: SQLStore) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables, as JSON has them."""
    with store.connections.autocommit() as connection:
        return {
            table.name: [
                {name: _plain(value) for name, value in row._mapping.items()}
                for row in connection.execute(sa.select(table).order_by(*table.primary_key.columns))
            ]
            for table in metadata.sorted_tables
        }


def write(golden: Golden) -> Path:
    """Store a golden history."""
    path = FOLDER / golden.release / f"{golden.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    ask = golden.ask
    written = {
        "schema": golden.schema,
        "now": golden.now.isoformat(),
        "saga": golden.saga_id,
        "stored": golden.stored.value,
        "ends": golden.ends.value,
        "ask": ask and {"verb": ask.verb, "resolution": ask.resolution, "result": ask.result},
        "tables": {name: rows for name, rows in golden.tables.items() if rows},
    }
    path.write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n")
    return path


def _plain(value: Any) -> Any:
    return {"time": value.isoformat()} if isinstance(value, datetime) else value


# ---------------------------------------------------------------------------------------------------------------- read


def goldens() -> Iterator[Golden]:
    """All golden histories of all releases."""
    for path in sorted(FOLDER.glob("*/*.json")):
        yield read(path)


def read(path: Path) -> Golden:
    found = json.loads(path.read_text())
    ask = found["ask"]
    return Golden(
        release=path.parent.name,
        name=path.stem,
        schema=found["schema"],
        now=datetime.fromisoformat(found["now"]),
        saga_id=found["saga"],
        stored=SagaStatus(found["stored"]),
        ends=SagaStatus(found["ends"]),
        ask=ask and _asked(**ask),
        tables=found["tables"],
    )


def _asked(verb: str, resolution: str | None, result: Any) -> e.OperatorAsked:
    meant = e.Resolution(resolution) if resolution else None
    return e.OperatorAsked(verb=e.Verb(verb), actor="eve", reason="later", resolution=meant, result=result)


def load(golden: Golden, store: SQLStore) -> None:
    """Put the rows into tables as they were then, and bring those to today's form as a deployment would."""
    with store.connections.transaction() as connection:
        command.upgrade(_config(connection=connection), golden.schema)
    with store.connections.transaction() as connection:
        for name, rows in golden.tables.items():
            _insert(connection, name, rows)
    migrate(store.connections)


def _insert(connection: Connection, name: str, rows: list[dict[str, Any]]) -> None:
    """The tables of then are known by what the rows hold."""
    times = {column for row in rows for column, value in row.items() if isinstance(value, dict)}
    table = sa.table(name, *(sa.column(column, UtcTime() if column in times else None) for column in rows[0]))
    connection.execute(sa.insert(table), [{column: _read(value) for column, value in row.items()} for row in rows])


def _read(value: Any) -> Any:
    return datetime.fromisoformat(value["time"]) if isinstance(value, dict) else value
