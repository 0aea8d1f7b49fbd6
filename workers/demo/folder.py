"""Where a run keeps its databases and logs."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def work_folder(given: Path | None, *, prefix: str) -> Iterator[Path]:
    """The folder that the user named, which is made if need be and stays, or one that goes at the end.

    Args:
        given: the user's; None: there shall be one for this run.
        prefix: what the name of that one begins with.
    """
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given.resolve()
        return
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
