"""`python -m benchmarks.retention`: sagas leave. How fast, how long each transaction lasts, what an archived saga takes
on disk, and what a transition costs that runs beside it."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from multiprocessing.synchronize import Event
from pathlib import Path
from statistics import median
from typing import Any

import sqlalchemy as sa

from benchmarks.sagas import Keyed
from benchmarks.servers import NewDatabase, available, servers
from benchmarks.transitions import Bench
from saga_celery.app.chance import new_id
from saga_celery.cli.pruning import BREATH
from saga_celery.core.states import SagaStatus
from saga_celery.store import SQLStore
from saga_celery.store.columns import UtcTime
from saga_celery.store.retention import Old
from saga_celery.store.schema import metadata, saga, saga_history, saga_key, saga_step, saga_tag

Portion = tuple[int, float]
"""How many sagas left, and within how many seconds."""

CHUNK = 2_000
"""Sagas that are stored at once."""
DAYS = 90
"""The ends are spread over these."""
COPIED: Mapping[sa.Table, str] = {saga: "id", saga_step: "saga_id", saga_history: "saga_id", saga_tag: "saga_id"}


def main() -> None:
    """Measure what is asked for, and print it as JSON, one database a line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retention", description=__doc__)
    parser.add_argument("--sagas", type=int, default=100_000, help="finished sagas (%(default)s)")
    parser.add_argument("--batch", type=int, default=200, help="sagas in one transaction (%(default)s)")
    parser.add_argument("--databases", default="postgresql,sqlite,mariadb", help="comma-separated (%(default)s)")
    parser.add_argument("--mariadb-url", metavar="URL", help="a MariaDB server")
    options = parser.parse_args()
    names = available(options.databases.split(","), options.mariadb_url)
    with (
        tempfile.TemporaryDirectory(prefix="saga-bench-", ignore_cleanup_errors=True) as scratch,
        servers(names, Path(scratch), options.mariadb_url) as shared,
    ):
        for name, make in shared.new.items():
            print(json.dumps(measure(name, make, options.sagas, options.batch)), flush=True)


def measure(database: str, new: NewDatabase, sagas: int, batch: int, *, idle: float = 5.0) -> dict[str, Any]:
    """Half of the sagas are deleted, the other half goes into the archive; before that nothing happens for `idle` s."""
    url = new()
    store = SQLStore(url, chance=lambda: 0.5)
    fill(store, url, sagas)
    before = size(store)
    half = store.queries.now() - timedelta(days=DAYS / 2)
    alone = beside(url, lambda: time.sleep(idle))
    archived: list[Portion] = []
    with_archive = beside(url, partial(walk, store, "archive", half, batch, archived))
    packed = size(store)
    deleted: list[Portion] = []
    with_prune = beside(url, partial(walk, store, "delete", store.queries.now(), batch, deleted))
    pruned: list[Portion] = []
    walk(store, "delete_archived", store.queries.now(), batch, pruned)
    store.dispose()
    return {
        "database": database,
        "sagas": sagas,
        "batch": batch,
        "archive": speed(archived),
        "delete": speed(deleted),
        "delete_archived": speed(pruned),
        "bytes_of_a_saga": sum(before[table.name] for table in (*COPIED, saga_key)) / sagas,
        "bytes_archived": packed["saga_archive"] / sum(count for count, _ in archived),
        "transition_ms": {"alone": alone, "beside_archive": with_archive, "beside_delete": with_prune},
    }


def speed(portions: list[Portion]) -> dict[str, float]:
    """Of the transactions: how fast, and how long each."""
    sagas, seconds = sum(count for count, _ in portions), [lasted for _, lasted in portions]
    return {
        "sagas": sagas,
        "sagas_per_second": round(sagas / sum(seconds)),
        "transaction_ms": round(median(seconds) * 1000, 1),
        "longest_ms": round(max(seconds) * 1000, 1),
    }


def walk(store: SQLStore, move: str, before: Any, batch: int, portions: list[Portion]) -> None:
    """Have everything leave that ended before that time, and note how long each transaction took."""
    old, behind = Old(name=Keyed.name, before=dict.fromkeys((SagaStatus.COMPLETED,), before)), None
    while True:
        began = time.perf_counter()
        portion = getattr(store.retention, move)(old, batch, behind)
        portions.append((len(portion.ids), time.perf_counter() - began))
        time.sleep(BREATH if store.connections.dialect == "sqlite" else 0.0)
        behind = portion.behind
        if behind is None:
            return


# ------------------------------------------------------------------------------------------------------------- beside


def beside(url: str, work: Any) -> dict[str, float]:
    """Milliseconds of the transitions that another process carries out meanwhile."""
    context = multiprocessing.get_context("spawn")
    ready, over = context.Event(), context.Event()
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=neighbour, args=(url, ready, over, sender))
    process.start()
    ready.wait()
    work()
    over.set()
    times = sorted(receiver.recv())
    process.join()
    place = min(int(len(times) * 0.99), len(times) - 1)
    return {
        "median": round(median(times) * 1000, 2),
        "p99": round(times[place] * 1000, 2),
        "longest": round(times[-1] * 1000, 1),
    }


def neighbour(url: str, ready: Event, over: Event, sender: Any) -> None:
    """Run sagas until it is over."""
    bench = Bench(url)
    bench.run(20, cold=True)
    bench.clear()
    ready.set()
    bench.run(5, cold=True)
    while not over.is_set():
        bench.run(5, cold=True)
    sender.send(bench.moves)
    bench.store.dispose()


# --------------------------------------------------------------------------------------------------------------- fill


def fill(store: SQLStore, url: str, sagas: int) -> None:
    """Copies of one saga that ran, with ids, keys and times of their own."""
    bench = Bench(url)
    bench.run(1, cold=True)
    bench.store.dispose()
    with store.connections.transaction() as connection:
        rows = {table: [dict(row._mapping) for row in connection.execute(sa.select(table))] for table in COPIED}
        for table in COPIED:
            connection.execute(sa.delete(table))
    for first in range(0, sagas, CHUNK):
        numbers = range(first, min(first + CHUNK, sagas))
        ids = {number: new_id() for number in numbers}
        with store.connections.transaction() as connection:
            for table, key in COPIED.items():
                copies = [copied(row, key, ids[number], number, sagas) for number in numbers for row in rows[table]]
                if copies:
                    connection.execute(sa.insert(table), copies)
            keys = [
                {"name": Keyed.name, "key": f"order-{number}", "saga_id": ids[number], "input_hash": "0" * 64}
                for number in numbers
            ]
            connection.execute(sa.insert(saga_key), keys)
    with store.connections.autocommit() as connection:
        for statement in AFTERWARDS[store.connections.dialect]:
            connection.exec_driver_sql(statement)


def copied(row: Mapping[str, Any], key: str, saga_id: str, number: int, sagas: int) -> dict[str, Any]:
    """A row of another saga."""
    old_id, age = row[key], timedelta(days=DAYS * (1 - number / sagas))
    found = {
        name: value.replace(old_id, saga_id)
        if isinstance(value, str)
        else value - age
        if is_time(name, value)
        else value
        for name, value in row.items()
    }
    return {**found, **({"key": f"order-{number}"} if key == "id" else {})}


def is_time(name: str, value: object) -> bool:
    """A moment of the saga's life."""
    return value is not None and any(
        column.name == name and isinstance(column.type, UtcTime) for table in COPIED for column in table.columns
    )


AFTERWARDS: Mapping[str, tuple[str, ...]] = {
    "postgresql": ("VACUUM ANALYZE",),
    "mysql": tuple(f"ANALYZE TABLE {table.name}" for table in COPIED),
    "sqlite": ("ANALYZE",),
}

# --------------------------------------------------------------------------------------------------------------- size

SIZES = {
    "postgresql": "SELECT relname, pg_total_relation_size(oid) FROM pg_class WHERE relkind = 'r'",
    "mysql": "SELECT table_name, data_length + index_length FROM information_schema.tables "
    "WHERE table_schema = database()",
    "sqlite": "SELECT m.tbl_name, sum(s.pgsize) FROM dbstat AS s JOIN sqlite_master AS m ON m.name = s.name GROUP BY 1",
}


def size(store: SQLStore) -> dict[str, int]:
    """Bytes of each table, with its indexes; none where this SQLite does not tell."""
    dialect = store.connections.dialect
    with store.connections.autocommit() as connection:
        if dialect == "mysql":
            connection.exec_driver_sql("ANALYZE TABLE saga_archive").all()
        try:
            rows = connection.exec_driver_sql(SIZES[dialect]).all()
        except sa.exc.OperationalError:
            rows = []
    return {**dict.fromkeys(metadata.tables, 0), **{name: int(bytes_) for name, bytes_ in rows}}


if __name__ == "__main__":
    main()
