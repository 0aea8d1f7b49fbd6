"""An archive of large texts: its input and results are kept apart, and sealed where the test says so."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from celery import Celery
from celery.canvas import Signature

from saga_celery import Saga, SagaApp, step

FOLDER = Path(os.environ["SHOP_FOLDER"])
WORD = "confidential"

app = Celery("archive", broker=os.environ["SHOP_BROKER"])
app.conf.update(
    saga_payload_limit=20_000_000,
    saga_payload_inline=100_000,
    saga_sweep_interval=0.2,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
)
if os.environ.get("SHOP_DATABASE"):
    app.conf.saga_database_url = os.environ["SHOP_DATABASE"]
if os.environ.get("SHOP_STORE"):
    app.conf.saga_payload_store = os.environ["SHOP_STORE"]
if os.environ.get("SHOP_KEY"):
    app.conf.saga_codec = "tests.acceptance.archive.Rotation"
SagaApp(app)


class Rotation:
    """Not secret, but no plain text; another key does not open it."""

    name = "rotation"

    def __init__(self) -> None:
        self._key = int(os.environ["SHOP_KEY"])
        self._there = bytes((byte + self._key) % 256 for byte in range(256))
        self._back = bytes((byte - self._key) % 256 for byte in range(256))

    def encode(self, data: bytes) -> bytes:
        return hashlib.sha256(data).digest() + data.translate(self._there)

    def decode(self, data: bytes) -> bytes:
        plain = data[32:].translate(self._back)
        if hashlib.sha256(plain).digest() != data[:32]:
            raise ValueError("another key")
        return plain


def large(megabytes: int) -> list[str]:
    """Lines that make up a value of this size as JSON text."""
    line = f"{WORD} " * 77
    return [f"{number:06} {line}" for number in range(megabytes * 1000)]


def note(line: str) -> None:
    with (FOLDER / "effects").open("a") as file:
        file.write(f"{line}\n")


@app.task(name="archive.copy")
def copy(document: dict[str, Any], name: str) -> dict[str, Any]:
    """Answers with more than it got."""
    note(f"{name}:copy of {len(document['lines'])} lines -")
    return {"lines": large(5), "sizes": [len(document["lines"])]}


@app.task(name="archive.burn")
def burn(copied: dict[str, Any], *, document: dict[str, Any]) -> None:
    note(f"{document['name']}:burnt {len(copied['lines'])} of {len(document['lines'])} lines -")


@app.task(name="archive.stamp")
def stamp(document: dict[str, Any], name: str) -> str:
    if document["refused"]:
        raise PermissionError("no stamp for this one")
    note(f"{name}:stamped -")
    return f"stamp on {len(document['lines'])} lines"


class ArchiveSaga(Saga[dict[str, Any], dict[str, Any]]):
    """Copies a document and stamps it."""

    name = "archive.document"

    @step(idempotent=True)
    def copy(self, document: dict[str, Any]) -> Signature[dict[str, Any]]:
        return copy.si(document, name=document["name"])

    @copy.compensate
    def burn(self, document: dict[str, Any], copy: dict[str, Any]) -> Signature[None]:
        return burn.si(copy, document=document)

    @step(idempotent=True, fatal=["PermissionError"], no_compensation="a stamp does no harm")
    def stamp(self, document: dict[str, Any]) -> Signature[str]:
        return stamp.si(document, name=document["name"])

    def result(self, document: dict[str, Any], copy: dict[str, Any], stamp: str) -> dict[str, Any]:
        return {**copy, "stamp": stamp}
