"""A Celery application with a saga that waits two days for a person, and the web application that the person uses.

`python -m tests.acceptance.bank` serves the web application: a process of its own, with a table of its own beside those
of the sagas.
"""

from __future__ import annotations

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from celery import Celery
from celery.canvas import Signature
from pydantic import BaseModel
from sqlalchemy.orm import Session

from saga_celery import Abort, Retry, Saga, SagaApp, step, wait_for

TWO_DAYS = 2 * 24 * 3600.0
FOLDER = Path(os.environ.get("SHOP_FOLDER", "."))

app = Celery("bank", broker=os.environ.get("SHOP_BROKER", "memory://"))
app.conf.update(
    task_default_queue="bank",
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    saga_database_url=os.environ.get("SHOP_DATABASE", "sqlite://"),
    saga_heartbeat_interval=0.5,
    saga_sweep_interval=0.2,
    saga_queue_grace=2.0,
)
SagaApp(app)


class Loan(BaseModel):
    """What it is called."""

    name: str


class Decision(BaseModel):
    """What the person said."""

    ok: bool
    by: str


@app.task(name="bank.do")
def do(what: str, key: str) -> str:
    with (FOLDER / "effects").open("a") as effects:
        effects.write(f"{what} {key}\n")
    return what


class LoanSaga(Saga[Loan, str]):
    name = "bank.loan"

    @step(retry=Retry(attempts=5, delay=0.05))
    def block(self, loan: Loan) -> Signature[str]:
        return do.si(f"{loan.name}:block", key=self.key())

    @block.compensate
    def unblock(self, loan: Loan, block: str) -> Signature[str]:
        return do.si(f"{loan.name}:unblock", key=self.key())

    @wait_for(Decision, timeout=TWO_DAYS)
    def approve(self, loan: Loan) -> Signature[str]:
        return do.si(f"{loan.name}:ask", key=self.key())

    @step(pivot=True, retry=Retry(attempts=5, delay=0.05))
    def pay(self, loan: Loan, approve: Decision) -> Signature[str]:
        if not approve.ok:
            raise Abort(f"refused by {approve.by}")
        return do.si(f"{loan.name}:pay", key=self.key())

    def result(self, loan: Loan, approve: Decision) -> str:
        return f"approved by {approve.by}"


# ── the web application ──────────────────────────────────────────────────────────────────────────────────────────────


def decide(engine: sa.Engine, saga_id: str, asked: dict[str, Any]) -> None:
    """One request: the decision is written down and sent, together or not at all."""
    with Session(engine) as session:
        session.execute(sa.text("INSERT INTO decision (loan) VALUES (:loan)"), {"loan": saga_id})
        decision = Decision(ok=asked["ok"], by=asked["by"])
        LoanSaga.approve.send(saga_id, decision, event_id="decision", actor=asked["by"], session=session)
        if asked["fails"]:
            raise RuntimeError("the request failed after it had sent the event")
        session.commit()


def serve() -> None:
    engine = sa.create_engine(os.environ["SHOP_DATABASE"])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            try:
                decide(engine, self.path.strip("/"), asked)
                status = 200
            except RuntimeError:
                status = 500
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: the tables tell."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"listening on {server.server_port}.", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    serve()
