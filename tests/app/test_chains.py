"""A chain in the hands of an app: started, found, and rendered where nobody knows it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery import Celery
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from saga_celery import (
    AlreadyStarted,
    InputRejected,
    KeyConflict,
    NotConfigured,
    SagaApp,
    SagaChain,
    SagaNotFound,
    SagaStatus,
    saga_chain,
)
from saga_celery.core import events as e
from saga_celery.core.states import Slot
from saga_celery.definition import desk
from saga_celery.errors import StoreUnavailable
from saga_celery.store.migrate import migrate
from tests.definition.chain_shop import charge, notify, refund, release, reserve


@pytest.fixture
def sagas(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[SagaApp]:
    monkeypatch.setattr(desk, "_bound", [])
    app = Celery("shop", broker="memory://", set_as_current=False)
    app.conf.update(saga_database_url=sqlite_url, saga_payload_limit=2000)
    sagas = SagaApp(app)
    migrate(sagas.store.connections)
    yield sagas
    sagas.dispose()


def checkout(order: int = 7, **options: Any) -> SagaChain:
    return saga_chain("checkout", (reserve.s(order), release.s()), (charge.s(), refund.s()), notify.si(), **options)


def test_a_chain_runs_step_by_step_and_hands_its_result_over(sagas: SagaApp) -> None:
    handle = checkout().start(key="order-7", tags={"order": 7}, headers={"traceparent": "00-1"})
    coordinator = sagas.coordinator(parks_render_failures=False)
    coordinator.handle(handle.id, e.Nudged())
    for name, result in (("reserve", "r-1"), ("charge", "c-1"), ("notify", "told")):
        coordinator.handle(handle.id, e.AttemptSucceeded(slot=Slot(name), attempt=1, result=result))

    assert handle.wait(timeout=0) is SagaStatus.COMPLETED
    assert handle.result() == "told"
    state = sagas.store.load(handle.id)
    assert state is not None
    assert state.headers == {"traceparent": "00-1"}
    assert state.steps[("charge", 0)].action.message.args == ("r-1",)  # type: ignore[union-attr]
    assert handle.snapshot().tags == {"order": "7"}


def test_a_key_belongs_to_one_set_of_signatures(sagas: SagaApp) -> None:
    first = checkout().start(key="k")
    again = checkout().start(key="k")

    assert (first.created, again.created, again.id) == (True, False, first.id)
    with pytest.raises(KeyConflict, match="with another input"):
        checkout(8).start(key="k")
    with pytest.raises(AlreadyStarted):
        checkout().start(key="k", if_exists="raise")
    with pytest.raises(InputRejected, match=r"saga_chain\('checkout'\): if_exists='maybe'"):
        checkout().start(if_exists="maybe")  # type: ignore[arg-type]


def test_it_is_found_by_whoever_knows_its_name(sagas: SagaApp) -> None:
    handle = checkout().start(key="k")

    for found in (checkout(8).get("k"), SagaChain.find("checkout", "k"), SagaChain.find("checkout", handle.id)):
        assert (found.id, found.created, found.state) == (handle.id, False, SagaStatus.PENDING)
    with pytest.raises(SagaNotFound):
        checkout().get("nobody")
    with pytest.raises(SagaNotFound, match=f"saga {handle.id} is a checkout, no return"):
        SagaChain.find("return", handle.id)


def test_a_start_joins_the_callers_transaction(sagas: SagaApp, sqlite_url: str) -> None:
    engine = create_engine(sqlite_url)
    with Session(engine) as session:
        lost = checkout().start(session=session)
        session.rollback()
        kept = checkout().start(session=session, timeout=timedelta(hours=1))
        session.commit()
    with engine.begin() as connection:
        bare = checkout(timeout=timedelta(minutes=1)).start(connection=connection)
    engine.dispose()

    assert (kept.state, bare.state) == (SagaStatus.PENDING, SagaStatus.PENDING)
    assert [row.deadline_at is not None for row in sagas.store.queries.find()] == [True, True]
    with pytest.raises(SagaNotFound):
        lost.snapshot()


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (lambda: saga_chain("t", reserve.s()).start(), "missing 1 required positional argument: 'order'"),
        (lambda: saga_chain("t", reserve.s()).start(1, 2, 3), "step reserve: shop.tasks.reserve can not be called so"),
        (
            lambda: saga_chain("t", reserve.si(1)).start(2),
            "step reserve: start() was given arguments, but it is a .si()",
        ),
        (lambda: saga_chain("t", reserve.s()).start(object()), "the arguments of start() are no plain JSON"),
        (lambda: saga_chain("t", reserve.s("x" * 2000)).start(), "the input of saga_chain('t') is 2"),
        (lambda: checkout().start(key=""), "saga_chain('checkout'): key=''"),
        (lambda: checkout().start(timeout=timedelta(0)), "a deadline lies in the future"),
    ],
    ids=["too few", "too many", "not wanted", "no json", "too large", "key", "timeout"],
)
def test_what_does_not_fit_is_rejected_before_anything_is_stored(sagas: SagaApp, start: Any, message: str) -> None:
    with pytest.raises(InputRejected) as caught:
        start()

    assert message in str(caught.value)
    assert sagas.store.queries.find() == []


def test_without_an_app_the_missing_line_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "_bound", [])
    with pytest.raises(NotConfigured, match="add `SagaApp"):
        checkout().start()


def test_a_worker_in_place_needs_no_definition(sagas: SagaApp, monkeypatch: pytest.MonkeyPatch) -> None:
    handle = checkout().start()
    stored = sagas.store.load(handle.id)
    assert stored is not None

    assert sagas.has_plan("checkout", stored.plan_hash)
    assert not sagas.has_plan("checkout", "0" * 32), "a saga of another database"

    def away(plan_hash: str) -> None:
        raise StoreUnavailable("the database does not answer")

    monkeypatch.setattr(sagas.store, "plan", away)
    assert sagas.has_plan("checkout", stored.plan_hash), "in place waits for the database"
