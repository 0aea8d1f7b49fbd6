"""Waiting through the handle: in threads and in coroutines, for one saga and for hundreds, on every database."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from saga_celery import SagaFailed, SagaStatus, SagaUnfinished
from saga_celery.app import waiting_room
from saga_celery.definition.handle import SagaHandle

MANY = 300
PATIENCE = 60


@pytest.fixture
def looks(errands, monkeypatch):
    """The ids of every query for states."""
    taken = []
    read = errands.sagas.store.queries.statuses

    def counted(ids):
        taken.append(set(ids))
        return read(ids)

    monkeypatch.setattr(errands.sagas.store.queries, "statuses", counted)
    return taken


async def until(condition):
    """Give way to other tasks until it holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.005)


def room_of(errands):
    return errands.sagas.desk._room


def test_hundreds_wait_in_one_event_loop_with_one_thread_and_few_queries(errands, looks):
    handles = errands.running(MANY)
    before = set(threading.enumerate())  # some of which are about to end

    async def main():
        waits = [asyncio.create_task(handle.wait_async(timeout=3 * PATIENCE)) for handle in handles]
        await until(lambda: len(set().union(*looks)) == MANY)
        new = set(threading.enumerate()) - before
        await asyncio.to_thread(lambda: [errands.complete(handle) for handle in handles[1:]])
        await asyncio.wait(waits[1:])
        assert not waits[0].done(), "its saga goes on"
        waits[0].cancel()
        return new, await asyncio.gather(*waits[1:])

    new, states = asyncio.run(main())
    assert len(new) == 1
    assert states == [SagaStatus.COMPLETED] * (MANY - 1)
    assert room_of(errands)._waits == {}


def test_the_event_loop_goes_on_while_the_database_is_slow(errands, monkeypatch):
    (handle,) = errands.running()
    answers = threading.Event()
    read = errands.sagas.store.queries.statuses

    def slow(ids):
        assert answers.wait(PATIENCE)
        return read(ids)

    monkeypatch.setattr(errands.sagas.store.queries, "statuses", slow)

    async def main():
        waiting = asyncio.create_task(handle.wait_async(timeout=3 * PATIENCE))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not waiting.done()
        errands.complete(handle)
        answers.set()
        assert await waiting is SagaStatus.COMPLETED

    asyncio.run(main())


def test_results_and_errors_come_in_coroutines_as_anywhere(errands):
    done, lost = errands.running(2)
    errands.complete(done, result=41)
    errands.lose(lost)

    assert asyncio.run(done.result_async(timeout=PATIENCE)) == 41
    with pytest.raises(SagaFailed) as caught:
        asyncio.run(lost.result_async(timeout=PATIENCE))
    with pytest.raises(SagaFailed) as caught_by_thread:
        lost.result(timeout=PATIENCE)
    assert str(caught.value) == str(caught_by_thread.value)
    assert (caught.value.saga_id, caught.value.letters[0].reason) == (lost.id, "in_doubt")


def test_the_time_runs_out(errands):
    (handle,) = errands.running()
    for wait in (lambda: asyncio.run(handle.wait_async(timeout=0.05)), lambda: handle.wait(timeout=0.05)):
        with pytest.raises(SagaUnfinished, match=r"is still RUNNING after 0\.05 seconds"):
            wait()
    for wait in (lambda: asyncio.run(handle.wait_async(timeout=0)), lambda: handle.wait(timeout=0)):
        with pytest.raises(SagaUnfinished, match="is still RUNNING after 0 seconds"):
            wait()
    assert room_of(errands)._waits == {}


def test_what_is_not_committed_is_refused_at_once(errands):
    nowhere = SagaHandle(errands.saga.definition(), errands.sagas.desk, "no-such-saga", created=True)
    for wait in (lambda: asyncio.run(nowhere.wait_async()), nowhere.wait):
        with pytest.raises(SagaUnfinished, match="not committed yet"):
            wait()


def test_threads_share_the_looks_too(errands, looks):
    handles = errands.running(20)
    states = []
    threads = [threading.Thread(target=lambda h=h: states.append(h.wait(timeout=3 * PATIENCE))) for h in handles]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + PATIENCE
    while not any(len(look) == 20 for look in looks):
        assert time.monotonic() < deadline, looks
        threading.Event().wait(0.01)
    for handle in handles:
        errands.complete(handle)
    for thread in threads:
        thread.join(PATIENCE)
    assert states == [SagaStatus.COMPLETED] * 20


def test_an_app_that_is_let_go_leaves_no_thread(errands):
    (handle,) = errands.running()
    with pytest.raises(SagaUnfinished):
        handle.wait(timeout=0.01)
    assert room_of(errands)._thread is not None
    errands.sagas.dispose()
    assert room_of(errands)._thread is None


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_postgres_calls_out_the_end(errands, looks, monkeypatch):
    """With looks an hour apart, only a call can end the wait in time."""
    monkeypatch.setattr(waiting_room, "LOOK_AT_CALLS", 3600.0)
    (handle,) = errands.running()
    waiting = threading.Thread(target=handle.wait)
    waiting.start()
    deadline = time.monotonic() + PATIENCE
    while not any(wait.rest == 3600.0 for waits in list(room_of(errands)._waits.values()) for wait in list(waits)):
        assert time.monotonic() < deadline, "calls never became reliable"
        threading.Event().wait(0.01)
    errands.complete(handle)
    waiting.join(PATIENCE)
    assert not waiting.is_alive()
