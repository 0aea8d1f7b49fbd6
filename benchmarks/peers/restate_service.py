"""Five no-op steps with Restate, each journaled by `run`."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.names import STEPS
from benchmarks.stamps import stamp as stamped

restate = import_module("restate")
service = restate.Service("Bench")
ENDED = Path(os.environ["BENCH_FOLDER"]) / "ended"


async def noop(number: int) -> int:
    """Do nothing."""
    return number


async def stamp(number: int) -> int:
    """Note when it began."""
    stamped()
    return number


@service.handler()  # type: ignore[untyped-decorator, unused-ignore]
async def five(context: Any, work: str) -> int:
    """Five steps, one after the other; at the end one byte in the file that the driver watches."""
    step = stamp if work == "stamps" else noop
    for number in range(STEPS):
        await context.run_typed("step", step, number=number)
    with ENDED.open("ab") as ended:
        ended.write(b".")
    return STEPS


app = restate.app([service])
