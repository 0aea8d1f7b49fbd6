"""Bytes that a finished saga takes on PostgreSQL, indexes included: of sagas that ran by the product's own code."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from benchmarks.transitions import Bench

_SIZES = sa.text("""
SELECT relname, pg_total_relation_size(oid) FROM pg_class
WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace
""")


def measure(url: str, sagas: int) -> dict[str, Any]:
    """Let sagas of five steps run in some processes, and weigh what they leave.

    Commits do not wait for the disk here: it makes no byte more or less.

    Args:
        url: an empty saga database on PostgreSQL.
        sagas: how many.
    """
    hasty = sa.make_url(url).update_query_dict({"options": "-c synchronous_commit=off"})
    engine = sa.create_engine(hasty, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    address = hasty.render_as_string(hide_password=False)
    _share(address, 1)  # the first one brings its plan, and a page for each table and index
    empty = _sizes(engine)
    _run(address, sagas)
    with engine.connect() as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")
    tables = {name: (size - empty.get(name, 0)) / sagas for name, size in _sizes(engine).items()}
    return {
        "database": "postgresql",
        "finished": sagas,
        "bytes_per_saga": sum(tables.values()),
        **{name: found for name, found in sorted(tables.items()) if found >= 1},
    }


def _run(url: str, sagas: int) -> None:
    processes = os.cpu_count() or 1
    shares = [sagas // processes + (number < sagas % processes) for number in range(processes)]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        pool.starmap(_share, [(url, share) for share in shares if share])


def _share(url: str, sagas: int) -> None:
    bench = Bench(url)
    bench.run(sagas, cold=False)
    bench.store.dispose()


def _sizes(engine: sa.Engine) -> Mapping[str, int]:
    with engine.connect() as connection:
        return {str(name): int(size) for name, size in connection.execute(_SIZES)}
