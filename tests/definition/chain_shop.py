"""Tasks of a shop as it was before there were sagas; chains are made of them."""

from __future__ import annotations

from celery import Celery

app = Celery("chain_shop", broker="memory://", set_as_current=False)


@app.task(name="shop.tasks.reserve")
def reserve(order: int, warehouse: str = "north") -> str:
    return f"r-{order}-{warehouse}"


@app.task(name="shop.tasks.release")
def release(reservation: str) -> None: ...


@app.task(name="shop.tasks.charge")
def charge(reservation: str, cents: int = 5) -> str:
    return f"c-{reservation}-{cents}"


@app.task(name="shop.tasks.refund")
def refund(charge: str) -> None: ...


@app.task(name="shop.tasks.pack")
def pack(what: object) -> object:
    return {"packed": what}


@app.task(name="shop.tasks.notify")
def notify() -> str:
    return "told"


@app.task(name="shop.tasks.fail")
def fail(*args: object) -> None:
    raise LookupError(f"no luck with {args}")


@app.task(name="shop.tasks.pay")
def pay(cents: int, key: str) -> str:
    return f"paid {cents} under {key.rpartition(':')[0].partition(':')[2]}"


@app.task(name="shop.tasks.repay")
def repay(payment: str | None, key: str) -> None: ...


TASKS = {name: task for name, task in app.tasks.items() if name.startswith("shop.")}
"""For `run_inline`: this app is nobody's current one."""
