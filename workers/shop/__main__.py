"""`python -m workers.shop`: from nothing to an open shop in one command, until Ctrl-C."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from workers.demo.process import NotStarted
from workers.shop.opened import Shop, opened
from workers.shop.options import Options, parse

LOOK_SECONDS = 0.5


def main(arguments: Sequence[str] | None = None) -> int:
    """Keep the shop open, and answer the exit code: 0 after Ctrl-C, 2 when it could not open or did not stay so."""
    options = parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        with suppress(KeyboardInterrupt), _folder(options) as folder, opened(options, folder) as shop:
            _announce(shop, options)
            _look_after(shop)
    except NotStarted as reason:
        print(reason, file=sys.stderr)
        return 2
    return 0


def _announce(shop: Shop, options: Options) -> None:
    if options.json:
        print(json.dumps({"url": shop.url, "user": shop.user, "password": shop.password}), flush=True)
        return
    print(f"The shop is open at {shop.url}")
    print(f"Approve and reject there as {shop.user!r} with the password {shop.password!r}.")
    print("Ctrl-C closes it.", flush=True)


def _look_after(shop: Shop) -> None:
    """Until somebody asks for the end, by Ctrl-C or SIGTERM, or until the server ends by itself.

    The signals are only noted: an exception out of nowhere may strike while a lock of the standard library is taken,
    and the end would then wait for that lock for ever.
    """
    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: asked.append(number))
    while not asked:
        if shop.server.has_ended:
            raise NotStarted("the server has ended by itself; its log in the folder of --folder tells why")
        for process in shop.restart_workers():
            print(f"The worker has ended by itself; process {process} takes its place.", file=sys.stderr)
        time.sleep(LOOK_SECONDS)


@contextmanager
def _folder(options: Options) -> Iterator[Path]:
    """The one that the user named, which is kept, or one for this run."""
    if options.folder:
        options.folder.mkdir(parents=True, exist_ok=True)
        yield options.folder.resolve()
        return
    folder = Path(tempfile.mkdtemp(prefix="saga-shop-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
