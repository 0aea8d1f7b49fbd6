"""A payment gateway, somebody else's service: `python -m tests.acceptance.gateway FOLDER`.

A process of its own with a ledger of its own (an SQLite file, synced before each answer). It takes charges with an
idempotency key, and such without, which it can then be asked for by the order.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

TABLES = """
CREATE TABLE IF NOT EXISTS charge (id INTEGER PRIMARY KEY, orders TEXT NOT NULL, key TEXT UNIQUE, refunds INTEGER);
CREATE TABLE IF NOT EXISTS call (what TEXT NOT NULL, orders TEXT NOT NULL);
"""


# ------------------------------------------------------------------------------------------------------------- service


class Ledger:
    """The gateway's own books."""

    def __init__(self, path: Path) -> None:
        self._books = sqlite3.connect(path, timeout=30, isolation_level=None)
        self._books.execute("PRAGMA synchronous=FULL")
        self._books.executescript(TABLES)

    def answer(self, what: str, order: str, key: str | None) -> int | None:
        self._books.execute("BEGIN IMMEDIATE")
        self._books.execute("INSERT INTO call VALUES (?, ?)", (what, order))
        found: int | None = {"charge": self._charge, "find": self._find, "refund": self._refund}[what](order, key)
        self._books.execute("COMMIT")
        return found

    def _charge(self, order: str, key: str | None) -> int:
        """A key that is known is answered with the charge that was made under it."""
        self._books.execute("INSERT OR IGNORE INTO charge (orders, key, refunds) VALUES (?, ?, 0)", (order, key))
        where, value = ("key", key) if key else ("id", self._books.execute("SELECT max(id) FROM charge").fetchone()[0])
        return int(self._books.execute(f"SELECT id FROM charge WHERE {where} = ?", (value,)).fetchone()[0])

    def _find(self, order: str, _: str | None) -> int | None:
        found = self._books.execute("SELECT id FROM charge WHERE orders = ?", (order,)).fetchone()
        return int(found[0]) if found else None

    def _refund(self, order: str, _: str | None) -> None:
        """Gives back what was charged for an order and not given back yet, be it nothing."""
        self._books.execute("UPDATE charge SET refunds = refunds + 1 WHERE orders = ? AND refunds = 0", (order,))


def serve(folder: Path) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps(Ledger(folder / "gateway.db").answer(**asked)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: the books tell."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"listening on {server.server_port}.", flush=True)
    server.serve_forever()


# -------------------------------------------------------------------------------------------------------------- client


def ask(port: int, what: str, order: str, key: str | None = None) -> Any:
    """One request to the gateway."""
    asked = json.dumps({"what": what, "order": order, "key": key}).encode()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", data=asked, timeout=60) as answer:
        return json.loads(answer.read())


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
