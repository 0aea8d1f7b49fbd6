"""Sagas in which everything that somebody can write is an attack on the page that shows it."""

from __future__ import annotations

from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

from celery.canvas import Signature
from pydantic import BaseModel

from saga_celery import Retry, Saga, saga_chain, step, wait_for
from saga_celery.contrib import console
from saga_celery.core import events as e
from saga_celery.core.states import Direction, Failure, Slot
from saga_celery.definition import registry
from tests.cli.conftest import Shop

SCRIPT = """<script>ran=1</script><img src=x onerror="ran=1"><svg onload=ran=1>"""
BREAKS_OUT = (
    f"""x"'`--></textarea></style></script></title>{SCRIPT}<a href="javascript:ran=1">x</a>{{{{7*7}}}}{{% raw %}}"""
)
"""Out of an attribute, a comment, a script, and into a template."""
SHORT = "\"'><script>ran=1</script><img src=x onerror=ran=1>"


class Anything(BaseModel):
    text: str


def define() -> None:
    """A saga whose tasks have names that nobody would give them."""

    class HostileSaga(Saga[Anything, str]):
        name = "evil.order"

        @step
        def pay(self, order: Anything) -> Signature[str]:
            return self.task(SHORT, order.text, key=self.key())

        @pay.compensate(retry=Retry(attempts=1))
        def refund(self, order: Anything, pay: str) -> Signature[None]:
            return self.task(SHORT, pay, key=self.key())

        @wait_for(Anything, timeout=timedelta(days=2))
        def approve(self, order: Anything) -> Signature[None]:
            return self.task(SHORT, order.text)

        @step(no_compensation=SHORT, idempotent=True, retry=Retry(attempts=1))
        def tell(self, order: Anything, pay: str, approve: Anything) -> Signature[str]:
            return self.task(SHORT, pay)

        def result(self, order: Anything, tell: str) -> str:
            return tell


def failed(shop: Shop) -> str:
    """A saga that was suspended, resumed, answered, and failed for good; each time with words that are an attack."""
    saga_id = (
        registry.find("evil.order").start(Anything(text=BREAKS_OUT), key=SHORT, tags={SHORT[:40]: SHORT}, lock=SHORT).id
    )
    shop.news(saga_id, e.Nudged())
    shop.succeed(saga_id, "pay", BREAKS_OUT)
    for verb in ("suspend", "resume"):
        console.act(shop.sagas, saga_id, verb, {"reason": BREAKS_OUT}, actor=SHORT)
    shop.succeed(saga_id, "approve", None)
    answer = {"step": "approve", "event": {"text": BREAKS_OUT}}
    console.act(shop.sagas, saga_id, "send", answer, actor=SHORT)
    shop.news(saga_id, e.Nudged())
    failure = Failure(type=SHORT, message=BREAKS_OUT, traceback=BREAKS_OUT, step="tell")
    for slot in (Slot("tell"), Slot("pay", 0, Direction.COMPENSATION)):
        shop.news(saga_id, e.AttemptFailed(slot=slot, attempt=1, failure=failure))
    return saga_id


def chained(shop: Shop) -> str:
    """A chain, whose steps are called as its tasks are; it is suspended."""
    names = [shop.app.signature(each, immutable=True) for each in (SHORT, f"x.{SCRIPT}")]
    chain = saga_chain("evil.chain", (names[0], names[1]), names[1])
    saga_id = chain.start(key=SCRIPT).id
    shop.news(saga_id, e.Nudged())
    console.act(shop.sagas, saga_id, "suspend", {"reason": BREAKS_OUT}, actor=SHORT)
    return saga_id


class Made(HTMLParser):
    """What a browser makes of a page: its tags with their attributes, whatever the text says."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._in_script = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in_script = tag == "script"

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts.append(data)

    @property
    def attacks(self) -> list[Any]:
        """What would run."""
        wrong = [each for each in self.tags if any(_runs(name, value) for name, value in each[1].items())]
        return [*wrong, *(script for script in self.scripts if "ran=1" in script)]


def _runs(name: str, value: str | None) -> bool:
    return name.startswith("on") or (value or "").strip().lower().startswith("javascript:") or value == "x"
