"""Starts, events and cancels in the transaction of whoever calls, on Django's own connection."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.exceptions import SynchronousOnlyOperation
from django.core.handlers.base import BaseHandler
from django.db import IntegrityError, connection, connections, transaction
from django.db.transaction import TransactionManagementError
from django.http import HttpResponse
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from saga_celery import SagaStatus, StartItem
from saga_celery.core import events as e
from saga_celery.core.states import Slot
from saga_celery.errors import (
    AlreadyStarted,
    EventConflict,
    InputRejected,
    KeyConflict,
    Locked,
    NotConfigured,
    PublishFailed,
    Refused,
    RetryTransaction,
    SagaNotFound,
    SchemaOutOfDate,
    StoreUnavailable,
)
from saga_celery.store.migrate import migrate
from tests.contrib.django.conftest import IMMEDIATE, Approval, Shop, empty_tables, make_tables, on, shop_on

PATIENCE = 30.0


class Undone(Exception):
    """Makes an atomic block roll back."""


@contextmanager
def rolled_back(using: str = "default") -> Iterator[None]:
    """An atomic block that an exception leaves."""
    with suppress(Undone), transaction.atomic(using=using):
        yield
        raise Undone


# ---------------------------------------------------------------------------------------------------------------- start


def test_a_commit_keeps_order_and_saga_and_then_nudges(shop: Shop) -> None:
    with transaction.atomic():
        shop.effect.objects.create(what="order 7")
        handle = shop.order.start(7, key="order-7", tags={"order": 7})
        if connection.vendor != "sqlite":  # whose readers of the test's own would wait for the writer's end
            assert (shop.stored(), shop.nudged) == ([], [])
    assert handle.created
    assert (shop.stored(), shop.nudged, shop.effects()) == ([handle.id], [handle.id], ["order 7"])
    assert shop.order.get("order-7").snapshot().tags == {"order": "7"}
    shop.look(handle)
    assert handle.state is SagaStatus.RUNNING


def test_a_rollback_discards_both_and_nudges_nobody(shop: Shop) -> None:
    with rolled_back():
        shop.effect.objects.create(what="order 7")
        shop.order.start(7, key="order-7")
    assert (shop.stored(), shop.nudged, shop.effects()) == ([], [], [])
    assert shop.order.start(8, key="order-7").created


def test_an_inner_block_that_is_rolled_back_takes_only_its_own_along(shop: Shop) -> None:
    with transaction.atomic():
        outer = shop.order.start(1)
        with rolled_back():
            shop.order.start(2)
        with transaction.atomic():
            inner = shop.order.start(3)
    assert set(shop.stored()) == {outer.id, inner.id}
    assert shop.nudged == [outer.id, inner.id]


def test_in_autocommit_a_start_is_a_transaction_of_its_own(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    handle = shop.order.start(7)
    assert (shop.stored(), shop.nudged) == ([handle.id], [handle.id])
    assert connection.get_autocommit()
    assert not connection.in_atomic_block

    shop.order.start(1, key="taken")
    with pytest.raises(KeyConflict):  # the second of the keys that were to be taken
        shop.order.start_many([StartItem(1, "free"), StartItem(2, "taken")])
    assert shop.order.start(3, key="free").created


def test_where_the_caller_commits_by_hand_the_sweeper_finds_the_saga(shop: Shop) -> None:
    connection.set_autocommit(False)
    try:
        shop.order.start(1)
        connection.rollback()
        handle = shop.order.start(2)
        connection.commit()
    finally:
        connection.set_autocommit(True)
    assert (shop.stored(), shop.nudged) == ([handle.id], [])
    (due,) = shop.sagas.store.overdue(10, 30.0)
    assert due.saga_id == handle.id


def test_what_is_refused_leaves_nothing_behind_and_the_caller_goes_on(shop: Shop) -> None:
    shop.order.start(1, key="taken")
    with transaction.atomic():
        with pytest.raises(KeyConflict):
            shop.order.start_many([StartItem(1, "free"), StartItem(2, "taken")])
        with pytest.raises(AlreadyStarted):
            shop.order.start(1, key="taken", if_exists="raise")
        shop.effect.objects.create(what="order 8")
    assert shop.effects() == ["order 8"]
    assert shop.order.start(3, key="free").created  # it was not kept without its saga


def test_an_integrity_error_in_an_inner_block_harms_neither(shop: Shop) -> None:
    first = shop.effect.objects.create(what="first")
    with transaction.atomic():
        handle = shop.order.start(7)
        with pytest.raises(IntegrityError), transaction.atomic():
            shop.effect(id=first.id, what="again").save(force_insert=True)
        again = shop.order.start(8)
    assert set(shop.stored()) == {handle.id, again.id}


def test_a_broken_block_is_told_by_django_itself(shop: Shop) -> None:
    with transaction.atomic():
        transaction.set_rollback(True)
        with pytest.raises(TransactionManagementError):
            shop.order.start(7)
    assert shop.stored() == []


def test_terms_are_stored_like_anywhere(shop: Shop) -> None:
    with transaction.atomic():
        later = shop.order.start(1, lock="seat-1", delay=timedelta(hours=1), timeout=timedelta(hours=2), priority=3)
        much_later = shop.order.start(2, at=datetime(2100, 1, 1, tzinfo=UTC))
    assert later.snapshot().lock == "seat-1"
    assert later.snapshot().standing is not None
    assert much_later.snapshot().standing is not None
    with transaction.atomic():
        holder = shop.order.start(3, lock="seat-2")
        with pytest.raises(Locked):
            shop.order.start(4, lock="seat-2", if_locked="raise")
    assert set(shop.stored()) == {later.id, much_later.id, holder.id}


def test_the_statements_of_a_start_can_be_counted(shop: Shop) -> None:
    shop.order.start(0)  # plans and tables are looked at once in a process
    plans = 1 if connection.vendor == "sqlite" else 0
    with transaction.atomic(), CaptureQueriesContext(connection) as plain:
        shop.order.start(1)
    with transaction.atomic(), CaptureQueriesContext(connection) as keyed:
        shop.order.start(2, key="two", tags={"a": 1})
    with transaction.atomic(), CaptureQueriesContext(connection) as many:
        shop.order.start_many(list(range(50)))
    assert [len(plain), len(keyed), len(many)] == [4 + plans, 7 + plans, 4 + plans]
    assert any("INSERT INTO saga " in each["sql"] for each in plain)


def test_a_request_with_atomic_requests_is_one_transaction(kept_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with shop_on(monkeypatch, default=on(kept_url, ATOMIC_REQUESTS=True)) as shop:
        empty_tables("default")

        def view(request: Any, fails: bool) -> HttpResponse:
            shop.effect.objects.count()  # a view reads before it starts
            shop.effect.objects.create(what="order")
            shop.order.start(7)
            assert shop.nudged == []
            if fails:
                raise Undone
            return HttpResponse()

        answer = BaseHandler().make_view_atomic(view)
        with pytest.raises(Undone):
            answer(RequestFactory().post("/"), fails=True)
        assert (shop.stored(), shop.effects()) == ([], [])
        answer(RequestFactory().post("/"), fails=False)
        assert (len(shop.stored()), len(shop.nudged), shop.effects()) == (1, 1, ["order"])


def test_an_async_view_starts_through_sync_to_async(shop: Shop) -> None:
    def checkout() -> str:
        with transaction.atomic():
            shop.effect.objects.create(what="order")
            return str(shop.order.start(7).id)

    async def view() -> str:
        with pytest.raises(SynchronousOnlyOperation):
            shop.order.start(6)
        try:
            return await sync_to_async(checkout)()
        finally:
            await sync_to_async(_forget_connection)()  # that thread is also the next test's

    assert asyncio.run(view()) == shop.stored()[0]
    assert len(shop.stored()) == 1


def _forget_connection() -> None:
    connections.close_all()
    del connections["default"]


# ---------------------------------------------------------------------------------------------------------------- reads


def test_a_handle_reads_what_its_transaction_has_written(shop: Shop) -> None:
    under_way = shop.under_way()
    with rolled_back():
        handle = shop.order.start(7, key="order-7", tags={"a": 1}, lock="seat", delay=timedelta(hours=1))
        found = shop.order.get("order-7").snapshot()
        assert (found.id, found.state, found.tags, found.input) == (handle.id, SagaStatus.PENDING, {"a": "1"}, 7)
        assert found.suspended is False
        assert found.standing is not None
        assert found.standing.starts_at.tzinfo is not None
        inside = shop.order.get(under_way.id)
        assert (inside.state, inside.snapshot().steps) == (SagaStatus.RUNNING, _outside(under_way.snapshot).steps)
        assert inside.history() == _outside(under_way.history)
    with pytest.raises(SagaNotFound):
        shop.order.get("order-7")


def _outside(read: Any) -> Any:
    found: list[Any] = []
    _elsewhere(lambda: found.append(read()))
    return found[0]


# ---------------------------------------------------------------------------------------------------------------- races


def test_of_threads_with_one_key_one_starts_a_saga(shop: Shop) -> None:
    together = threading.Barrier(4)

    def checkout(number: int) -> Any:
        try:
            together.wait(PATIENCE)
            while True:
                try:
                    with transaction.atomic():
                        shop.effect.objects.create(what=f"order {number}")
                        return shop.order.start(7, key="one")
                except RetryTransaction:
                    continue
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as threads:
        handles = list(threads.map(checkout, range(4)))
    assert len({handle.id for handle in handles}) == 1
    assert sum(handle.created for handle in handles) == 1
    assert (len(shop.stored()), len(shop.effects())) == (1, 4)


def test_of_threads_that_would_start_anew_one_does(shop: Shop) -> None:
    first = shop.order.start(7, key="one")
    assert first.cancel(reason="wrong") is SagaStatus.COMPENSATED
    together = threading.Barrier(3)

    def again(_: int) -> Any:
        try:
            together.wait(PATIENCE)
            return shop.order.start(7, key="one", if_exists="new_if_ended")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(3) as threads:
        handles = list(threads.map(again, range(3)))
    assert len({handle.id for handle in handles}) == 1
    assert sum(handle.created for handle in handles) == 1
    assert handles[0].id != first.id


def test_a_transaction_that_the_database_gives_up_is_told(shop: Shop) -> None:
    """The isolation is the caller's; what the database says of it reaches the caller."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite waits, and MariaDB's reads are locking reads: nobody is given up")
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        shop.effect.objects.count()
        _elsewhere(lambda: shop.order.start(7, key="one"))
        with pytest.raises(RetryTransaction, match="run it again"):
            shop.order.start(7, key="one")
    assert shop.order.start(7, key="one").created is False


def test_a_deferred_begin_of_sqlite_is_told_with_its_remedy(kept_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with shop_on(monkeypatch, default=on(kept_file, OPTIONS={})) as shop:
        empty_tables("default")
        shop.order.start(1)
        assert len(shop.stored()) == 1  # the store's connection has switched the file to its write-ahead log
        with transaction.atomic():
            shop.effect.objects.count()
            _elsewhere(lambda: shop.effect.objects.create(what="another's"))
            with pytest.raises(RetryTransaction, match=r'"transaction_mode": "IMMEDIATE"'):
                shop.order.start(2)


def _elsewhere(work: Any) -> None:
    """On another thread, hence on another connection."""

    def closed() -> None:
        try:
            work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as threads:
        threads.submit(closed).result(PATIENCE)


# ------------------------------------------------------------------------------------------------------ send and cancel


def test_an_event_is_sent_with_the_commit_and_gone_with_the_rollback(shop: Shop) -> None:
    handle = shop.under_way()
    with rolled_back():
        shop.order.approve.send(handle.id, Approval(ok=True), event_id="e-1")
    assert (shop.sagas.store.inbox(handle.id), shop.nudged) == ([], [])
    with transaction.atomic():
        shop.effect.objects.create(what="approved")
        handle.send("approve", Approval(ok=True), event_id="e-1")
        with pytest.raises(EventConflict):
            handle.send("approve", Approval(ok=False), event_id="e-1")
    assert [news.id for news in shop.sagas.store.inbox(handle.id)] == ["e-1"]
    assert shop.nudged == [handle.id]
    assert shop.effects() == ["approved"]


def test_a_saga_can_be_sent_to_in_the_transaction_that_starts_it(shop: Shop) -> None:
    with transaction.atomic():
        handle = shop.order.start(7)
        handle.send("approve", Approval(ok=True))
    shop.look(handle)
    done = shop.sagas.coordinator(parks_render_failures=True).handle(
        handle.id, e.AttemptSucceeded(slot=Slot("reserve"), attempt=1, result=5)
    )
    assert done is not None
    assert done.state.status is SagaStatus.RUNNING  # it asks; the answer is there already
    with transaction.atomic(), pytest.raises(SagaNotFound):
        shop.order.approve.send("no such saga", Approval(ok=True))


def test_a_cancel_in_a_transaction_turns_the_saga_round_after_the_commit(shop: Shop) -> None:
    handle = shop.under_way()
    with rolled_back():
        handle.cancel(reason="changed their mind")
    assert (shop.sagas.store.inbox(handle.id), shop.nudged) == ([], [])
    with transaction.atomic():
        assert handle.cancel(reason="changed their mind") is SagaStatus.RUNNING
        with pytest.raises(Refused, match="say why"):
            handle.cancel(reason=" ")
    assert shop.nudged == [handle.id]
    shop.look(handle)
    assert any(isinstance(fact, object) and "cancel" in repr(fact).lower() for fact in handle.history()[-1].facts)


def test_outside_of_any_transaction_a_cancel_is_done_at_once(shop: Shop) -> None:
    handle = shop.order.start(7)
    assert handle.cancel(reason="changed their mind") is SagaStatus.COMPENSATED


# -------------------------------------------------------------------------------------------------------------- aliases


def test_a_transaction_in_another_database_is_refused_with_the_ways_out(two_databases: Shop) -> None:
    shop = two_databases
    with transaction.atomic(using="other"):
        with pytest.raises(InputRejected, match=r"atomic\(using='other'\).*sagas are in 'default'.*TestCase"):
            shop.order.start(7)
        with transaction.atomic():
            joined = shop.order.start(8)
        at_once = shop.order.start(9, connection=connections["default"])
    assert set(shop.stored()) == {joined.id, at_once.id}
    with pytest.raises(InputRejected, match=r"connections\['other'\] is another database than 'default'"):
        shop.order.start(7, connection=connections["other"])


def test_the_alias_of_the_settings_holds_the_sagas(two_databases: Shop) -> None:
    shop = two_databases
    shop.celery.conf.saga_database_alias = "other"
    shop.sagas._settings = None
    with rolled_back("other"):
        shop.order.start(7)
    with transaction.atomic(using="other"):
        shop.effect.objects.using("other").create(what="there")
        handle = shop.order.start(7)
    assert shop.stored() == [handle.id]
    assert shop.sagas.store.connections.url.database.endswith("other.db")
    assert shop.effects("other") == ["there"]


def test_a_second_alias_of_the_same_database_can_be_named(kept_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with shop_on(monkeypatch, default=on(kept_url), same=on(kept_url)) as shop:
        empty_tables("default")
        with rolled_back("same"):
            shop.order.start(7, connection=connections["same"])
        assert shop.stored() == []


def test_an_unknown_alias_is_told(shop: Shop) -> None:
    shop.celery.conf.saga_database_alias = "sagas"
    shop.sagas._settings = None
    with pytest.raises(NotConfigured, match="DATABASES has only default"):
        shop.order.start(7)
    shop.celery.conf.saga_database_alias = "default"
    shop.sagas._settings = None


def test_a_database_of_its_own_is_no_part_of_djangos_transactions(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`saga_database_url` goes first."""
    shop.sagas.dispose()
    shop.celery.conf.saga_database_url = f"sqlite:///{tmp_path / 'apart.db'}"
    shop.sagas._settings = shop.sagas._store = None
    migrate(shop.sagas.store.connections)
    with rolled_back():
        handle = shop.order.start(7)
    assert shop.stored() == [handle.id]
    with pytest.raises(InputRejected, match="saga_database_url names another database"):
        shop.order.start(7, connection=connection)


# -------------------------------------------------------------------------------------------------------------- trouble


def test_tables_that_are_behind_are_told_with_djangos_command(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with shop_on(monkeypatch, default=on(database_url)) as shop:
        make_tables("default")
        _tables_are_behind(shop)


def _tables_are_behind(shop: Shop) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE saga_schema_version SET version_num = '0005'")
    with transaction.atomic():
        with pytest.raises(SchemaOutOfDate, match=r"0005.*run: python manage\.py migrate$"):
            shop.order.start(7)
        shop.effect.objects.create(what="goes on")
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE saga_schema_version")
    with transaction.atomic():
        with pytest.raises(SchemaOutOfDate, match=r"run: python manage\.py migrate$"):
            shop.order.start(7)
        shop.effect.objects.create(what="goes on")
    assert shop.effects() == ["goes on", "goes on"]


def test_a_broker_that_takes_nothing_harms_nobody(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(ids: Any, priority: Any = None) -> None:
        raise PublishFailed("gone")

    monkeypatch.setattr(shop.sagas.transport, "nudge", refuse)
    with transaction.atomic():
        handle = shop.order.start(7)
    assert shop.stored() == [handle.id]
    assert "the broker took no nudge (gone)" in caplog.text


def test_a_database_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        shop_on(monkeypatch, default=on(f"sqlite:///{tmp_path / 'no' / 'such' / 'folder.db'}")) as shop,
        pytest.raises(StoreUnavailable, match="does not answer"),
    ):
        shop.order.start(7)


def test_a_lock_that_is_held_for_good_is_waited_for_and_told(kept_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a transaction of our own the begin is tried again and again."""
    rests: list[int] = []
    monkeypatch.setattr("saga_celery.contrib.django.transactions.draw", lambda: rests.append(1) or 0.0)
    options = {**IMMEDIATE, "timeout": 0}
    with shop_on(monkeypatch, default=on(kept_file, OPTIONS=options), other=on(kept_file)) as shop:
        empty_tables("default")
        with transaction.atomic(using="other"), pytest.raises(RetryTransaction, match="locked"):
            shop.order.start(7, connection=connections["default"])
        assert len(rests) == 9
        assert shop.order.start(7).created
