"""The shop, with sagas that people interfere with."""

from __future__ import annotations

import threading
from datetime import timedelta

from celery.canvas import Signature
from pydantic import BaseModel

from saga_celery import Retry, Saga, step
from tests.acceptance.shop import FOLDER, QUICK, app, note

POLL = 0.02


class Gift(BaseModel):
    name: str
    card: str = "visa"
    hangs: bool = False


@app.task(name="regrets.hang")
def hang(what: str, key: str) -> str:
    """Goes on when the file `go` is there."""
    note(what, key)
    pause = threading.Event()
    while not (FOLDER / "go").exists():
        pause.wait(POLL)
    return f"{what} done"


@app.task(name="regrets.pay")
def pay(what: str, card: str, key: str) -> str:
    if card != "visa":
        raise PermissionError(f"no {card} here")
    note(what, key)
    return f"{what} done"


class GiftSaga(Saga[Gift, str]):
    name = "regrets.gift"
    undo_window = timedelta(days=1)

    @step(retry=Retry(attempts=2, delay=QUICK))
    def wrap(self, gift: Gift) -> Signature[str]:
        return self.task("regrets.hang" if gift.hangs else "shop.do", f"{gift.name}:wrap", key=self.key())

    @wrap.compensate
    def unwrap(self, gift: Gift, wrap: str) -> Signature[None]:
        return self.task("shop.do", f"{gift.name}:unwrap", key=self.key())

    @step(retry=Retry(attempts=2, delay=QUICK))
    def post(self, gift: Gift) -> Signature[str]:
        return self.task("shop.do", f"{gift.name}:post", key=self.key())

    @post.compensate
    def call_back(self, gift: Gift, post: str) -> Signature[None]:
        return self.task("shop.do", f"{gift.name}:call back", key=self.key())

    def result(self, gift: Gift, post: str) -> str:
        return post


class BillSaga(Saga[Gift]):
    name = "regrets.bill"

    @step(pivot=True, retry=Retry(attempts=2, delay=QUICK))
    def deliver(self, gift: Gift) -> Signature[str]:
        return self.task("shop.do", f"{gift.name}:deliver", key=self.key())

    @step(retry=Retry(attempts=2, delay=QUICK), no_compensation="behind the pivot")
    def bill(self, gift: Gift) -> Signature[str]:
        return self.task("regrets.pay", f"{gift.name}:bill", card=gift.card, key=self.key())
