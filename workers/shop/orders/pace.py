"""Tasks that take their time, so that an eye can follow the page."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.conf import settings

P = ParamSpec("P")
R = TypeVar("R")


def unhurried(task: Callable[P, R]) -> Callable[P, R]:
    """Let `SHOP_PACE` seconds pass before the work: outside its transaction, which would hold up everybody else's."""

    @wraps(task)
    def taking_its_time(*args: P.args, **kwargs: P.kwargs) -> R:
        time.sleep(settings.SHOP_PACE)
        return task(*args, **kwargs)

    return taking_its_time
