"""A Celery application whose sagas have hooks, some of which die or fail at first.

Steps and hooks have queues of their own, so that a test decides which worker gets which.
"""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

from celery import Celery
from celery.canvas import Signature

from saga_celery import Retry, Saga, SagaApp, signals, step

FOLDER = Path(os.environ["SHOP_FOLDER"])

app = Celery("hooked", broker=os.environ["SHOP_BROKER"])
app.conf.update(
    task_default_queue="shop",
    task_routes={"hooks.*": {"queue": "hooks"}, "elsewhere.*": {"queue": "elsewhere"}},
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    saga_database_url=os.environ["SHOP_DATABASE"],
    saga_foreign_queues=["elsewhere"],
    saga_heartbeat_interval=0.5,
    saga_sweep_interval=0.2,
    saga_hook_grace=1.0,
    saga_hooks={"saga_completed": ["hooks.note", "elsewhere.note"]},
)
SagaApp(app)


def note(book: str, event: dict[str, Any]) -> None:
    """Write an event down, in one write that no other process can split."""
    with (FOLDER / book).open("a") as lines:
        lines.write(json.dumps(event) + "\n")


# ── tasks ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@app.task(name="shop.do")
def do(what: str) -> str:
    if what == "fail":
        raise ArithmeticError("the till is broken")
    return f"{what} done"


@app.task(name="hooks.note")
def note_down(event: dict[str, Any]) -> None:
    note("noted", event)


@app.task(name="hooks.hang")
def hang(event: dict[str, Any]) -> None:
    """Stands still within its body while the file `hang` is there, so that a test can kill its worker."""
    note("begun", event)
    while (FOLDER / "hang").exists():
        threading.Event().wait(0.05)
    note("hung", event)


@app.task(name="hooks.fail_once")
def fail_once(event: dict[str, Any]) -> None:
    note("tried", event)
    if len((FOLDER / "tried").read_text().splitlines()) == 1:
        raise ConnectionError("the pager does not answer")


# ── saga and receivers ───────────────────────────────────────────────────────────────────────────────────────────────


class HookedSaga(Saga[str]):
    name = "shop.hooked"
    hooks = {"saga_started": "hooks.hang", "saga_compensated": "hooks.fail_once"}  # noqa: RUF012 - as users write it

    @step(no_compensation="nothing to undo", retry=Retry(attempts=1))
    def work(self, what: str) -> Signature[str]:
        return do.si(what)


@signals.saga_completed.connect(sender="shop.hooked")
def completed(saga_id: str, **_: Any) -> None:
    note("signalled", {"event": "saga_completed", "saga_id": saga_id})
    raise RuntimeError("a receiver that raises harms nothing")
