"""Whether the web console answers at once, however many sagas there are: each of its calls, on a store of very many."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlencode

from celery import Celery
from flask import Flask
from flask.testing import FlaskClient

from benchmarks.many_sagas import fill
from saga_celery import SagaApp
from saga_celery.contrib import console
from saga_celery.contrib.flask import SagaCelery

DEEP = 500
"""Pages to turn before the deep one."""
ALLOWED_MS = 100.0

Call = tuple[str, Callable[[], object], str]
"""What it is called, the function, and its path in the API."""

FILTERS: Mapping[str, Mapping[str, str]] = {
    "first page": {},
    "name": {"name": "shop.order"},
    "rare name": {"name": "shop.rare"},
    "state COMPLETED": {"state": "COMPLETED"},
    "state COMPENSATED": {"state": "COMPENSATED"},
    "state FAILED": {"state": "FAILED"},
    "state RUNNING": {"state": "RUNNING"},
    "tag of ten": {"tag": "customer=7"},
    "tag of one in twenty": {"tag": "country=7"},
    "tag of nobody": {"tag": "customer=nobody"},
    "two tags": {"tag": "customer=7,country=7"},
    "tag and state": {"tag": "customer=7", "state": "COMPLETED"},
    "common tag and state": {"tag": "country=7", "state": "COMPLETED"},
    "common tag, hardly any in the state": {"tag": "country=1", "state": "RUNNING"},
    "common tag and FAILED": {"tag": "country=1", "state": "FAILED"},
    "common tag and name": {"tag": "country=2", "name": "shop.audit"},
    "name and state": {"name": "shop.order", "state": "COMPENSATED"},
    "name and state without a match": {"name": "shop.audit", "state": "COMPENSATED"},
    "rare name and state without a match": {"name": "shop.rare", "state": "FAILED"},
    "name and PENDING": {"name": "shop.gift", "state": "PENDING"},
    "search: key": {"search": "order-500"},
    "search: nothing": {"search": "nothing"},
    "stuck": {"stuck": "1"},
    "stuck, of a name": {"stuck": "1", "name": "shop.order"},
    "suspended": {"suspended": "1"},
    "suspended, none of a name": {"suspended": "1", "name": "shop.rare"},
    "since 2 hours": {"since": "2h"},
    "ten days of a month ago": {"since": "30d", "until": "20d"},
    "old and RUNNING": {"until": "60d", "state": "RUNNING"},
    "old, of a name and a state": {"until": "60d", "name": "shop.audit", "state": "FAILED"},
}


def measure(database: str, url: str, stored: int, calls: int) -> list[dict[str, Any]]:
    """Fill a store, and look at it.

    Args:
        database: its name.
        url: an empty saga database on PostgreSQL, on this machine.
        stored: sagas to fill it with.
        calls: times that each call is made in either way.
    """
    celery = Celery("bench", broker="memory://", set_as_current=False)
    celery.conf.saga_database_url = url
    sagas = SagaApp(celery)
    began = time.perf_counter()
    try:
        fill(sagas, stored, lambda done: print(f"stored: {done:,} …", file=sys.stderr, flush=True))
        print(f"filled within {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
        return [{"database": database, "stored": stored, **row} for row in look(sagas, celery, calls)]
    finally:
        sagas.dispose()


def look(sagas: SagaApp, celery: Celery, calls: int) -> Iterator[dict[str, Any]]:
    """Milliseconds of each call, as a function and over HTTP, when everything has been asked for once.

    Args:
        sagas: an app whose store is full.
        celery: its Celery app.
        calls: times that each call is made in either way.
    """
    browser, processors = _browser(celery), Processors(sagas)
    for label, ask, path in _calls(sagas):
        yield {"call": label, **_timed(ask, partial(_asked, browser, path), processors, calls)}


def _browser(celery: Celery) -> FlaskClient:
    app = Flask("bench")
    app.extensions["celery"] = celery
    SagaCelery(app)
    app.register_blueprint(SagaCelery().blueprint(public=True), url_prefix="/sagas")
    return app.test_client()


def _calls(sagas: SagaApp) -> Iterator[Call]:
    for label, parameters in FILTERS.items():
        yield _list(sagas, label, parameters)
        yield _matching(sagas, label, parameters)
    found = console.sagas(sagas, {"limit": "10"})["sagas"][-1]["id"]
    for label, text in (("search: id", found), ("search: beginning of an id", found[:11])):
        yield _list(sagas, label, {"search": text})
    yield _list(sagas, f"page {DEEP}", {"after": _deep(sagas)})
    for label, parameters in (("counts", {}), ("counts of a name", {"name": "shop.order"})):
        yield label, partial(console.counts, sagas, parameters), f"counts?{urlencode(parameters)}"
    failed = console.sagas(sagas, {"state": "FAILED", "limit": "1"})["sagas"][0]["id"]
    for label, saga_id in (("one saga", found), ("one that failed", failed)):
        yield label, partial(console.saga, sagas, saga_id), f"sagas/{saga_id}"
        yield f"{label}: graph", partial(console.graph, sagas, saga_id), f"sagas/{saga_id}/graph.svg"


def _list(sagas: SagaApp, label: str, parameters: Mapping[str, str]) -> Call:
    return f"list: {label}", partial(console.sagas, sagas, parameters), f"sagas?{urlencode(parameters)}"


def _matching(sagas: SagaApp, label: str, parameters: Mapping[str, str]) -> Call:
    return f"matching: {label}", partial(console.matching, sagas, parameters), f"matching?{urlencode(parameters)}"


def _deep(sagas: SagaApp) -> str:
    """Where a person is who has turned so many pages, or all that there are but one."""
    end = None
    for _ in range(DEEP - 1):
        page = sagas.store.queries.page(50, after=end)
        if page.end is None:
            break
        end = page.end
    return end.id if end else ""


class Processors:
    """The time that processors spent for this process and its database connection, which others' load does not touch.

    Args:
        sagas: an app; this process has one connection to its store, as it has one thread.
    """

    def __init__(self, sagas: SagaApp) -> None:
        with sagas.store.connections.autocommit() as connection:
            pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        self._backend = Path(f"/proc/{pid}/stat")

    def milliseconds(self) -> float:
        """Since they began; of the database in steps of 10 ms."""
        times = self._backend.read_text().rpartition(")")[2].split()
        backend = (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")
        return (time.process_time() + backend) * 1000


def _timed(
    ask: Callable[[], object], ask_by_http: Callable[[], object], processors: Processors, calls: int
) -> dict[str, Any]:
    first = _milliseconds(ask)
    began = processors.milliseconds()
    direct = [_milliseconds(ask) for _ in range(calls)]
    spent = processors.milliseconds() - began
    http = [_milliseconds(ask_by_http) for _ in range(calls)]
    return {
        "first_ms": first,
        "p50_ms": median(direct),
        "max_ms": max(direct),
        "cpu_ms": spent / calls,
        "http_p50_ms": median(http),
        "http_max_ms": max(http),
        "over": sum(each > ALLOWED_MS for each in [*direct, *http]),
    }


def _asked(browser: FlaskClient, path: str) -> None:
    answer = browser.get(f"/sagas/api/{path}")
    if answer.status_code != 200:
        raise SystemExit(f"{path}: {answer.status} {json.dumps(answer.json)}")


def _milliseconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1000
