"""docs/statements.md tells every statement of a saga: what stands there is what PostgreSQL is told.

To bring the page up to date: `python -m tests.app.test_statement_log URL`, with the URL of an empty database.
"""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from saga_celery.core.events import AttemptFailed, AttemptSucceeded, Nudged
from saga_celery.core.states import Failure
from saga_celery.store import SQLStore
from saga_celery.store.migrate import migrate
from tests.app.test_counts import Workshop

PAGE = Path(__file__).parents[2] / "docs" / "statements.md"
BLOCK = re.compile(r"(<!-- (?P<name>[a-z ]+): written by a test -->\n)(?P<body>.*?)(<!-- end -->)", re.DOTALL)
DID = re.compile(r"\b(INSERT INTO|UPDATE|DELETE FROM|FROM) (saga\w*)\b")
WORDS = {"INSERT INTO": "inserts", "UPDATE": "updates", "DELETE FROM": "deletes", "FROM": "reads"}


def test_the_page_tells_what_is_said(migrated_postgres_url):
    found = dict(blocks(migrated_postgres_url))
    told = {match["name"]: match["body"] for match in BLOCK.finditer(PAGE.read_text())}
    assert told == found


def blocks(url: str) -> Iterator[tuple[str, str]]:
    """The generated parts of the page."""
    shop = Workshop(url, first=0)
    try:
        shop.run(shop.start([shop.new()]))  # the first saga of a process stores and reads the plan
        completed, undone = log(shop), log(shop, refused="five")
        yield "completes", table(completed)
        yield "is undone", table(undone)
        yield "one of them", f"```sql\n{completed[3][1].strip()}\n```\n"
    finally:
        shop.close()


def log(shop: Workshop, refused: str = "") -> list[tuple[str, str]]:
    """What brought about each statement, and its text."""
    said: list[tuple[str, str]] = []
    with listening(shop.store, said) as now:
        now("`start()`")
        saga_id = shop.start([shop.new()])
        now("the nudge: begin")
        shop.tell(saga_id, Nudged())
        while shop.post.sent:
            slot = shop.post.sent.pop().slot
            what = f"`{slot.step}`" if slot.direction == "action" else f"the compensation of `{slot.step}`"
            if slot.step == refused and slot.direction == "action":
                now(f"{what} failed")
                failure = Failure(type="Refused", message="no", types=("Refused",), step=slot.step)
                shop.tell(saga_id, AttemptFailed(slot=slot, attempt=1, failure=failure))
            else:
                now(f"{what} succeeded")
                shop.tell(saga_id, AttemptSucceeded(slot=slot, attempt=1, result=1))
    return said


@contextmanager
def listening(store: SQLStore, said: list[tuple[str, str]]) -> Iterator[Callable[[str], None]]:
    occasion = [""]

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        said.append((occasion[0], statement))

    sa.event.listen(store.connections.engine, "before_cursor_execute", note)
    try:
        yield lambda what: occasion.__setitem__(0, what)
    finally:
        sa.event.remove(store.connections.engine, "before_cursor_execute", note)


def table(said: list[tuple[str, str]]) -> str:
    rows = [f"| {number} | {occasion} | {summary(text)} |" for number, (occasion, text) in enumerate(said, 1)]
    return "\n".join(["| | on this news | one statement |", "|---:|---|---|", *rows]) + "\n"


def summary(statement: str) -> str:
    """What a statement does to which tables; a part that only reads what another part wrote is not told."""
    done: dict[str, list[str]] = {}
    writes = statement.lstrip().startswith("WITH")
    for verb, name in DID.findall(statement):
        tables = done.setdefault(WORDS[verb], [])
        if name not in tables and not (writes and verb == "FROM"):
            tables.append(name)
    return "; ".join(f"{verb} {', '.join(tables)}" for verb, tables in done.items() if tables)


def main(url: str) -> None:
    """Write the page's generated parts."""
    store = SQLStore(url, chance=lambda: 0.5)
    migrate(store.connections)
    store.dispose()
    found = dict(blocks(url))
    PAGE.write_text(BLOCK.sub(lambda match: match[1] + found[match["name"]] + match[4], PAGE.read_text()))


if __name__ == "__main__":
    main(sys.argv[1])
