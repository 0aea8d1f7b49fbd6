"""Values of megabytes, and sealed ones, with real workers: what passes through, and what anybody else gets to see."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.pool import NullPool

from tests.acceptance.counter import Shop
from tests.servers import EmbeddedRedis

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(500)]

START = """
from tests.acceptance.archive import ArchiveSaga, large
for name, refused in (("kept", False), ("burnt", True)):
    print(ArchiveSaga.start({{"name": name, "lines": large({megabytes}), "refused": refused}}, key=name).id)
"""
RESULT = """
from tests.acceptance.archive import ArchiveSaga
result = ArchiveSaga.get("kept").result()
print(len(result["lines"]), result["sizes"], result["stamp"])
"""


@pytest.fixture
def shop(tmp_path: Path, own_redis: EmbeddedRedis, database_url: str) -> Iterator[Shop]:
    with Shop(tmp_path, broker=own_redis.url, database=database_url, app="archive") as shop:
        yield shop


def effects(shop: Shop, name: str) -> list[str]:
    """What was done, each once: its steps are idempotent, and a busy machine may run one twice."""
    return list(dict.fromkeys(shop.effects(name)))


def run(shop: Shop, **environment: str) -> tuple[str, str]:
    """One saga that completes, and one that is undone."""
    kept, burnt = shop.python(START.format(megabytes=3), **environment).split()
    assert shop.end_of(kept, 180) == "COMPLETED"
    assert shop.end_of(burnt, 180) == "COMPENSATED"
    assert effects(shop, "kept") == ["copy of 3000 lines", "stamped"]
    assert effects(shop, "burnt") == ["copy of 3000 lines", "burnt 5000 of 3000 lines"]
    assert shop.python(RESULT, **environment) == "5000 [3000] stamp on 3000 lines\n"
    return kept, burnt


def database(shop: Shop, *, without: str = "") -> str:
    """All that is stored, as one text."""
    engine = create_engine(shop.database, poolclass=NullPool)
    tables = [name for name in inspect(engine).get_table_names() if name.startswith("saga") and name != without]
    with engine.connect() as connection:
        found = [repr(connection.execute(text(f"SELECT * FROM {name}")).all()) for name in tables]
    assert found
    return "\n".join(found)


def broker(shop: Shop) -> str:
    """All that lies in Redis, as one text; bodies of messages are base64 there."""
    client = redis.Redis.from_url(shop.broker, decode_responses=True)
    values: list[str] = []
    for key in client.keys("*"):
        match client.type(key):
            case "list":
                values += client.lrange(key, 0, -1)
            case "hash":
                values += client.hvals(key)
            case "set":
                values += client.smembers(key)
            case "zset":
                values += client.zrange(key, 0, -1)
            case _:
                values.append(client.get(key))
    client.close()
    return "\n".join(values + [_body(value) for value in values])


def _body(value: str) -> str:
    """The body of a message, waiting or unacknowledged."""
    try:
        message = json.loads(value)
    except ValueError:
        return ""
    message = message[0] if isinstance(message, list) else message
    return base64.b64decode(message["body"]).decode() if isinstance(message, dict) and "body" in message else ""


def waiting_messages(shop: Shop) -> list[bytes]:
    client = redis.Redis.from_url(shop.broker)
    found = client.lrange("celery", 0, -1)
    client.close()
    return found


def test_megabytes_pass_through_a_saga_and_its_compensation(shop: Shop) -> None:
    shop.worker("--concurrency", "1")
    kept, _ = run(shop)

    rows = database(shop, without="saga_payload")
    assert "confidential" not in rows
    assert len(rows) < 100_000
    assert "confidential" in database(shop)
    shown = shop.saga("show", kept).stdout
    assert re.search(r"input: 3\.\d MB kept apart, sha256 ", shown)
    assert re.search(r"result: 5\.\d MB kept apart, sha256 ", shown)
    assert "confidential" not in shown
    assert "confidential" in shop.saga("show", kept, "--full").stdout


def test_a_directory_holds_them_and_workers_without_the_database_read_it(shop: Shop) -> None:
    store = {"SHOP_STORE": f"file://{shop.folder}/payloads"}
    shop.worker("--concurrency", "1", "-Q", "saga", **store)
    shop.worker("--concurrency", "1", "-Q", "celery", SHOP_DATABASE="", **store)
    run(shop, **store)

    assert "confidential" not in database(shop)
    assert list((shop.folder / "payloads").rglob("*"))


def test_with_a_codec_no_plain_text_lies_in_database_or_broker(shop: Shop) -> None:
    sealed = {"SHOP_KEY": "77"}
    coordinator = shop.worker("--concurrency", "1", "-Q", "saga", **sealed)
    kept, burnt = shop.python(START.format(megabytes=3), **sealed).split()
    shop.await_that(lambda: len(waiting_messages(shop)) >= 2, "the first messages of both sagas", 120)
    lying = broker(shop)
    assert "$saga_payload" in lying  # so bodies are read
    assert "$saga_sealed" in lying
    assert "confidential" not in lying
    coordinator.stop()

    shop.worker("--concurrency", "1", **sealed)
    assert (shop.end_of(kept, 180), shop.end_of(burnt, 180)) == ("COMPLETED", "COMPENSATED")
    assert effects(shop, "burnt") == ["copy of 3000 lines", "burnt 5000 of 3000 lines"]
    assert shop.python(RESULT, **sealed) == "5000 [3000] stamp on 3000 lines\n"
    assert "confidential" not in database(shop)
    assert "confidential" not in broker(shop)
    for file in [Path(shop.database.removeprefix("sqlite:///"))] if shop.database.startswith("sqlite") else []:
        assert b"confidential" not in file.read_bytes()


def test_a_worker_with_another_key_parks_the_saga_and_the_right_one_goes_on(shop: Shop) -> None:
    right, wrong = {"SHOP_KEY": "77"}, {"SHOP_KEY": "78"}
    shop.worker("--concurrency", "1", "-Q", "saga", **right)
    lost = shop.worker("--concurrency", "1", "-Q", "celery", **wrong)
    (saga_id, other) = shop.python(START.format(megabytes=1), **right).split()

    assert (shop.end_of(saga_id, 180), shop.end_of(other, 180)) == ("FAILED", "FAILED")
    ((step, reason, detail),) = shop.letters(saga_id)
    assert (step, reason in ("exhausted", "render_failed")) == ("copy", True)  # it coordinates as well
    assert "SealBroken" in detail
    lost.stop()
    shop.worker("--concurrency", "1", **right)
    assert shop.saga("retry", saga_id, "--reason", "the key is right", **right).returncode == 0
    shop.await_that(lambda: shop.state(saga_id) == "COMPLETED", "the end with the right key", 180)
    assert effects(shop, "kept") == ["copy of 1000 lines", "stamped"]
