"""Forks and the threads of the parent: a fork waits for their work, and they for it."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from saga_celery.engine import forking
from saga_celery.engine.forking import GATE, ForkGate
from tests import polling

PATIENCE = 30.0


class Till:
    def __init__(self):
        self.closed = 0

    def close(self):
        self.closed += 1


@pytest.fixture
def pool():
    with ThreadPoolExecutor(2) as pool:
        yield pool


def await_that(condition):
    polling.await_that(condition, lambda: "it did not come about", seconds=PATIENCE, poll=0.001)


def test_a_fork_waits_until_the_work_of_another_thread_is_done(pool):
    gate, begun, go_on = ForkGate(), threading.Event(), threading.Event()

    def work():
        with gate.work():
            begun.set()
            go_on.wait(PATIENCE)

    working = pool.submit(work)
    begun.wait(PATIENCE)
    fork = pool.submit(gate.before_fork)
    await_that(lambda: gate.is_closed)
    assert not fork.done()
    go_on.set()
    fork.result(PATIENCE)
    working.result(PATIENCE)


def test_new_work_waits_for_the_fork(pool):
    gate, done = ForkGate(), []

    def work():
        with gate.work():
            done.append(gate.is_closed)

    gate.before_fork()
    working = pool.submit(work)
    assert done == []
    gate.after_fork_in_parent()
    working.result(PATIENCE)
    assert done == [False]


def test_who_is_at_work_may_begin_more_of_it_and_may_fork(pool):
    gate = ForkGate()
    with gate.work():
        gate.before_fork()
        with gate.work():
            assert gate.is_closed
        gate.after_fork_in_parent()


def test_it_does_not_wait_for_ever(pool, monkeypatch):
    monkeypatch.setattr(forking, "LONGEST_WAIT", 0.01)
    gate = ForkGate()
    with gate.work():
        pool.submit(gate.before_fork).result(PATIENCE)


def test_what_must_not_be_inherited_is_closed():
    gate, till, gone = ForkGate(), Till(), Till()
    gate.close_before_forks(till.close)
    gate.close_before_forks(gone.close)
    del gone
    gate.before_fork()
    assert till.closed == 1


@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_child_begins_with_an_open_gate():
    with GATE.work():
        pid = os.fork()
        if pid == 0:
            os._exit(bool(GATE.is_closed))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert not GATE.is_closed


def test_a_child_waits_for_none_of_its_parents_threads(pool):
    gate = ForkGate()
    working = gate.work()
    pool.submit(working.__enter__).result(PATIENCE)  # its thread is not in the child
    gate.after_fork_in_child()
    gate.before_fork()
    assert gate.is_closed
