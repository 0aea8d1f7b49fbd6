"""`python -m workers.shop`: from nothing to an open shop in one command, until Ctrl-C."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

from workers.demo.folder import work_folder
from workers.demo.process import NotStarted
from workers.demo.standing import stand
from workers.shop.opened import Shop, opened
from workers.shop.options import Options, parse


def main(arguments: Sequence[str] | None = None) -> int:
    """Keep the shop open, and answer the exit code: 0 after Ctrl-C, 2 when it could not open or did not stay so."""
    options = parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        with (
            suppress(KeyboardInterrupt),
            work_folder(options.folder, prefix="saga-shop-") as folder,
            opened(options, folder) as shop,
        ):
            _announce(shop, options)
            stand(lambda: _look_after(shop))
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
    """See that all of it runs."""
    if shop.server.has_ended:
        raise NotStarted("the server has ended by itself; its log in the folder of --folder tells why")
    for process in shop.fleet.replace_ended():
        print(f"The worker has ended by itself; process {process} takes its place.", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
