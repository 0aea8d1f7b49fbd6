"""Waiting for what sends no signal, such as another process's rows: look, and look again."""

import threading
from collections.abc import Callable

import pytest


def await_that(condition: Callable[[], bool], failure: Callable[[], str], *, seconds: float, poll: float) -> None:
    """Return once `condition` holds; fail the test when it does not in time.

    Args:
        condition: looked at again and again.
        failure: what to say when it never held, made up only then.
        seconds: how long to go on.
        poll: seconds between two looks.
    """
    pause = threading.Event()
    for _ in range(int(seconds / poll)):
        if condition():
            return
        pause.wait(poll)
    pytest.fail(failure())
