"""Values that are kept apart, in the saga database."""

import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import select

from saga_celery.core import events as e
from saga_celery.engine.payloads import Payload
from saga_celery.engine.ports import Change
from saga_celery.store import SQLStore
from saga_celery.store.schema import saga_payload
from tests.store.examples import change, new, started


def payload(text: str, saga_id: str = "s1") -> Payload:
    return Payload(saga_id=saga_id, digest=hashlib.sha256(text.encode()).hexdigest(), body=text)


TEA, MILK = payload('"tea, 茶 and \\u0000"'), payload('"milk"' * 100_000)


def digests(store: SQLStore) -> set[tuple[str, str]]:
    with store.connections.autocommit() as connection:
        return {tuple(row) for row in connection.execute(select(saga_payload.c.saga_id, saga_payload.c.digest))}


def test_a_start_and_a_transition_bring_their_payloads_along(store: SQLStore) -> None:
    before = started(store, payloads=(TEA,))
    assert store.save(_with(change(before), TEA, MILK, payload("7", "s2")))

    assert digests(store) == {("s1", TEA.digest), ("s1", MILK.digest), ("s2", payload("7").digest)}
    assert store.payloads.get("s1", TEA.digest).decode() == TEA.body
    assert store.payloads.get("s1", MILK.digest).decode() == MILK.body


def test_a_transition_that_was_overtaken_leaves_none(store: SQLStore, another: Callable[..., SQLStore]) -> None:
    before = started(store)
    assert another().save(change(before))
    assert not store.save(_with(change(before, (e.SagaStarted(), e.SagaOverdue())), TEA))
    assert digests(store) == set()


def test_the_last_transition_brings_one_too(store: SQLStore) -> None:
    before = started(store)
    assert store.save(_with(change(before, (e.SagaCompleted(),), status=e.SagaStatus.COMPLETED), TEA))
    assert digests(store) == {("s1", TEA.digest)}


def test_a_start_whose_key_is_taken_leaves_none(store: SQLStore) -> None:
    store.start([new("s1", key="k")], nudge_after=1.0)
    store.start([new("s2", key="k", payloads=(payload("1", "s2"),))], nudge_after=1.0)
    assert digests(store) == set()


def test_they_go_with_their_saga(store: SQLStore) -> None:
    for saga_id in ("s1", "s2"):
        store.payloads.put(saga_id, TEA.digest, TEA.body.encode())
        store.payloads.put(saga_id, TEA.digest, TEA.body.encode())
    store.payloads.delete("s1")
    assert digests(store) == {("s2", TEA.digest)}
    with pytest.raises(KeyError):
        store.payloads.get("s1", TEA.digest)


def _with(transition: Change, *payloads: Payload) -> Change:
    return replace(transition, payloads=payloads)
