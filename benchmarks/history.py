"""Whether a transition costs more when the tables are full of sagas that have ended."""

from __future__ import annotations

from functools import partial
from statistics import median
from typing import Any

import sqlalchemy as sa

from benchmarks.servers import NewDatabase
from benchmarks.transitions import Bench, timed

TABLES = {"saga": "id", "saga_step": "saga_id", "saga_history": "saga_id"}
"""What a finished saga leaves behind, and where its id stands."""
NUMBERS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {most})"
OLD_ID = {"postgresql": "'old-' || i", "sqlite": "'old-' || i", "mariadb": "concat('old-', i)"}
INSERT = {
    "postgresql": "{2} INSERT INTO {0} ({1}) {3}",
    "sqlite": "{2} INSERT INTO {0} ({1}) {3}",
    "mariadb": "SET STATEMENT max_recursive_iterations={4} FOR INSERT INTO {0} ({1}) {2} {3}",
}


def measure(database: str, new: NewDatabase, finished: int, sagas: int, rounds: int) -> dict[str, Any]:
    """Milliseconds for each transition and each sweep, with empty tables and with full ones, taking turns."""
    empty, full = Bench(new()), Bench(new())
    _fill(full, database, finished)
    benches = {"empty": empty, "full": full}
    moves: dict[str, list[float]] = {name: [] for name in benches}
    sweeps: dict[str, list[float]] = {name: [] for name in benches}
    for bench in benches.values():
        bench.run(5, cold=True)
    for _ in range(rounds):
        for name, bench in benches.items():
            bench.clear()
            bench.run(sagas, cold=True)
            moves[name].append(median(bench.moves))
            times: list[float] = []
            for _ in range(20):
                timed(times, partial(bench.store.overdue, 200, 30.0))
            sweeps[name].append(median(times))
    for bench in benches.values():
        bench.store.dispose()
    found: dict[str, Any] = {"database": database, "finished": finished}
    for name in benches:
        found[f"transition_ms_{name}"] = median(moves[name]) * 1000
        found[f"sweep_ms_{name}"] = median(sweeps[name]) * 1000
    return found


def _fill(bench: Bench, database: str, finished: int) -> None:
    """Finished sagas by plain SQL: copies of one that ran."""
    bench.run(1, cold=True)
    numbers, most = NUMBERS.format(most=finished), finished + 1
    with bench.store.connections.transaction() as connection:
        names = {table: [column["name"] for column in sa.inspect(connection).get_columns(table)] for table in TABLES}
        for table, key in TABLES.items():
            columns = ", ".join(names[table])
            values = ", ".join(OLD_ID[database] if name == key else f"t.{name}" for name in names[table])
            source = f"SELECT {values} FROM n, {table} t WHERE t.{key} NOT LIKE 'old-%'"  # noqa: S608 - our own tables
            connection.execute(sa.text(INSERT[database].format(table, columns, numbers, source, most)))
    with bench.store.connections.autocommit() as connection:
        connection.exec_driver_sql("ANALYZE TABLE saga" if database == "mariadb" else "ANALYZE")
