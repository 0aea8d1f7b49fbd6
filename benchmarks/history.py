"""Whether anything costs more when the tables are full of sagas that have ended, and of some that wait."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import sqlalchemy as sa

from benchmarks.servers import NewDatabase
from benchmarks.transitions import TRANSITIONS, Bench, timed

WAITING_SHARE = 10
"""Of so many finished sagas one more waits for the outcome of its first step."""
KEYS = {"saga": "id", "saga_step": "saga_id", "saga_history": "saga_id", "saga_awaited": "saga_id"}
"""The tables that are filled, and where the id of the saga stands."""
NUMBERS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {most})"
ID = {"postgresql": "'{kind}-' || i", "sqlite": "'{kind}-' || i", "mariadb": "concat('{kind}-', i)"}
CREATED = {
    "postgresql": "t.created_at - i * interval '1 millisecond'",
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f000', t.created_at, (-i / 1000.0) || ' seconds')",
    "mariadb": "t.created_at - INTERVAL i * 1000 MICROSECOND",
}
LONG_AFTER = "'2100-01-01 00:00:00.000000'"
INSERT = {
    "postgresql": "{2} INSERT INTO {0} ({1}) {3}",
    "sqlite": "{2} INSERT INTO {0} ({1}) {3}",
    "mariadb": "SET STATEMENT max_recursive_iterations={4} FOR INSERT INTO {0} ({1}) {2} {3}",
}
CALLS = 20


def measure(database: str, new: NewDatabase, finished: int, sagas: int, rounds: int) -> dict[str, Any]:
    """Milliseconds of all that is asked for again and again, with empty tables and with full ones, taking turns."""
    waiting = finished // WAITING_SHARE
    benches = {"empty": Bench(new()), "full": Bench(new())}
    _fill(benches["full"], database, {"old": finished, "wait": waiting})
    for bench in benches.values():
        bench.run(5, cold=True)
    times: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, bench in benches.items():
            bench.clear()
            bench.run(sagas, cold=True)
            times.setdefault(f"transition_ms_{name}", []).append(median(bench.moves))
            for what, ask in _asked(bench).items():
                times.setdefault(f"{what}_ms_{name}", []).append(_median_of(ask))
    for bench in benches.values():
        bench.store.dispose()
    figures = {name: median(found) * 1000 for name, found in times.items()}
    return {"database": database, "finished": finished, "waiting": waiting, **dict(sorted(figures.items()))}


def _asked(bench: Bench) -> dict[str, Callable[[], object]]:
    """What costs nothing but reading, `show` of a saga that is open."""
    one, queries = bench.start(), bench.store.queries
    bench.move(one, 1)
    return {
        "sweep": partial(bench.store.overdue, 200, 30.0),
        "list": partial(queries.page, 50),
        "show": lambda: (queries.snapshot(one), queries.history(one)),
    }


def _median_of(ask: Callable[[], object]) -> float:
    times: list[float] = []
    for _ in range(CALLS):
        timed(times, ask)
    return median(times)


def _fill(bench: Bench, database: str, counts: dict[str, int]) -> None:
    """Copies, by plain SQL, of one saga that ran to its end, and of one that waits and will not be due."""
    templates = {"old": bench.start(), "wait": bench.start()}
    bench.move(templates["old"], TRANSITIONS)
    bench.move(templates["wait"], 1)
    with bench.store.connections.transaction() as connection:
        names = {table: [column["name"] for column in sa.inspect(connection).get_columns(table)] for table in KEYS}
        for kind, count in counts.items():
            for table, key in KEYS.items():
                made = {key: ID[database].format(kind=kind), "created_at": CREATED[database], "due_at": LONG_AFTER}
                values = ", ".join(made.get(name, f"t.{name}") for name in names[table])
                source = f"SELECT {values} FROM n, {table} t WHERE t.{key} = '{templates[kind]}'"  # noqa: S608 - ours
                columns, numbers = ", ".join(names[table]), NUMBERS.format(most=count)
                text = INSERT[database].format(table, columns, numbers, source, count + 1)
                connection.exec_driver_sql(text.replace("%", "%%") if database == "mariadb" else text)
    with bench.store.connections.autocommit() as connection:
        connection.exec_driver_sql("ANALYZE TABLE saga" if database == "mariadb" else "ANALYZE")
